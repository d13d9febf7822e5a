#include "directory.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/files/strict_json.h"
#include "kit/pipeline/directory.h"

namespace xp::hugging_face {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::uint64_t kMostText = std::uint64_t{1} << 30;  // of a JSON file: real vocabularies have up to 40 MB

/// Purposes and the keys of config.json that hold their ids, the first of which is written where there is none.
struct IdKey {
  const char* purpose;
  const char* key;
};
constexpr std::array<IdKey, 7> kIds{{{"begin", "bos_token_id"},
                                     {"end", "eos_token_id"},
                                     {"pad", "pad_token_id"},
                                     {"mask", "mask_token_id"},
                                     {"unk", "unk_token_id"},
                                     {"begin", "cls_token_id"},
                                     {"end", "sep_token_id"}}};

bool is_tokenizer_file(const std::string& name) {
  static const std::array<std::string_view, 10> names{"tokenizer.json",
                                                      "tokenizer_config.json",
                                                      "special_tokens_map.json",
                                                      "vocab.txt",
                                                      "vocab.json",
                                                      "merges.txt",
                                                      "added_tokens.json",
                                                      "tokenizer.model",
                                                      "spiece.model",
                                                      "sentencepiece.bpe.model"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_weights(const fs::path& file) {
  static const std::array<std::string_view, 9> endings{".safetensors", ".bin", ".h5",  ".onnx", ".msgpack",
                                                       ".ot",          ".pt",  ".pth", ".gguf"};
  return std::find(endings.begin(), endings.end(), file.extension().string()) != endings.end() ||
         file.filename().string().ends_with(".index.json");
}

}  // namespace

bool has_model(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path / "config.json", none) &&
         (fs::is_regular_file(path / "model.safetensors", none) ||
          fs::is_regular_file(path / "model.safetensors.index.json", none));
}

bool has_tokenizer(const fs::path& path) { return pipeline::has_tokenizer_files(path); }

Json read_config(const fs::path& file) {
  auto config = parse_strict_json(read_file(file, kMostText), file.string());
  if (!config.is_object()) throw Error(file.string() + " is no table of settings", Exit::data);
  return config;
}

Json read_preprocessor(const fs::path& folder) {
  std::error_code none;
  if (const auto file = folder / "preprocessor_config.json"; fs::is_regular_file(file, none))
    return read_config(file);
  const auto file = folder / "processor_config.json";
  if (!fs::is_regular_file(file, none)) return {};
  const auto all = read_config(file);
  const auto found = all.find("image_processor");
  return found != all.end() && found->is_object() ? *found : Json();
}

Json with_ids(Json config, const IdOf& id_of, const IdOf& old) {
  const auto unchanged = [&](const char* purpose) { return old && old(purpose) == id_of(purpose); };
  for (const auto& [purpose, key] : kIds) {
    if (unchanged(purpose)) continue;
    const auto id = id_of(purpose);
    if (config.contains(key) && !config[key].is_null())
      config[key] = id ? Json(*id) : Json();
    else if (id && (std::string_view(key) == "pad_token_id" || std::string_view(key) == "eos_token_id" ||
                    std::string_view(key) == "bos_token_id"))
      config[key] = *id;
  }
  if (config.contains("decoder_start_token_id") && !unchanged("pad"))
    if (const auto pad = id_of("pad")) config["decoder_start_token_id"] = *pad;
  return config;
}

std::optional<std::string> pooling_of(const fs::path& folder) {
  const auto file = folder / "1_Pooling" / "config.json";
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return std::nullopt;
  const auto config = read_config(file);
  std::optional<std::string> out;
  for (const auto& [key, value] : config.items()) {
    if (!key.starts_with("pooling_mode_") || value != true) continue;
    const auto name = key == "pooling_mode_mean_tokens" ? "mean"
                      : key == "pooling_mode_cls_token" ? "first"
                      : key == "pooling_mode_lasttoken" ? "last"
                                                        : "";
    if (!*name || out)
      throw Error(file.string() + ": " + backquoted(printable(key)) + " is a pooling that no model here does",
                  Exit::data);
    out = name;
  }
  return out;
}

std::shared_ptr<const Encoder> read_tokenizer(const fs::path& folder) {
  if (!has_tokenizer(folder)) return nullptr;
  Purposes known;
  std::error_code none;
  if (fs::is_regular_file(folder / "config.json", none)) {
    const auto config = read_config(folder / "config.json");
    if (const auto start = config.find("decoder_start_token_id");
        start != config.end() && start->is_number_integer()) {
      const auto id = start->get<std::int64_t>();
      if (id < 0 || id > std::numeric_limits<TokenId>::max())
        throw Error((folder / "config.json").string() + ": `decoder_start_token_id` is " + start->dump() +
                        "; an id from 0 to 2147483647 is expected",
                    Exit::data);
      known.emplace("start", static_cast<TokenId>(id));
    }
  }
  return pipeline::read_pipeline_path(folder, known);
}

std::string torch_name(const std::string& dtype) {
  return dtype == "F32" ? "float32" : dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float64";
}

NewDirectory::NewDirectory(fs::path path) : path_(std::move(path)) {
  std::error_code none;
  if (fs::exists(path_, none))
    throw Error(path_.string() + " is there already; name a folder that is not", Exit::usage);
  const auto parent = fs::absolute(path_).lexically_normal().parent_path();
  fs::create_directories(parent);
  folder_ = make_scratch(parent, path_.filename().string() + ".partial-");
}

NewDirectory::~NewDirectory() {
  std::error_code none;
  if (!published_) fs::remove_all(folder_, none);
}

void NewDirectory::write_config(Json config, const std::string& tokens, const Encoder* tokenizer,
                                const Encoder* old) const {
  const auto ids_of = [](const Encoder* encoder) -> IdOf {
    if (!encoder) return {};
    return [encoder](std::string_view purpose) -> std::optional<std::int64_t> {
      const auto id = encoder->reserved(purpose);
      return id ? std::optional<std::int64_t>(*id) : std::nullopt;
    };
  };
  const auto id_of = ids_of(tokenizer), before = ids_of(old);
  if (tokenizer) {
    auto& part = tokens.empty() ? config : config.at(tokens);
    part = with_ids(std::move(part), id_of, before);
  }
  write_file(folder_ / "config.json", config.dump(2) + "\n");
  const auto generation = folder_ / "generation_config.json";
  if (tokenizer && fs::exists(generation))
    write_file(generation, with_ids(read_config(generation), id_of, before).dump(2) + "\n");
}

void NewDirectory::write_preprocessor(const Json& preprocessor) const {
  write_file(folder_ / "preprocessor_config.json", preprocessor.dump(2) + "\n");
}

void NewDirectory::write_tokenizer(const Encoder& tokenizer) const {
  write_file(folder_ / "tokenizer.json", tokenizer.json());
  const Json special = pipeline::special_tokens_map(tokenizer);
  write_file(folder_ / "special_tokens_map.json", special.dump(2) + "\n");
  auto config = special;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  write_file(folder_ / "tokenizer_config.json", config.dump(2) + "\n");
}

void NewDirectory::copy_others(const fs::path& from) const {
  for (const auto& entry : fs::directory_iterator(from)) {
    const auto name = entry.path().filename();
    if (entry.is_regular_file() && !is_weights(name) && !is_tokenizer_file(name.string()) && name != "config.json")
      fs::copy_file(entry.path(), folder_ / name);
    // Poolings and dense layers of sentence encoders lie in folders of their own.
    if (!entry.is_directory() || entry.is_symlink() || !fs::exists(entry.path() / "config.json")) continue;
    fs::create_directories(folder_ / name);
    for (const auto& inner : fs::directory_iterator(entry.path()))
      if (inner.is_regular_file()) fs::copy_file(inner.path(), folder_ / name / inner.path().filename());
  }
}

void NewDirectory::publish() {
  for (const auto& entry : fs::recursive_directory_iterator(folder_))
    if (entry.is_regular_file()) sync_path(entry.path());
  fs::rename(folder_, path_);
  published_ = true;
  sync_path(fs::absolute(path_).lexically_normal().parent_path());
}

}  // namespace xp::hugging_face
