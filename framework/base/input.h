#pragma once
// Byte streams from files, plain and compressed; read_file and read_text_file are made of these.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/export.h"

namespace xp::detail {

/// A plain file; throws Error (Exit::data) if it cannot be read or is a folder.
class XP_API Input {
 public:
  explicit Input(const std::filesystem::path& file);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  std::size_t read(char* to, std::size_t most);  ///< 0 at the end

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

/// Decompresses zstd frames; throws Error (Exit::data) on damaged or cut files.
class XP_API ZstdInput {
 public:
  explicit ZstdInput(const std::filesystem::path& file);
  ~ZstdInput();
  std::size_t read(char* to, std::size_t most);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Decompresses gzip members; throws Error (Exit::data) on damaged or cut files.
class XP_API GzipInput {
 public:
  explicit GzipInput(const std::filesystem::path& file);
  ~GzipInput();
  std::size_t read(char* to, std::size_t most);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Calls `use` with the stream that the file's ending asks for: `.zst`, `.gz`, any other.
template <class Use>
auto with_text_input(const std::filesystem::path& file, Use use) {
  const auto ending = file.extension();
  if (ending == ".zst") {
    ZstdInput input(file);
    return use(input);
  }
  if (ending == ".gz") {
    GzipInput input(file);
    return use(input);
  }
  Input input(file);
  return use(input);
}

[[noreturn]] void too_large(const std::filesystem::path& file, std::uint64_t limit);

/// Everything a stream gives; never asks for memory by a size that the file states.
template <class Source>
std::string read_all(Source& source, const std::filesystem::path& file, std::uint64_t limit) {
  constexpr std::size_t kFirst = std::size_t{1} << 12;  // most files are small, and fresh memory is dear
  std::string out;
  std::size_t size = 0;
  for (;;) {
    if (out.size() == size) out.resize(std::max(out.size() * 2, kFirst));
    const auto n = source.read(out.data() + size, out.size() - size);
    if (n == 0) break;
    size += n;
    if (size > limit) too_large(file, limit);
  }
  out.resize(size);
  if (out.capacity() - size > size / 2) out.shrink_to_fit();
  return out;
}

}  // namespace xp::detail
