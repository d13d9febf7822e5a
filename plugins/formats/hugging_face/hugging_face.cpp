// Model directories of the Hugging Face library: config.json, safetensors (whole or in shards), tokenizer files.
#include "base/text.h"
#include "directory.h"
#include "draft.h"
#include "kit/tensors.h"
#include "opened.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;
using namespace xp::hugging_face;

class HuggingFace final : public xp::Format {
 public:
  struct Params {
    std::int64_t shard_mb = 5000;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::shard_mb, "shard_mb", "Largest file of tensors that is written, in 10^6 bytes.").min(1);
      f.gives("model", "transformer");
    }
  };
  explicit HuggingFace(Params params) : p_(params) {}

  bool recognises(const fs::path& path) const override { return has_model(path) || has_tokenizer(path); }

  xp::Imported read(const fs::path& path) const override {
    xp::Imported out;
    out.tokenizer = read_tokenizer(path);
    if (!has_model(path)) return out;
    const Opened opened(path);
    out.checkpoint = opened.checkpoint(out.tokenizer.get());
    out.checkpoint->type = kModel;
    for (auto& tower : out.checkpoint->towers) tower.type = kModel;
    out.lost = opened.lost();
    return out;
  }

  std::shared_ptr<const xp::Encoder> read_tokenizer(const fs::path& path) const override {
    return xp::hugging_face::read_tokenizer(path);
  }

  xp::FormatReport report(const fs::path& path) const override {
    if (!has_model(path)) return {};
    const Opened opened(path);
    std::map<std::string, const TensorPlace*> places;
    std::map<std::string, std::string> names;
    for (const auto& part : opened.parts())
      for (const auto& place : part.places) {
        if (!opened.files().tensors().contains(place.theirs))
          throw xp::Error(path.string() + " has no tensor " + xp::backquoted(place.theirs), xp::Exit::data);
        places.emplace(place.theirs, &place);
        auto& all = names[place.theirs];
        all += (all.empty() ? "" : ", ") + (opened.parts().size() > 1 ? part.role + "." : "") + place.ours;
      }
    xp::FormatReport out;
    out.family = opened.config().at("model_type"), out.settings = opened.settings();
    for (const auto& [name, bytes] : opened.files().tensors()) {
      xp::TensorReport one{name, bytes.dtype, bytes.shape};
      if (const auto found = places.find(name); found != places.end())
        one.ours = names[name], one.role = found->second->role;
      else if (opened.scalars().contains(name))
        one.ours = name, one.role = kScalar;
      out.tensors.push_back(std::move(one));
    }
    out.lost = opened.lost();
    return out;
  }

  bool writes() const override { return true; }

  void write(const fs::path& path, const xp::Checkpoint& checkpoint, const xp::Encoder* tokenizer) const override {
    if (checkpoint.type != kModel)
      throw xp::Error(
          "a model of type " + xp::backquoted(checkpoint.type) + " has no family in the Hugging Face library",
          xp::Exit::data);
    auto draft = draft_of(checkpoint);
    const auto& tensors = draft.tensors;
    if (!tensors.empty())
      draft.config["torch_dtype"] = torch_name(xp::dtype_name(tensors.begin()->second.scalar_type()));
    NewDirectory out(path);
    out.write_config(draft.config, draft.tokens, tokenizer);
    if (!draft.preprocessor.is_null()) out.write_preprocessor(draft.preprocessor);
    std::map<std::string, xp::TensorBytes> bytes;
    for (const auto& [name, tensor] : tensors) bytes.emplace(name, xp::bytes_of(tensor));
    xp::write_tensor_files(out.folder(), bytes, {{"format", "pt"}}, most_bytes());
    if (tokenizer) out.write_tokenizer(*tokenizer);
    out.publish();
  }

  void rewrite(const fs::path& path, const fs::path& from, const xp::Parameters& tables,
               const xp::Encoder& tokenizer) const override {
    const Opened opened(from);
    const auto rows = rows_of(tables);
    if (rows == 0) throw xp::Error("the model has no parameter with the role `vocab.input`");
    const auto [config, tokens] = opened.config_for(rows);
    Assembly assembly;
    for (xp::Param i = 0; i < tables.size(); ++i)
      assembly.add(opened.table_place(tables.info[i].name), tables.values[i]);
    const auto changed = assembly.finish();
    auto bytes = opened.files().tensors();
    for (const auto& [name, tensor] : changed) bytes.at(name) = xp::bytes_of(tensor);
    for (const auto& [name, of] : opened.copies())
      if (bytes.contains(name) && changed.contains(of) && !changed.contains(name)) bytes.at(name) = bytes.at(of);
    NewDirectory out(path);
    out.copy_others(from);
    out.write_config(config, tokens, &tokenizer, xp::hugging_face::read_tokenizer(from).get());
    xp::write_tensor_files(out.folder(), bytes, opened.files().metadata(), most_bytes());
    out.write_tokenizer(tokenizer);
    out.publish();
  }

 private:
  static constexpr const char* kModel = "transformer";
  std::uint64_t most_bytes() const { return static_cast<std::uint64_t>(p_.shard_mb) * 1'000'000; }

  Params p_;
};

}  // namespace

XP_PLUGIN(hugging_face) {
  registry.add<HuggingFace>("hugging_face", "Model directories of the Hugging Face library.");
}
