// Model directories of the Hugging Face library: config.json, safetensors (whole or in shards), tokenizer files.
#include <algorithm>
#include <set>

#include "api/format.h"
#include "api/ops.h"
#include "base/file.h"
#include "base/text.h"
#include "directory.h"
#include "family.h"
#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;
using namespace xp::hugging_face;
using at::Tensor;

/// A directory that was opened: its configuration and its tensors by name, none of them read.
struct Opened {
  fs::path folder;
  Json config;
  std::shared_ptr<const xp::TensorFiles> files;
  const Family* family = nullptr;
  xp::Table settings;
  bool prefixed = false;
  std::vector<TensorPlace> places;

  explicit Opened(const fs::path& path) : folder(path) {
    const auto file = path / "config.json";
    config = read_config(file);
    family = &Family::of(config, file.string());
    files = std::make_shared<const xp::TensorFiles>(path);
    const auto has = [this](const std::string& name) { return files->tensors().contains(name); };
    settings = family->settings(config, has, file.string());
    if (const auto pooling = pooling_of(path)) settings.insert_or_assign("pooling", xp::Value(*pooling));
    prefixed = family->prefixed(has);
    places = family->tensors(settings, prefixed);
  }

  /// What is in the files and in no place.
  xp::Strings lost() const {
    std::set<std::string> used;
    for (const auto& place : places) used.insert(place.theirs);
    for (const auto& [name, of] : family->copies()) used.insert(name);
    xp::Strings out = files->lost();
    for (const auto& [name, bytes] : files->tensors())
      if (!used.contains(name) && !family->derived(name)) out.push_back("tensor " + name);
    return out;
  }
};

/// The tensor as it lies here.
Tensor ours(Tensor theirs, const TensorPlace& place) {
  if (place.transposed) theirs = theirs.t();
  return place.of > 1 ? theirs.chunk(place.of, 0)[static_cast<std::size_t>(place.part)] : theirs;
}

xp::Parameters parameters(const Opened& from) {
  xp::Parameters out;
  std::map<std::string, Tensor> known;
  for (const auto& place : from.places) {
    auto& tensor = known[place.theirs];
    if (!tensor.defined()) {
      tensor = xp::view_of(from.files->at(place.theirs), from.files);
      if (!tensor.is_floating_point())
        throw xp::Error(from.folder.string() + ": tensor " + xp::backquoted(place.theirs) + " has numbers of type " +
                            from.files->at(place.theirs).dtype + "; weights are floating-point numbers",
                        xp::Exit::data);
      if (place.of > 1 && tensor.size(place.transposed ? 1 : 0) % place.of != 0)
        throw xp::Error(from.folder.string() + ": tensor " + xp::backquoted(place.theirs) + " cannot be cut into " +
                            std::to_string(place.of) + " equal parts",
                        xp::Exit::data);
    }
    out.info.push_back({place.ours, place.role, place.layer});
    out.values.push_back(ours(tensor, place));
  }
  return out;
}

/// Tensors by the names they have there, from parameters by ours.
class Assembly {
 public:
  void add(const TensorPlace& place, const Tensor& value) {
    auto& parts = parts_[place.theirs];
    parts.resize(static_cast<std::size_t>(place.of));
    parts[static_cast<std::size_t>(place.part)] = value;
    transposed_[place.theirs] = place.transposed;
  }
  std::map<std::string, Tensor> finish() {
    std::map<std::string, Tensor> out;
    for (auto& [name, parts] : parts_) {
      auto whole = parts.size() == 1 ? parts.front() : xp::ops::cat(parts);
      out[name] = (transposed_[name] ? whole.t() : whole).detach().cpu().contiguous();
    }
    return out;
  }

 private:
  std::map<std::string, std::vector<Tensor>> parts_;
  std::map<std::string, bool> transposed_;
};

/// Rows of a table as the settings name them, or none if there is no table.
std::int64_t rows_of(const xp::Parameters& tables) {
  for (xp::Param i = 0; i < tables.size(); ++i)
    if (tables.info[i].role == "vocab.input") return tables.values[i].size(0);
  throw xp::Error("the model has no parameter with the role `vocab.input`");
}

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
    xp::Checkpoint checkpoint{
        .type = kModel, .settings = opened.settings, .parameters = parameters(opened), .reserved = {}};
    if (out.tokenizer)
      for (const auto& [purpose, id] : out.tokenizer->purposes()) checkpoint.reserved[purpose] = id;
    out.checkpoint = std::move(checkpoint);
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
    for (const auto& place : opened.places) {
      places.emplace(place.theirs, &place);
      auto& all = names[place.theirs];
      all += (all.empty() ? "" : ", ") + place.ours;
    }
    xp::FormatReport out;
    out.family = opened.config.at("model_type"), out.settings = opened.settings;
    for (const auto& [name, bytes] : opened.files->tensors()) {
      xp::TensorReport one{name, bytes.dtype, bytes.shape};
      if (const auto found = places.find(name); found != places.end())
        one.ours = names[name], one.role = found->second->role;
      out.tensors.push_back(std::move(one));
    }
    for (const auto& place : opened.places)
      if (!opened.files->tensors().contains(place.theirs))
        throw xp::Error(path.string() + " has no tensor " + xp::backquoted(place.theirs), xp::Exit::data);
    out.lost = opened.lost();
    return out;
  }

  bool writes() const override { return true; }

  void write(const fs::path& path, const xp::Checkpoint& checkpoint, const xp::Encoder* tokenizer) const override {
    if (checkpoint.type != kModel)
      throw xp::Error(
          "a model of type " + xp::backquoted(checkpoint.type) + " has no family in the Hugging Face library",
          xp::Exit::data);
    const auto& settings = checkpoint.settings;
    const auto& family = Family::for_settings(settings);
    auto config = family.config(settings, "");
    config["vocab_size"] = rows_of(checkpoint.parameters);
    const auto head = settings.find("head");
    const bool prefixed = head != settings.end() && head->second != xp::Value("none");
    const auto& info = checkpoint.parameters.info;
    Assembly assembly;
    std::set<std::string> placed;
    for (const auto& place : family.tensors(settings, prefixed)) {
      assembly.add(place, checkpoint.parameters.values[checkpoint.parameters.find(place.ours)]);
      placed.insert(place.ours);
    }
    for (const auto& one : info)
      if (!placed.contains(one.name))
        throw xp::Error("the family " + xp::backquoted(family.model_type()) + " has no place for parameter " +
                            xp::backquoted(one.name),
                        xp::Exit::data);
    const auto tensors = assembly.finish();
    if (!tensors.empty()) config["torch_dtype"] = torch_name(xp::dtype_name(tensors.begin()->second.scalar_type()));
    NewDirectory out(path);
    out.write_config(config, tokenizer);
    std::map<std::string, xp::TensorBytes> bytes;
    for (const auto& [name, tensor] : tensors) bytes.emplace(name, xp::bytes_of(tensor));
    xp::write_tensor_files(out.folder(), bytes, {{"format", "pt"}}, most_bytes());
    if (tokenizer) out.write_tokenizer(*tokenizer);
    out.publish();
  }

  void rewrite(const fs::path& path, const fs::path& from, const xp::Parameters& tables,
               const xp::Encoder& tokenizer) const override {
    const Opened opened(from);
    auto config = opened.config;
    config["vocab_size"] = rows_of(tables);
    Assembly assembly;
    for (xp::Param i = 0; i < tables.size(); ++i) {
      const auto place = std::find_if(opened.places.begin(), opened.places.end(),
                                      [&](const auto& one) { return one.ours == tables.info[i].name; });
      if (place == opened.places.end())
        throw xp::Error(from.string() + " has no place for parameter " + xp::backquoted(tables.info[i].name));
      assembly.add(*place, tables.values[i]);
    }
    const auto changed = assembly.finish();
    auto bytes = opened.files->tensors();
    for (const auto& [name, tensor] : changed) bytes.at(name) = xp::bytes_of(tensor);
    for (const auto& [name, of] : opened.family->copies())
      if (bytes.contains(name) && changed.contains(of) && !changed.contains(name)) bytes.at(name) = bytes.at(of);
    NewDirectory out(path);
    out.copy_others(from);
    out.write_config(config, &tokenizer, xp::hugging_face::read_tokenizer(from).get());
    xp::write_tensor_files(out.folder(), bytes, opened.files->metadata(), most_bytes());
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
