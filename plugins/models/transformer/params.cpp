#include "params.h"

#include "base/error.h"
#include "base/text.h"

namespace xp::transformer {

namespace {

void describe_sizes(Fields<Params>& f) {
  f.add(&Params::kind, "kind", "Encoder (reads both ways), decoder (causal) or both with cross-attention.",
        {{"encoder", Shape::encoder}, {"decoder", Shape::decoder}, {"encoder_decoder", Shape::encoder_decoder}});
  f.add(&Params::layers, "layers", "Layers; of the encoder, if there are both.").min(0).max(1000);
  f.add(&Params::decoder_layers, "decoder_layers", "Layers of the decoder of an encoder_decoder; 0 is `layers`.")
      .min(0)
      .max(1000);
  f.add(&Params::width, "width", "Width of the hidden states.").min(1).max(1 << 20);
  f.add(&Params::heads, "heads", "Attention heads.").min(1).max(1 << 16);
  f.add(&Params::kv_heads, "kv_heads", "Heads of keys and values, shared by groups of queries; 0 is `heads`.")
      .min(0)
      .max(1 << 16);
  f.add(&Params::head_size, "head_size", "Width of one head; 0 is `width` divided by `heads`.").min(0).max(1 << 16);
  f.add(&Params::ffn, "ffn", "Inner width of the feed-forward part; 0 is four times `width`.").min(0).max(1 << 22);
  f.add(&Params::embedding_width, "embedding_width", "Width of the tables; 0 is `width`.").min(0).max(1 << 20);
  f.add(&Params::vocab_rank, "vocab_rank",
        "Rank of vocabulary tables that are products of coordinates and primitives; 0: whole tables.")
      .min(0)
      .max(1 << 20);
  f.add(&Params::segments, "segments", "Rows of a table that tells segments of an input apart; 0: no such table.")
      .min(0)
      .max(1 << 16);
  f.add(&Params::max_time, "max_time", "Longest input in tokens.").min(1).max(1 << 24);
}

void describe_images(Fields<Params>& f) {
  f.add(&Params::input, "input",
        "Tokens, or an image in the field `image`, cut into patches behind a class token (an encoder only).",
        {{"tokens", Input::tokens}, {"image", Input::image}});
  f.add(&Params::image_size, "image_size", "Height and width of an image in pixels.").min(1).max(1 << 14);
  f.add(&Params::patch_size, "patch_size", "Height and width of a patch in pixels.").min(1).max(1 << 14);
  f.add(&Params::channels, "channels", "Numbers of a pixel.").min(1).max(1 << 10);
  f.add(&Params::patch_bias, "patch_bias", "Whether the map from patches to hidden states has a bias.");
  f.add(&Params::image_mean, "image_mean",
        "By channel, what was taken from pixels of 0 to 1 before they got here; kept for those who make images.");
  f.add(&Params::image_sd, "image_sd", "By channel, what they were divided by after that.").above(0);
}

void describe_positions(Fields<Params>& f) {
  f.add(&Params::positions, "positions", "How order is told; `relative`: a learned number per head and distance.",
        {{"learned", Positions::learned},
         {"sinusoidal", Positions::sinusoidal},
         {"rotary", Positions::rotary},
         {"relative", Positions::relative},
         {"none", Positions::none}});
  f.add(&Params::position_offset, "position_offset", "Rows of the learned table before that of position 0.")
      .min(0)
      .max(1 << 20);
  f.add(&Params::relative_buckets, "relative_buckets", "Classes of distances of relative positions.")
      .min(4)
      .max(1 << 16);
  f.add(&Params::relative_reach, "relative_reach", "Distance from which on all are one class.").min(2).max(1 << 24);
  f.add(&Params::rope_theta, "rope_theta", "Base of the wave lengths of rotary positions.").above(0);
  f.add(&Params::rope_scaling, "rope_scaling", "How rotary wave lengths are stretched for long inputs.",
        {{"none", RopeScaling::none},
         {"linear", RopeScaling::linear},
         {"llama3", RopeScaling::llama3},
         {"yarn", RopeScaling::yarn}});
  f.add(&Params::rope_factor, "rope_factor", "By how much wave lengths are stretched.").min(1);
  f.add(&Params::rope_time, "rope_time", "Longest input, in tokens, before they were stretched.").min(1).max(1 << 24);
  f.add(&Params::rope_low, "rope_low",
        "Turns within `rope_time` below which waves are stretched whole (llama3, yarn).")
      .above(0);
  f.add(&Params::rope_high, "rope_high",
        "Turns within `rope_time` above which waves stay as they are (llama3, yarn).")
      .above(0);
}

void describe_parts(Fields<Params>& f) {
  f.add(&Params::norm_position, "norm_position", "Whether norms come before each part or after its sum.",
        {{"pre", NormPlace::pre}, {"post", NormPlace::post}});
  f.add(&Params::norm, "norm", "Layer norm, or division by the root mean square.",
        {{"layer", NormKind::layer}, {"rms", NormKind::rms}});
  f.add(
      &Params::last_norm, "last_norm",
      "With norm_position = \"pre\": whether the norm behind the last layer is of all hidden states or of the pooled "
      "one alone.",
      {{"states", LastNorm::states}, {"pooled", LastNorm::pooled}});
  f.add(&Params::norm_epsilon, "norm_epsilon", "Added to the variance in norms.").above(0).max(1);
  f.add(&Params::embedding_norm, "embedding_norm", "Whether embeddings pass a norm before the first layer.");
  f.add(&Params::bias, "bias", "Whether linear maps and layer norms have a bias.");
  f.add(&Params::qkv_bias, "qkv_bias", "Whether queries, keys and values have one even where `bias` is false.");
  f.add(&Params::qk_norm, "qk_norm", "Whether each head's queries and keys pass a norm.");
  f.add(&Params::scale_attention, "scale_attention",
        "Whether scores are divided by the square root of a head's width.");
  f.add(&Params::activation, "activation", "Of the feed-forward part; `swiglu`, `geglu` and `geglu_tanh` add a gate.",
        {{"gelu", Activation::gelu},
         {"gelu_tanh", Activation::gelu_tanh},
         {"quick_gelu", Activation::quick_gelu},
         {"relu", Activation::relu},
         {"silu", Activation::silu},
         {"swiglu", Activation::swiglu},
         {"geglu", Activation::geglu},
         {"geglu_tanh", Activation::geglu_tanh}});
  f.add(&Params::head, "head",
        "The projection to the vocabulary alone, one after dense, activation and norm, one to `classes`, or none: a "
        "trunk.",
        {{"linear", Head::linear}, {"mlm", Head::mlm}, {"classes", Head::classes}, {"none", Head::none}});
  f.add(&Params::classes, "classes", "With head = \"classes\": how many there are.").min(0).max(1 << 24);
  f.add(&Params::tied, "tied", "Whether the projection to the vocabulary is the input table.");
  f.add(&Params::vocab_bias, "vocab_bias", "Whether that projection has a bias.");
  f.add(&Params::scale_logits, "scale_logits",
        "Whether hidden states are divided by the square root of `width` before the projection.");
  f.add(&Params::dropout, "dropout", "Rate on embeddings and on the output of each part.").min(0).below(1);
  f.add(&Params::attention_dropout, "attention_dropout", "Rate on attention weights.").min(0).below(1);
  f.add(&Params::init_sd, "init_sd", "Standard deviation of new weights.").min(0);
  f.add(&Params::pooling, "pooling", "What the model's own pooling is; `end`: the first end token.",
        {{"first", Pool::first}, {"mean", Pool::mean}, {"last", Pool::last}, {"end", Pool::end}});
  f.add(&Params::pooler, "pooler",
        "What the model's own pooling passes then: a projection without bias, a dense layer with bias and tanh, or "
        "nothing.",
        {{"none", Pooler::none}, {"linear", Pooler::linear}, {"tanh", Pooler::tanh}});
  f.add(&Params::pooler_width, "pooler_width", "Width of what comes out of it; 0 is `width`.").min(0).max(1 << 20);
}

}  // namespace

void Params::describe(Fields<Params>& f) {
  describe_sizes(f);
  describe_images(f);
  describe_positions(f);
  describe_parts(f);
  for (const char* name : {"positions", "keys", "views", "pooling"}) f.gives("capability", name);
  for (const char* name : {"causal", "masks", "cache"}) f.gives("capability", name, {}, {{"input", {"tokens"}}});
  f.gives("capability", "logits", {}, {{"head", {"linear", "mlm", "classes"}}});
  f.gives("capability", "bidirectional", {}, {{"kind", {"encoder", "encoder_decoder"}}});
  f.gives("capability", "memory", {}, {{"kind", {"encoder_decoder"}}});
  // A norm between table and projection leaves no width at which embeddings could be mixed.
  f.gives("capability", "vectors", {}, {{"embedding_norm", {"false"}}, {"input", {"tokens"}}});
  f.gives("capability", "vectors", {}, {{"embedding_width", {"0"}}, {"input", {"tokens"}}});
  f.needs("field", "image", {{"input", {"image"}}});
  f.needs("reserved", "end", {{"pooling", {"end"}}});
}

void Params::check_image() const {
  const auto refuse = [](const std::string& what) { throw Error("with input = \"image\" " + what); };
  if (kind != Shape::encoder) refuse("`kind` is \"encoder\"");
  if (over_vocabulary()) refuse("`head` is \"classes\" or \"none\": there is no vocabulary");
  if (image_size % patch_size != 0)
    refuse("`patch_size` (" + std::to_string(patch_size) + ") must divide `image_size` (" +
           std::to_string(image_size) + ")");
  if (embedding_width != 0 && embedding_width != width) refuse("`embedding_width` is 0: there is no table of tokens");
  if (vocab_rank != 0 || segments != 0 || position_offset != 0)
    refuse("`vocab_rank`, `segments` and `position_offset` are 0: there are no tokens");
  if (pooling == Pool::end) refuse("`pooling` is \"first\", \"mean\" or \"last\": there is no end token");
  for (const auto* list : {&image_mean, &image_sd})
    if (!list->empty() && std::ssize(*list) != channels)
      refuse("`image_mean` and `image_sd` have a number for each of the " + std::to_string(channels) + " `channels`");
}

void Params::check() const {
  const auto divides = [](const char* small, std::int64_t a, const char* large, std::int64_t b) {
    if (a > 0 && b % a == 0) return;
    throw Error(backquoted(small) + " (" + std::to_string(a) + ") must divide " + backquoted(large) + " (" +
                std::to_string(b) + ")");
  };
  if (head_size == 0) divides("heads", heads, "width", width);
  divides("kv_heads", key_heads(), "heads", heads);
  if (positions == Positions::rotary) divides("2", 2, "a head's width", head_width());
  if (positions == Positions::sinusoidal) divides("2", 2, "embedding_width", table_width());
  if (positions == Positions::relative && relative_reach <= relative_buckets / (kind == Shape::decoder ? 2 : 4))
    throw Error("`relative_reach` (" + std::to_string(relative_reach) +
                ") must be beyond the distances that have a "
                "class of their own, with " +
                std::to_string(relative_buckets) + " classes");
  if (rope_scaling != RopeScaling::none && positions != Positions::rotary)
    throw Error("`rope_scaling` is for rotary positions");
  if (layers == 0 && kind != Shape::encoder_decoder)
    throw Error("`layers` is 0; only an encoder_decoder can do without");
  if (decoder_layers > 0 && kind != Shape::encoder_decoder)
    throw Error("`decoder_layers` is for an encoder_decoder; set `layers` instead");
  if (reads_image()) check_image();
  if ((head == Head::classes) != (classes > 0))
    throw Error("`classes` is " + std::to_string(classes) + "; it goes with head = \"classes\", which needs one");
  if (last_norm == LastNorm::pooled && (!pre_norm() || over_vocabulary()))
    throw Error("last_norm = \"pooled\" is for norm_position = \"pre\" and a model without a head over a vocabulary");
  if (pooler_width != 0 && pooler == Pooler::none) throw Error("`pooler_width` goes with a `pooler`");
  if (layers == 0 && decoder_layers == 0) throw Error("`layers` is 0 and so is `decoder_layers`; one needs a layer");
}

}  // namespace xp::transformer
