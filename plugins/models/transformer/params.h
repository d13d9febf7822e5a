#pragma once
// What a recipe may say about a transformer.
#include <vector>

#include "schema/fields.h"

namespace xp::transformer {

enum class Shape : std::uint8_t { encoder, decoder, encoder_decoder };
enum class Positions : std::uint8_t { learned, sinusoidal, rotary, relative, none };
enum class RopeScaling : std::uint8_t { none, linear, llama3, yarn };
enum class Activation : std::uint8_t { gelu, gelu_tanh, quick_gelu, relu, silu, swiglu, geglu, geglu_tanh };
enum class Head : std::uint8_t { linear, mlm, classes, none };
enum class NormPlace : std::uint8_t { pre, post };
enum class NormKind : std::uint8_t { layer, rms };
enum class Pool : std::uint8_t { first, mean, last, end };
enum class Pooler : std::uint8_t { none, linear, tanh };
enum class Input : std::uint8_t { tokens, image };
enum class LastNorm : std::uint8_t { states, pooled };

struct Params {
  Shape kind = Shape::encoder;
  Input input = Input::tokens;
  std::int64_t image_size = 224, patch_size = 16, channels = 3;
  bool patch_bias = true;
  std::vector<double> image_mean, image_sd;
  std::int64_t layers = 4, decoder_layers = 0, width = 128, heads = 4, kv_heads = 0, head_size = 0, ffn = 0,
               embedding_width = 0, vocab_rank = 0, segments = 0;
  std::int64_t max_time = 128;
  Positions positions = Positions::learned;
  std::int64_t position_offset = 0, relative_buckets = 32, relative_reach = 128;
  double rope_theta = 10000, rope_factor = 1, rope_low = 1, rope_high = 4;
  RopeScaling rope_scaling = RopeScaling::none;
  std::int64_t rope_time = 8192;
  NormPlace norm_position = NormPlace::pre;
  NormKind norm = NormKind::layer;
  LastNorm last_norm = LastNorm::states;
  double norm_epsilon = 1e-5;
  bool embedding_norm = false, bias = true, qkv_bias = false, qk_norm = false, scale_attention = true;
  Activation activation = Activation::gelu;
  Head head = Head::linear;
  bool tied = true, vocab_bias = true, scale_logits = false;
  std::int64_t classes = 0;
  double dropout = 0, attention_dropout = 0, init_sd = 0.02;
  Pool pooling = Pool::mean;
  Pooler pooler = Pooler::none;
  std::int64_t pooler_width = 0;

  static void describe(Fields<Params>& f);
  /// Throws Error if the settings do not fit together.
  void check() const;
  void check_image() const;

  std::int64_t ffn_width() const { return ffn ? ffn : 4 * width; }
  std::int64_t table_width() const { return embedding_width ? embedding_width : width; }
  std::int64_t key_heads() const { return kv_heads ? kv_heads : heads; }
  std::int64_t head_width() const { return head_size ? head_size : width / heads; }
  bool reads_image() const { return input == Input::image; }
  std::int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  /// Longest input; a class token stands before the patches of an image.
  std::int64_t longest() const { return reads_image() ? 1 + patches() : max_time; }
  std::int64_t pooled_width() const { return pooler_width ? pooler_width : width; }
  bool norms_pooled_only() const { return pre_norm() && last_norm == LastNorm::pooled; }
  bool projects() const { return table_width() != width; }
  bool pre_norm() const { return norm_position == NormPlace::pre; }
  bool rms() const { return norm == NormKind::rms; }
  bool gated() const {
    return activation == Activation::swiglu || activation == Activation::geglu ||
           activation == Activation::geglu_tanh;
  }
  bool has_logits() const { return head != Head::none; }
  bool over_vocabulary() const { return head == Head::linear || head == Head::mlm; }
};

}  // namespace xp::transformer
