#pragma once
// Classes of 64 bytes at once.
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace xp::pipeline {

/// Some of the bytes of a block.
class ByteSet {
 public:
  std::uint64_t bits() const;  ///< the first byte is the lowest bit
  friend ByteSet operator|(const ByteSet& a, const ByteSet& b);

 private:
  friend class ByteBlock;
#if defined(__SSE2__)
  __m128i parts_[4];
#else
  std::uint64_t bits_ = 0;
#endif
};

class ByteBlock {
 public:
  static constexpr int kBytes = 64;

  /// Reads 64 bytes.
  explicit ByteBlock(const char* at);
  /// Bytes `first` to `last`, both of ASCII.
  ByteSet in(char first, char last) const;
  ByteSet equal(char c) const;
  ByteSet letters() const;  ///< of ASCII
  ByteSet high() const;     ///< not of ASCII

 private:
#if defined(__SSE2__)
  template <class Of>
  ByteSet each(const Of& of) const {
    ByteSet out;
    for (int i = 0; i < 4; ++i) out.parts_[i] = of(bytes_[i]);
    return out;
  }
  // Signed comparisons: bytes from 0x80 on are in no such range.
  static __m128i between(__m128i bytes, char first, char last) {
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(last + 1))));
  }
  __m128i bytes_[4];
#else
  template <class Of>
  ByteSet each(const Of& of) const {
    ByteSet out;
    for (int i = 0; i < kBytes; ++i) out.bits_ |= std::uint64_t{of(bytes_[i])} << i;
    return out;
  }
  const char* bytes_;
#endif
};

#if defined(__SSE2__)
inline std::uint64_t ByteSet::bits() const {
  std::uint64_t out = 0;
  for (int i = 0; i < 4; ++i) out |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(parts_[i]))} << (16 * i);
  return out;
}
inline ByteSet operator|(const ByteSet& a, const ByteSet& b) {
  ByteSet out;
  for (int i = 0; i < 4; ++i) out.parts_[i] = _mm_or_si128(a.parts_[i], b.parts_[i]);
  return out;
}
inline ByteBlock::ByteBlock(const char* at) {
  for (int i = 0; i < 4; ++i) bytes_[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * i));
}
inline ByteSet ByteBlock::in(char first, char last) const {
  return each([&](__m128i bytes) { return between(bytes, first, last); });
}
inline ByteSet ByteBlock::equal(char c) const {
  return each([&](__m128i bytes) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); });
}
inline ByteSet ByteBlock::letters() const {
  return each([&](__m128i bytes) { return between(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z'); });
}
inline ByteSet ByteBlock::high() const {
  return each([](__m128i bytes) { return bytes; });  // bits() reads the highest bit
}
#else
inline std::uint64_t ByteSet::bits() const { return bits_; }
inline ByteSet operator|(const ByteSet& a, const ByteSet& b) {
  ByteSet out = a;
  out.bits_ |= b.bits_;
  return out;
}
inline ByteBlock::ByteBlock(const char* at) : bytes_(at) {}
inline ByteSet ByteBlock::in(char first, char last) const {
  return each([&](char c) { return c >= first && c <= last; });
}
inline ByteSet ByteBlock::equal(char c) const {
  return each([&](char other) { return other == c; });
}
inline ByteSet ByteBlock::letters() const {
  return each([](char c) { return static_cast<char>(c | 0x20) >= 'a' && static_cast<char>(c | 0x20) <= 'z'; });
}
inline ByteSet ByteBlock::high() const {
  return each([](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; });
}
#endif

}  // namespace xp::pipeline
