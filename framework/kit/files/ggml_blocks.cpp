#include "kit/files/ggml_blocks.h"

#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "base/error.h"

namespace xp {
namespace {

constexpr std::array<GgmlLayout, 19> kLayouts{{{GgmlType::f32, "F32", 1, 4},
                                               {GgmlType::f16, "F16", 1, 2},
                                               {GgmlType::q4_0, "Q4_0", 32, 18},
                                               {GgmlType::q4_1, "Q4_1", 32, 20},
                                               {GgmlType::q5_0, "Q5_0", 32, 22},
                                               {GgmlType::q5_1, "Q5_1", 32, 24},
                                               {GgmlType::q8_0, "Q8_0", 32, 34},
                                               {GgmlType::q2_k, "Q2_K", 256, 84},
                                               {GgmlType::q3_k, "Q3_K", 256, 110},
                                               {GgmlType::q4_k, "Q4_K", 256, 144},
                                               {GgmlType::q5_k, "Q5_K", 256, 176},
                                               {GgmlType::q6_k, "Q6_K", 256, 210},
                                               {GgmlType::q8_k, "Q8_K", 256, 292},
                                               {GgmlType::i8, "I8", 1, 1},
                                               {GgmlType::i16, "I16", 1, 2},
                                               {GgmlType::i32, "I32", 1, 4},
                                               {GgmlType::i64, "I64", 1, 8},
                                               {GgmlType::f64, "F64", 1, 8},
                                               {GgmlType::bf16, "BF16", 1, 2}}};

// Types that exist and cannot be read, so that a refusal can name them.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 15> kOthers{{{9, "Q8_1"},
                                                                              {16, "IQ2_XXS"},
                                                                              {17, "IQ2_XS"},
                                                                              {18, "IQ3_XXS"},
                                                                              {19, "IQ1_S"},
                                                                              {20, "IQ4_NL"},
                                                                              {21, "IQ3_S"},
                                                                              {22, "IQ2_S"},
                                                                              {23, "IQ4_XS"},
                                                                              {29, "IQ1_M"},
                                                                              {34, "TQ1_0"},
                                                                              {35, "TQ2_0"},
                                                                              {39, "MXFP4"},
                                                                              {40, "NVFP4"},
                                                                              {41, "Q1_0"}}};

using Byte = std::uint8_t;

float half_at(const Byte* at) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, 2);
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, exponent = bits >> 10 & 31u, part = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | part << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | part << 13);
  const float small = static_cast<float>(part) * 0x1p-24f;  // subnormal halves are normal floats
  return sign ? -small : small;
}

template <class T>
T number_at(const Byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void plain(const Byte* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(number_at<T>(in + i * sizeof(T)));
}

void q4_0(const Byte* in, float* out) {
  const float d = half_at(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((in[2 + j] & 15) - 8);
    out[j + 16] = d * static_cast<float>((in[2 + j] >> 4) - 8);
  }
}

void q4_1(const Byte* in, float* out) {
  const float d = half_at(in), m = half_at(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(in[4 + j] & 15) + m;
    out[j + 16] = d * static_cast<float>(in[4 + j] >> 4) + m;
  }
}

int fifth_bit(std::uint32_t bits, int j) { return static_cast<int>(bits >> j & 1u) << 4; }

void q5_0(const Byte* in, float* out) {
  const float d = half_at(in);
  const auto high = number_at<std::uint32_t>(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(((in[6 + j] & 15) | fifth_bit(high, j)) - 16);
    out[j + 16] = d * static_cast<float>(((in[6 + j] >> 4) | fifth_bit(high, j + 16)) - 16);
  }
}

void q5_1(const Byte* in, float* out) {
  const float d = half_at(in), m = half_at(in + 2);
  const auto high = number_at<std::uint32_t>(in + 4);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((in[8 + j] & 15) | fifth_bit(high, j)) + m;
    out[j + 16] = d * static_cast<float>((in[8 + j] >> 4) | fifth_bit(high, j + 16)) + m;
  }
}

void q8_0(const Byte* in, float* out) {
  const float d = half_at(in);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
}

// scales[16], 2-bit numbers[64], f16 d, f16 dmin. Each half of 128 numbers has four planes of two bits over 32 bytes.
void q2_k(const Byte* in, float* out) {
  const Byte* numbers = in + 16;
  const float d = half_at(in + 80), least = half_at(in + 82);
  for (int half = 0; half < 2; ++half)
    for (int plane = 0; plane < 4; ++plane)
      for (int part = 0; part < 2; ++part) {
        const Byte scale = in[half * 8 + plane * 2 + part];
        const float step = d * static_cast<float>(scale & 15), from = least * static_cast<float>(scale >> 4);
        for (int j = 0; j < 16; ++j)
          *out++ = step * static_cast<float>(numbers[half * 32 + part * 16 + j] >> (2 * plane) & 3) - from;
      }
}

// Third bits[32], low two bits[64], sixteen 6-bit scales in 12 bytes, f16 d. A third bit that is not set takes off 4.
void q3_k(const Byte* in, float* out) {
  const Byte *third = in, *low = in + 32, *packed = in + 96;
  const float d = half_at(in + 108);
  for (int group = 0; group < 16; ++group) {
    const int nibble = packed[group % 8] >> (group < 8 ? 0 : 4) & 15;
    const int top = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
    const float step = d * static_cast<float>((nibble | top << 4) - 32);
    const int half = group / 8, plane = group / 2 % 4, part = group % 2;
    for (int j = 0; j < 16; ++j) {
      const int at = part * 16 + j;
      const int number = low[half * 32 + at] >> (2 * plane) & 3;
      *out++ = step * static_cast<float>(third[at] >> (half * 4 + plane) & 1 ? number : number - 4);
    }
  }
}

struct ScaleAndLeast {
  int scale, least;
};

// Eight 6-bit scales and eight 6-bit minima in 12 bytes.
ScaleAndLeast scale_of(const Byte* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  const Byte both = packed[group + 4];
  return {(both & 15) | (packed[group - 4] >> 6) << 4, (both >> 4) | (packed[group] >> 6) << 4};
}

void q4_k(const Byte* in, float* out) {
  const float d = half_at(in), least = half_at(in + 2);
  for (int group = 0; group < 8; ++group) {
    const auto packed = scale_of(in + 4, group);
    const float step = d * static_cast<float>(packed.scale), from = least * static_cast<float>(packed.least);
    const Byte* numbers = in + 16 + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j) *out++ = step * static_cast<float>(numbers[j] >> shift & 15) - from;
  }
}

void q5_k(const Byte* in, float* out) {
  const float d = half_at(in), least = half_at(in + 2);
  const Byte* high = in + 16;
  for (int group = 0; group < 8; ++group) {
    const auto packed = scale_of(in + 4, group);
    const float step = d * static_cast<float>(packed.scale), from = least * static_cast<float>(packed.least);
    const Byte* numbers = in + 48 + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j)
      *out++ = step * static_cast<float>((numbers[j] >> shift & 15) | (high[j] >> group & 1) << 4) - from;
  }
}

// Low nibbles[128], high two bits[64], int8 scales[16], f16 d.
void q6_k(const Byte* in, float* out) {
  const float d = half_at(in + 208);
  for (int group = 0; group < 16; ++group) {
    const float step = d * static_cast<float>(static_cast<std::int8_t>(in[192 + group]));
    const int half = group / 8, plane = group / 2 % 4, part = group % 2;
    const Byte* low = in + half * 64 + plane % 2 * 32 + part * 16;
    const Byte* high = in + 128 + half * 32 + part * 16;
    for (int j = 0; j < 16; ++j) {
      const int number = (low[j] >> (plane / 2 * 4) & 15) | (high[j] >> (2 * plane) & 3) << 4;
      *out++ = step * static_cast<float>(number - 32);
    }
  }
}

// f32 d, int8 numbers[256]; the sums of 16 that follow serve products only.
void q8_k(const Byte* in, float* out) {
  const auto d = number_at<float>(in);
  for (int j = 0; j < 256; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(in[4 + j]));
}

using Blocks = void (*)(const Byte*, float*);

Blocks blocks_of(GgmlType type) {
  switch (type) {
    case GgmlType::q4_0: return q4_0;
    case GgmlType::q4_1: return q4_1;
    case GgmlType::q5_0: return q5_0;
    case GgmlType::q5_1: return q5_1;
    case GgmlType::q8_0: return q8_0;
    case GgmlType::q2_k: return q2_k;
    case GgmlType::q3_k: return q3_k;
    case GgmlType::q4_k: return q4_k;
    case GgmlType::q5_k: return q5_k;
    case GgmlType::q6_k: return q6_k;
    case GgmlType::q8_k: return q8_k;
    default: return nullptr;
  }
}

}  // namespace

const GgmlLayout* ggml_layout(std::uint32_t type) {
  for (const auto& layout : kLayouts)
    if (static_cast<std::uint32_t>(layout.type) == type) return &layout;
  return nullptr;
}

const GgmlLayout& ggml_layout(GgmlType type) {
  const auto* layout = ggml_layout(static_cast<std::uint32_t>(type));
  if (!layout) throw Error("ggml has no number type " + std::to_string(static_cast<std::uint32_t>(type)));
  return *layout;
}

std::string_view ggml_type_name(std::uint32_t type) {
  if (const auto* layout = ggml_layout(type)) return layout->name;
  for (const auto& [number, name] : kOthers)
    if (number == type) return name;
  return {};
}

void dequantise(GgmlType type, const std::byte* blocks, std::size_t count, float* out) {
  const auto& layout = ggml_layout(type);
  if (count % layout.block != 0)
    throw Error(std::to_string(count) + " numbers of type " + std::string(layout.name) + " are no whole blocks of " +
                std::to_string(layout.block));
  const auto* in = reinterpret_cast<const Byte*>(blocks);
  switch (type) {
    case GgmlType::f32:
      if (count > 0) std::memcpy(out, in, count * 4);
      return;
    case GgmlType::f16:
      for (std::size_t i = 0; i < count; ++i) out[i] = half_at(in + 2 * i);
      return;
    case GgmlType::bf16:
      for (std::size_t i = 0; i < count; ++i)
        out[i] = std::bit_cast<float>(std::uint32_t{number_at<std::uint16_t>(in + 2 * i)} << 16);
      return;
    case GgmlType::f64: return plain<double>(in, count, out);
    case GgmlType::i8: return plain<std::int8_t>(in, count, out);
    case GgmlType::i16: return plain<std::int16_t>(in, count, out);
    case GgmlType::i32: return plain<std::int32_t>(in, count, out);
    case GgmlType::i64: return plain<std::int64_t>(in, count, out);
    default: break;
  }
  const auto one = blocks_of(type);
  for (std::size_t i = 0; i < count; i += layout.block, in += layout.bytes) one(in, out + i);
}

}  // namespace xp
