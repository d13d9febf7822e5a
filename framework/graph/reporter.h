#pragma once
// Progress on stderr: one line that is redrawn on a terminal, a line per interval elsewhere.
#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace xp {

class Reporter {
 public:
  Reporter(std::size_t to_run, bool quiet);
  ~Reporter();
  void started(const std::string& node, const std::string& label);
  /// The node begins with `share` of its work done, where an interrupted run had come to.
  void goes_on(const std::string& node, double share, const std::string& from);
  void progress(const std::string& node, double share, const std::string& what);
  void finished(const std::string& node, const std::string& outcome, double seconds);
  void say(const std::string& line);

 private:
  struct Active {
    std::string label, what;
    double share = 0, begin = 0;
    std::chrono::steady_clock::time_point since, spoke;
  };
  void draw();
  void clear();

  std::mutex guard_;
  std::map<std::string, Active> active_;
  std::size_t to_run_, done_ = 0;
  bool quiet_, terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point redrawn_;
};

}  // namespace xp
