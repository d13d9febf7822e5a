// GGUF files of decoders: Llama, Mistral, Qwen 2 and 3, and what is laid out like them.
#include <array>

#include "api/format.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/files/gguf.h"
#include "kit/files/gguf_tokenizer.h"
#include "kit/pipeline/pipeline.h"
#include "kit/tensors.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;
using at::Tensor;

struct Name {
  const char *ours, *role, *theirs;  // "{i}" is the layer
  bool interleaved = false;  // rows of a head stand in pairs (i, i + half), as rotary kernels of ggml want them
  bool optional = false;
};
constexpr std::array<Name, 18> kNames{
    {{"embedding.token", "vocab.input", "token_embd.weight"},
     {"layer.{i}.attention.query", "dense", "blk.{i}.attn_q.weight", true},
     {"layer.{i}.attention.key", "dense", "blk.{i}.attn_k.weight", true},
     {"layer.{i}.attention.value", "dense", "blk.{i}.attn_v.weight"},
     {"layer.{i}.attention.output", "dense", "blk.{i}.attn_output.weight"},
     {"layer.{i}.attention.query.bias", "bias", "blk.{i}.attn_q.bias", true, true},
     {"layer.{i}.attention.key.bias", "bias", "blk.{i}.attn_k.bias", true, true},
     {"layer.{i}.attention.value.bias", "bias", "blk.{i}.attn_v.bias", false, true},
     {"layer.{i}.attention.query.norm", "norm", "blk.{i}.attn_q_norm.weight", false, true},
     {"layer.{i}.attention.key.norm", "norm", "blk.{i}.attn_k_norm.weight", false, true},
     {"layer.{i}.attention.norm", "norm", "blk.{i}.attn_norm.weight"},
     {"layer.{i}.ffn.gate", "dense", "blk.{i}.ffn_gate.weight"},
     {"layer.{i}.ffn.up", "dense", "blk.{i}.ffn_up.weight"},
     {"layer.{i}.ffn.down", "dense", "blk.{i}.ffn_down.weight"},
     {"layer.{i}.ffn.norm", "norm", "blk.{i}.ffn_norm.weight"},
     {"norm", "norm", "output_norm.weight"},
     {"head.output", "vocab.output", "output.weight", false, true},
     {"", "", "rope_freqs.weight", false, true}}};
constexpr std::array<const char*, 4> kArchitectures{"llama", "mistral", "qwen2", "qwen3"};

std::string numbered(const char* text, std::int64_t layer) {
  std::string out = text;
  if (const auto at = out.find("{i}"); at != std::string::npos) out.replace(at, 3, std::to_string(layer));
  return out;
}

struct Place {
  std::string ours, role, theirs;
  int layer = -1;
  bool interleaved = false;
};

/// A file with what its metadata say of the model.
class Opened {
 public:
  explicit Opened(const fs::path& path) : file(path) {
    architecture = std::string(file.text("general.architecture").value_or(""));
    if (std::find(kArchitectures.begin(), kArchitectures.end(), architecture) == kArchitectures.end())
      file.refuse("models of the architecture " + xp::backquoted(xp::printable(architecture)) +
                  " are not read; read are " + xp::listed({kArchitectures.begin(), kArchitectures.end()}));
    heads = whole("attention.head_count"), layers = whole("block_count");
    kv_heads = file.integer(key("attention.head_count_kv")).value_or(heads);
    settings = read_settings();
    list_places();
  }

  Tensor tensor(const Place& place) const {
    const auto& from = file.at(place.theirs);
    auto out = xp::ops::empty(from.shape, at::kFloat);
    xp::dequantise(from.type, from.data.data(), from.count, out.mutable_data_ptr<float>());
    xp::drop_mapped_pages(from.data.data(), from.data.size());
    if (!place.interleaved) return out;
    const auto n = place.ours.find("key") != std::string::npos ? kv_heads : heads;
    if (n <= 0 || out.size(0) % (2 * n) != 0)
      file.refuse("tensor " + xp::backquoted(place.theirs) + " has " + std::to_string(out.size(0)) + " rows for " +
                  std::to_string(n) + " heads");
    return out.reshape({n, out.size(0) / n / 2, 2, -1}).transpose(1, 2).reshape(from.shape).contiguous();
  }

  xp::Strings lost() const {
    xp::Strings out;
    for (const auto& [name, tensor] : file.tensors())
      if (name != "rope_freqs.weight" &&
          std::none_of(places.begin(), places.end(), [&, &n = name](const auto& one) { return one.theirs == n; }))
        out.push_back("tensor " + name);
    return out;
  }

  xp::GgufFile file;
  std::string architecture;
  std::int64_t heads = 0, kv_heads = 0, layers = 0;
  xp::Table settings;
  std::vector<Place> places;

 private:
  std::string key(const char* name) const { return architecture + "." + name; }
  bool has(const std::string& name) const { return file.tensors().contains(name); }
  std::int64_t whole(const char* name) const {
    const auto n = file.integer(key(name));
    if (!n || *n < 1 || *n > (1 << 24)) file.refuse("it has no usable number " + xp::backquoted(key(name)));
    return *n;
  }

  xp::Table read_settings() const {
    const auto width = whole("embedding_length");
    const auto head = file.integer(key("attention.key_length")).value_or(heads > 0 ? width / heads : 0);
    xp::Table out{{"kind", "decoder"},
                  {"norm_position", "pre"},
                  {"norm", "rms"},
                  {"bias", false},
                  {"vocab_bias", false},
                  {"head", "linear"},
                  {"positions", "rotary"},
                  {"activation", "swiglu"},
                  {"layers", layers},
                  {"width", width},
                  {"heads", heads},
                  {"kv_heads", kv_heads},
                  {"head_size", head},
                  {"ffn", whole("feed_forward_length")},
                  {"max_time", whole("context_length")},
                  {"norm_epsilon", file.real(key("attention.layer_norm_rms_epsilon")).value_or(1e-5)},
                  {"rope_theta", file.real(key("rope.freq_base")).value_or(10000.0)},
                  {"qkv_bias", has("blk.0.attn_q.bias")},
                  {"qk_norm", has("blk.0.attn_q_norm.weight")},
                  {"tied", !has("output.weight")}};
    if (const auto turned = file.integer(key("rope.dimension_count")); turned && *turned != head)
      file.refuse("only " + std::to_string(*turned) + " of a head's " + std::to_string(head) +
                  " numbers are turned by their position; models here turn all");
    const auto scaling = file.text(key("rope.scaling.type")).value_or("none");
    if (scaling == "linear" || scaling == "yarn") {
      out.insert_or_assign("rope_scaling", xp::Value(scaling));
      out.insert_or_assign("rope_factor", file.real(key("rope.scaling.factor")).value_or(1.0));
      out.insert_or_assign(
          "rope_time", file.integer(key("rope.scaling.original_context_length")).value_or(whole("context_length")));
      if (scaling == "yarn") out.insert_or_assign("rope_high", 32.0);
    } else if (scaling != "none" || has("rope_freqs.weight")) {
      file.refuse("rotary positions are scaled in a way that no model here follows");
    }
    return out;
  }

  void list_places() {
    const bool pairs = architecture == "llama" || architecture == "mistral";
    for (const auto& name : kNames) {
      if (!*name.ours) continue;
      const bool by_layer = std::string_view(name.ours).find("{i}") != std::string_view::npos;
      for (std::int64_t i = 0; i < (by_layer ? layers : 1); ++i) {
        Place place{numbered(name.ours, i), name.role, numbered(name.theirs, i), by_layer ? static_cast<int>(i) : -1,
                    pairs && name.interleaved};
        if (has(place.theirs))
          places.push_back(std::move(place));
        else if (!name.optional)
          file.at(place.theirs);  // says what there is
      }
    }
  }
};

constexpr std::array<std::pair<const char*, const char*>, 5> kPurposes{
    {{"begin", "bos"}, {"end", "eos"}, {"pad", "padding"}, {"unk", "unknown"}, {"mask", "mask"}}};

class Gguf final : public xp::Format {
 public:
  struct Params {
    static void describe(xp::Fields<Params>& f) { f.gives("model", "transformer"); }
  };
  explicit Gguf(Params) {}

  bool recognises(const fs::path& path) const override {
    std::error_code none;
    if (!fs::is_regular_file(path, none)) return false;
    const xp::MappedFile file(path);
    return file.text().starts_with("GGUF") || file.text().starts_with("FUGG");
  }

  xp::Imported read(const fs::path& path) const override {
    const Opened opened(path);
    xp::Imported out;
    xp::Checkpoint checkpoint{.type = "transformer", .settings = opened.settings, .parameters = {}, .reserved = {}};
    out.tokenizer = tokenizer(opened);  // before the tensors: what reading it needs for a while does not add to them
    for (const auto& place : opened.places) {
      checkpoint.parameters.info.push_back({place.ours, place.role, place.layer});
      checkpoint.parameters.values.push_back(opened.tensor(place));
    }
    for (const auto& [purpose, id] : out.tokenizer->purposes()) checkpoint.reserved[purpose] = id;
    out.checkpoint = std::move(checkpoint);
    out.lost = opened.lost();
    return out;
  }

  std::shared_ptr<const xp::Encoder> read_tokenizer(const fs::path& path) const override {
    return tokenizer(Opened(path));
  }

  xp::FormatReport report(const fs::path& path) const override {
    const Opened opened(path);
    xp::FormatReport out;
    out.family = opened.architecture, out.settings = opened.settings;
    for (const auto& [name, tensor] : opened.file.tensors()) {
      xp::TensorReport one{name, std::string(xp::ggml_layout(tensor.type).name), tensor.shape};
      for (const auto& place : opened.places)
        if (place.theirs == name) one.ours = place.ours, one.role = place.role;
      out.tensors.push_back(std::move(one));
    }
    out.lost = opened.lost();
    return out;
  }

 private:
  static std::shared_ptr<const xp::Encoder> tokenizer(const Opened& opened) {
    xp::Purposes purposes;
    for (const auto& [purpose, key] : kPurposes)
      if (const auto id = opened.file.integer(std::string("tokenizer.ggml.") + key + "_token_id"))
        purposes.emplace(purpose, static_cast<xp::TokenId>(*id));
    return xp::pipeline::read_pipeline(xp::gguf_tokenizer_json(opened.file), opened.file.path().string(), purposes);
  }
};

}  // namespace

XP_PLUGIN(gguf) { registry.add<Gguf>("gguf", "GGUF files of Llama-like decoders, read with their tokenizer."); }
