#pragma once
// Files that are damaged on purpose, and what a reader says of them.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "../scratch.h"
#include "base/error.h"

namespace xp {

/// Bytes of numbers and texts one after the other.
class Bytes {
 public:
  template <class T>
  Bytes& number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof value);
    text_.append(bytes, sizeof value);
    return *this;
  }
  Bytes& raw(std::string_view text) {
    text_ += text;
    return *this;
  }
  /// A length of 64 bits, then the text.
  Bytes& text(std::string_view text) { return number<std::uint64_t>(text.size()).raw(text); }
  const std::string& all() const { return text_; }

 private:
  std::string text_;
};

/// Unlike write_file() without a sync, since thousands are written.
inline void put(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// What the Error says that `open` ends with; it must be one of unreadable data.
template <class Open>
std::string refusal(Open open) {
  try {
    open();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    return error.what();
  }
  return "(nothing was refused)";
}

/// Opens the file cut after each of its bytes; every cut must be refused. `open` takes the path.
template <class Open>
void every_cut(const std::filesystem::path& file, const std::string& bytes, Open open) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    put(file, std::string_view(bytes).substr(0, size));
    INFO("cut after " << size << " of " << bytes.size() << " bytes");
    REQUIRE(refusal([&] { open(file); }).find(file.filename().string()) != std::string::npos);
  }
}

/// Opens the file with each of its bytes changed in turn: each must be read or refused by Error.
template <class Open>
void every_change(const std::filesystem::path& file, const std::string& bytes, Open open) {
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const int change : {1, 0x80, 0xFF}) {
      auto changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ change);
      put(file, changed);
      INFO("byte " << at << " changed by " << change);
      try {
        open(file);
      } catch (const Error& error) {
        CHECK(error.exit() == Exit::data);
        ++refused;
      }
    }
  CHECK(refused > 0);
}

}  // namespace xp
