#pragma once
// What a recipe may say about a transformer.
#include <vector>

#include "schema/fields.h"

namespace xp::transformer {

enum class Shape : std::uint8_t { encoder, decoder, encoder_decoder };
enum class Positions : std::uint8_t { learned, sinusoidal, rotary, none };
enum class Activation : std::uint8_t { gelu, gelu_tanh, relu, silu, swiglu };
enum class Head : std::uint8_t { linear, mlm };
enum class NormPlace : std::uint8_t { pre, post };
enum class NormKind : std::uint8_t { layer, rms };
enum class Pool : std::uint8_t { first, mean, last };

struct Params {
  Shape kind = Shape::encoder;
  std::int64_t layers = 4, decoder_layers = 0, width = 128, heads = 4, kv_heads = 0, ffn = 0, embedding_width = 0,
               vocab_rank = 0;
  std::int64_t max_time = 128;
  Positions positions = Positions::learned;
  double rope_theta = 10000;
  NormPlace norm_position = NormPlace::pre;
  NormKind norm = NormKind::layer;
  double norm_epsilon = 1e-5;
  bool embedding_norm = false, bias = true;
  Activation activation = Activation::gelu;
  Head head = Head::linear;
  bool tied = true, vocab_bias = true;
  double dropout = 0, attention_dropout = 0, init_sd = 0.02;
  Pool pooling = Pool::mean;

  static void describe(Fields<Params>& f);
  /// Throws Error if the sizes do not fit together.
  void check() const;

  std::int64_t ffn_width() const { return ffn ? ffn : 4 * width; }
  std::int64_t table_width() const { return embedding_width ? embedding_width : width; }
  std::int64_t key_heads() const { return kv_heads ? kv_heads : heads; }
  std::int64_t head_width() const { return width / heads; }
  bool projects() const { return table_width() != width; }
  bool pre_norm() const { return norm_position == NormPlace::pre; }
  bool rms() const { return norm == NormKind::rms; }
  bool gated() const { return activation == Activation::swiglu; }
};

}  // namespace xp::transformer
