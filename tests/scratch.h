#pragma once
// A folder of a test's own that goes with it.
#include <filesystem>
#include <iterator>
#include <string>

#include "base/file.h"

namespace xp {

class Scratch {
 public:
  Scratch() : path_(make_scratch(std::filesystem::temp_directory_path(), "xp-test-")) {}
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Files and folders directly inside, hidden ones too.
inline std::size_t entries(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace xp
