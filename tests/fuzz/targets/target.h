#pragma once
// What every libFuzzer target shares: readers may refuse an input by one sentence of unreadable data and in no other
// way.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "../../scratch.h"
#include "base/error.h"
#include "kit/pipeline/pipeline.h"

namespace xp::fuzz {

/// Ends the program, which libFuzzer takes for a finding, and says why.
[[noreturn]] inline void finding(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

/// Runs a reader. An Error must have Exit::data, be one short line of UTF-8 and name `where`.
template <class Read>
void read_or_refuse(std::string_view where, Read read) {
  constexpr std::size_t kLongest = 4000;  // bytes: several parts of the input may be quoted
  try {
    read();
  } catch (const Error& error) {
    const std::string_view what = error.what();
    if (error.exit() != Exit::data) finding("an error that is none of unreadable data: " + std::string(what));
    if (what.size() > kLongest || what.find('\n') != std::string_view::npos || !pipeline::broken_utf8(what).empty())
      finding("a message that is no short line of UTF-8: " + std::string(what));
    if (what.find(where) == std::string_view::npos)
      finding("a message without " + std::string(where) + ": " + std::string(what));
  }
}

/// A file of the target's own, for readers that open or map one.
class InputFile {
 public:
  explicit InputFile(const std::string& name) : path_(scratch_ / name) {}
  const std::filesystem::path& holding(std::string_view bytes) const {
    std::ofstream out(path_, std::ios::binary);
    if (!out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())))
      finding("the scratch file is not written");
    return path_;
  }

 private:
  Scratch scratch_;
  std::filesystem::path path_;
};

inline std::string_view text_of(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The input as `n` texts, cut at bytes of value 1; those that are missing are empty, the last one takes the rest.
inline std::vector<std::string_view> parts_of(std::string_view input, std::size_t n) {
  std::vector<std::string_view> out;
  while (out.size() + 1 < n) {
    const auto cut = std::min(input.find('\1'), input.size());
    out.push_back(input.substr(0, cut));
    input.remove_prefix(std::min(cut + 1, input.size()));
  }
  out.push_back(input);
  return out;
}

}  // namespace xp::fuzz
