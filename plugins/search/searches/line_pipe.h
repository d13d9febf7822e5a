#pragma once
#include <string>
#include <string_view>

namespace xp::searches {

/// Lines out to one file and in from another, each where it is due: nothing is read ahead, so that several pipes may
/// share their files. Files are what `open` takes, FIFOs too; an empty name is standard output or standard input.
class LinePipe {
 public:
  LinePipe() = default;
  ~LinePipe();
  LinePipe(const LinePipe&) = delete;
  LinePipe& operator=(const LinePipe&) = delete;

  bool is_open() const { return out_ >= 0; }
  /// Opens `out`, then `in`, waiting for the other end of a FIFO. Throws Error (Exit::usage) naming the file.
  void open(const std::string& out, const std::string& in);
  bool write(std::string line);  ///< false: the other end is gone; throws Error on other failures
  std::string read();            ///< without its end; throws Error at the end of input or if it is above 1 MB

 private:
  int out_ = -1, in_ = -1;
  std::string out_name_, in_name_;
};

}  // namespace xp::searches
