#pragma once
// Content digests (SHA-256, by OpenSSL), and keys made of several parts.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp {

/// Hashes a sequence of parts; each part is framed with its length, so that ("ab", "c") differs from ("a", "bc").
class XP_API Digest {
 public:
  Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();

  Digest& add(std::string_view part);
  Digest& add(std::int64_t number) { return add(std::to_string(number)); }
  std::string hex();  ///< 64 hexadecimal digits; call once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// SHA-256 of these bytes, unframed: what `sha256sum` prints.
XP_API std::string sha256(std::string_view bytes);
/// SHA-256 of a file's content; throws Error (Exit::data) if it cannot be read.
XP_API std::string sha256_file(const std::filesystem::path& file);
/// SHA-256 of a file, remembered in the user's cache folder by path, size, inode and change time.
XP_API std::string sha256_file_cached(const std::filesystem::path& file);

}  // namespace xp
