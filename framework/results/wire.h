#pragma once
// Numbers and texts as bytes, little-endian: the payloads of journals.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace xp::detail {

class Packer {
 public:
  Packer& u32(std::uint32_t v) { return number(v, 4); }
  Packer& i64(std::int64_t v) { return number(static_cast<std::uint64_t>(v), 8); }
  Packer& real(double v) { return number(std::bit_cast<std::uint64_t>(v), 8); }
  Packer& text(std::string_view v) {
    u32(static_cast<std::uint32_t>(v.size()));
    out_.append(v);
    return *this;
  }
  const std::string& bytes() const { return out_; }

 private:
  Packer& number(std::uint64_t v, int size) {
    for (int i = 0; i < size; ++i) out_ += static_cast<char>(v >> (8 * i));
    return *this;
  }
  std::string out_;
};

/// Reads what Packer wrote; throws Error (Exit::data) where the bytes end too early.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::int64_t i64() { return static_cast<std::int64_t>(number(8)); }
  double real() { return std::bit_cast<double>(number(8)); }
  std::string_view text() { return take(u32()); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size())
      throw Error("a record ends after " + std::to_string(rest_.size()) + " bytes where " + std::to_string(size) +
                      " are announced",
                  Exit::data);
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::uint64_t number(std::size_t size) {
    const auto bytes = take(size);
    std::uint64_t v = 0;
    for (std::size_t i = size; i-- > 0;) v = v << 8 | static_cast<unsigned char>(bytes[i]);
    return v;
  }
  std::string_view rest_;
};

}  // namespace xp::detail
