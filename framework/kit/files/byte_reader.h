#pragma once
// Little-endian numbers and texts one after the other, never beyond the end of what there is.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace xp {

static_assert(std::endian::native == std::endian::little, "files are read in the byte order they are written in");

class ByteReader {
 public:
  /// `where` begins every message, such as "model.gguf is not a readable GGUF file".
  ByteReader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  std::uint64_t place() const { return place_; }
  std::uint64_t remaining() const { return bytes_.size() - place_; }

  /// Throws Error (Exit::data): where, the byte and what is wrong.
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(
        where_ + ": " + what + " (at byte " + std::to_string(place_) + " of " + std::to_string(bytes_.size()) + ")",
        Exit::data);
  }

  /// The next `size` bytes; `what` names them in messages.
  std::span<const std::byte> take(std::uint64_t size, std::string_view what) {
    if (size > remaining())
      refuse(std::string(what) + " needs " + count_of_bytes(size) + ", the file has " + count_of_bytes(remaining()) +
             " more");
    const auto found = bytes_.subspan(place_, size);
    place_ += size;
    return found;
  }

  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

  std::string_view text(std::uint64_t size, std::string_view what) {
    const auto found = take(size, what);
    return {reinterpret_cast<const char*>(found.data()), found.size()};
  }

  /// What comes before the next `end`, which is skipped.
  std::string_view text_until(char end, std::string_view what) {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + place_, remaining());
    const auto size = rest.find(end);
    if (size == rest.npos) refuse(std::string(what) + " does not end");
    place_ += size + 1;
    return rest.substr(0, size);
  }

  /// `n`, if that many things of at least `each` bytes can still come: to be asked before memory is taken for them.
  std::uint64_t possible(std::uint64_t n, std::uint64_t each, std::string_view what) const {
    if (n > remaining() / each)
      refuse("claims " + std::to_string(n) + " " + std::string(what) + ", too many for the " +
             count_of_bytes(remaining()) + " that follow");
    return n;
  }

 private:
  static std::string count_of_bytes(std::uint64_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

  std::span<const std::byte> bytes_;
  std::uint64_t place_ = 0;
  std::string where_;
};

}  // namespace xp
