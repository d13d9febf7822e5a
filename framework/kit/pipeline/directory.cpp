#include "kit/pipeline/directory.h"

#include <array>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/pipeline/json_text.h"
#include "kit/pipeline/steps.h"

namespace xp::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

struct SpecialName {
  const char *key, *purpose;
};
constexpr std::array<SpecialName, 7> kSpecialNames{{{"unk_token", "unk"},
                                                    {"pad_token", "pad"},
                                                    {"mask_token", "mask"},
                                                    {"cls_token", "begin"},
                                                    {"sep_token", "end"},
                                                    {"bos_token", "begin"},
                                                    {"eos_token", "end"}}};

/// A special token of a configuration: a text, or a table with `content`. Null and what is missing give nothing.
std::optional<Json> special_entry(const Json& config, const char* key, const std::string& place) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return Json{{"content", *found}};
  if (found->is_object() && found->contains("content") && found->at("content").is_string()) return *found;
  throw Error(place + ": " + key + " is neither a text nor a table with a text `content`", Exit::data);
}

Json parse_config(std::string_view text, const std::string& place) {
  if (trim(text).empty()) return Json::object();
  Json config = parse_json(text, place);
  if (!config.is_object()) throw Error(place + " is no table", Exit::data);
  return config;
}

Json config_of(const fs::path& file) {
  return fs::exists(file) ? parse_config(read_file(file, kMostBytes), file.string()) : Json::object();
}

std::string text_of(const fs::path& file) { return fs::exists(file) ? read_file(file, kMostBytes) : std::string(); }

bool config_flag(const Json& config, const char* key, bool otherwise, const std::string& place) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) throw Error(place + ": " + key + " is neither true nor false", Exit::data);
  return found->get<bool>();
}

/// The special tokens in the file's form, as a tokenizer class sets them up, and where they are in the vocabulary.
class SpecialList {
 public:
  SpecialList(const Json& config, std::string place, const Json& vocabulary)
      : config_(config), place_(std::move(place)), vocabulary_(vocabulary), free_(vocabulary.size()) {}

  /// Adds the token of a role, which is `usual` unless the configuration says otherwise; returns its text.
  std::string add(const char* key, const char* usual) {
    const auto entry = special_entry(config_, key, place_);
    Json token = entry.value_or(Json{{"content", usual}});
    const std::string text = token.at("content").get<std::string>();
    put(token, text, true);
    return text;
  }

  /// The further tokens of `added_tokens_decoder`.
  void add_rest() {
    const auto rest = config_.find("added_tokens_decoder");
    if (rest == config_.end() || !rest->is_object()) return;
    std::map<std::int64_t, const Json*> by_id;
    for (const auto& [id, token] : rest->items()) {
      const bool is_id = !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == std::string::npos;
      if (!is_id || !token.is_object() || !token.contains("content") || !token["content"].is_string())
        throw Error(place_ + ": added_tokens_decoder has an entry " + backquoted(printable(id)) +
                        " that is no { id: table with a text `content` }",
                    Exit::data);
      by_id[std::stoll(id)] = &token;
    }
    for (const auto& [id, token] : by_id) {
      const std::string text = token->at("content").get<std::string>();
      put(*token, text, config_flag(*token, "special", false, place_));
    }
  }

  Json list() const {
    Json out = Json::array();
    for (const auto& [id, token] : tokens_) out.push_back(token);
    return out;
  }
  std::int64_t id(const std::string& text) const { return ids_.at(text); }

 private:
  void put(const Json& token, const std::string& text, bool special) {
    if (ids_.contains(text)) return;
    const auto known = vocabulary_.find(text);
    const std::int64_t id =
        known == vocabulary_.end() ? static_cast<std::int64_t>(free_++) : known->get<std::int64_t>();
    ids_[text] = id;
    Json& out = tokens_[id];
    out = {{"id", id}, {"content", text}, {"special", special}};
    for (const char* key : {"single_word", "lstrip", "rstrip"}) out[key] = config_flag(token, key, false, place_);
    out["normalized"] = config_flag(token, "normalized", !special, place_);
  }

  const Json& config_;
  std::string place_;
  const Json& vocabulary_;
  std::size_t free_;
  std::map<std::string, std::int64_t> ids_;
  std::map<std::int64_t, Json> tokens_;
};

Json special_piece(const std::string& text, int type) {
  return {{"SpecialToken", {{"id", text}, {"type_id", type}}}};
}
Json text_piece(const char* which, int type) { return {{"Sequence", {{"id", which}, {"type_id", type}}}}; }

Json byte_level(bool prefix_space) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", true}};
}

Json whole_file(Json added, Json normalizer, Json pre_tokenizer, Json post_processor, Json decoder, Json model) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", std::move(normalizer)},
          {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", std::move(post_processor)},
          {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

/// The lines of a text; a last line end makes no further line.
std::vector<std::string_view> text_lines(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + (text.substr(end).starts_with("\r\n") ? 2 : 1);
  }
  return out;
}

Json vocabulary_of_lines(std::string_view text, const std::string& name) {
  Json out = Json::object();
  std::size_t line = 0;
  for (const auto token : text_lines(text)) {
    if (!is_utf8(token)) throw Error(name + ":" + std::to_string(line + 1) + ": this is no UTF-8", Exit::data);
    const auto [there, fresh] = out.get_ref<Json::object_t&>().try_emplace(std::string(token), line);
    if (!fresh)
      throw Error(name + ":" + std::to_string(line + 1) + ": the token " + backquoted(printable(token)) +
                      " is also in line " + std::to_string(there->second.get<std::size_t>() + 1),
                  Exit::data);
    ++line;
  }
  if (line == 0) throw Error(name + " holds no token", Exit::data);
  return out;
}

Json merges_of_lines(std::string_view text, const std::string& name) {
  Json out = Json::array();
  std::size_t line = 0;
  for (const auto merge : text_lines(text)) {
    ++line;
    if (merge.empty() || merge.starts_with("#version")) continue;
    const auto blank = merge.find(' ');
    if (blank == merge.npos || merge.find(' ', blank + 1) != merge.npos || !is_utf8(merge))
      throw Error(name + ":" + std::to_string(line) + ": two tokens with one space between are expected", Exit::data);
    out.push_back({merge.substr(0, blank), merge.substr(blank + 1)});
  }
  return out;
}

bool looks_like_roberta(const Json& config, const Json& vocabulary) {
  const auto name = config.find("tokenizer_class");
  if (name != config.end() && name->is_string()) {
    const std::string text = name->get<std::string>();
    if (text.find("GPT2") != text.npos) return false;
    if (text.find("Roberta") != text.npos) return true;
  }
  return vocabulary.contains("<s>") && vocabulary.contains("</s>") && vocabulary.contains("<mask>");
}

}  // namespace

SpecialTokens special_tokens_of_directory(const fs::path& folder) {
  SpecialTokens out;
  for (const char* file : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const Json config = config_of(folder / file);
    for (const auto& name : kSpecialNames)
      if (const auto entry = special_entry(config, name.key, (folder / file).string()))
        out.emplace(name.purpose, entry->at("content").get<std::string>());
  }
  return out;
}

Purposes purposes_of_directory(const fs::path& folder) {
  const auto named = special_tokens_of_directory(folder);
  const auto pipeline = read_pipeline_path(folder);
  Purposes out;
  for (const auto& [purpose, id] : pipeline->purposes())
    if (named.contains(purpose)) out.emplace(purpose, id);
  return out;
}

std::unique_ptr<const Pipeline> read_pipeline_path(const fs::path& path, Purposes purposes) {
  if (!fs::is_directory(path)) return read_pipeline(read_file(path, kMostBytes), path.string(), std::move(purposes));
  const auto special = special_tokens_of_directory(path);
  if (const auto file = path / "tokenizer.json"; fs::exists(file))
    return read_pipeline(read_file(file, kMostBytes), file.string(), std::move(purposes), special);
  const std::string config = text_of(path / "tokenizer_config.json");
  if (const auto file = path / "vocab.txt"; fs::exists(file))
    return read_pipeline(pipeline_json_of_vocab_txt(read_file(file, kMostBytes), config, file.string()),
                         file.string(), std::move(purposes), special);
  const auto file = path / "vocab.json", merges = path / "merges.txt";
  if (fs::exists(file) && fs::exists(merges))
    return read_pipeline(pipeline_json_of_vocab_and_merges(read_file(file, kMostBytes), read_file(merges, kMostBytes),
                                                           config, file.string()),
                         file.string(), std::move(purposes), special);
  throw Error(
      path.string() + " holds no tokenizer: neither tokenizer.json nor vocab.txt nor vocab.json with merges.txt",
      Exit::data);
}

std::string pipeline_json_of_vocab_txt(std::string_view text, std::string_view config_text, const std::string& name) {
  const Json config = parse_config(config_text, name + " (tokenizer_config.json)");
  const std::string place = name + " (tokenizer_config.json)";
  Json vocabulary = vocabulary_of_lines(text, name);
  SpecialList special(config, place, vocabulary);
  const auto unknown = special.add("unk_token", "[UNK]"), end = special.add("sep_token", "[SEP]");
  special.add("pad_token", "[PAD]");
  const auto begin = special.add("cls_token", "[CLS]");
  special.add("mask_token", "[MASK]");
  special.add_rest();
  const bool has_accents = config.contains("strip_accents") && !config["strip_accents"].is_null();
  const Json normalizer = {
      {"type", "BertNormalizer"},
      {"clean_text", true},
      {"handle_chinese_chars", config_flag(config, "tokenize_chinese_chars", true, place)},
      {"strip_accents", has_accents ? Json(config_flag(config, "strip_accents", false, place)) : Json()},
      {"lowercase", config_flag(config, "do_lower_case", true, place)}};
  const auto special_token = [&](const std::string& token) {
    return Json{{"id", token}, {"ids", {special.id(token)}}, {"tokens", {token}}};
  };
  const Json pair = {special_piece(begin, 0), text_piece("A", 0), special_piece(end, 0), text_piece("B", 1),
                     special_piece(end, 1)};
  const Json post_processor = {{"type", "TemplateProcessing"},
                               {"single", {special_piece(begin, 0), text_piece("A", 0), special_piece(end, 0)}},
                               {"pair", pair},
                               {"special_tokens", {{begin, special_token(begin)}, {end, special_token(end)}}}};
  Json model = {{"type", "WordPiece"},
                {"unk_token", unknown},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", 100},
                {"vocab", std::move(vocabulary)}};
  return whole_file(special.list(), normalizer, {{"type", "BertPreTokenizer"}}, post_processor,
                    {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}, std::move(model))
      .dump();
}

std::string pipeline_json_of_vocab_and_merges(std::string_view text, std::string_view merges,
                                              std::string_view config_text, const std::string& name) {
  const std::string place = name + " (tokenizer_config.json)";
  const Json config = parse_config(config_text, place);
  Json vocabulary = parse_json(text, name);
  if (!vocabulary.is_object()) throw Error(name + " is no table { token: id }", Exit::data);
  for (const auto& [token, id] : vocabulary.items())
    if (!id.is_number_unsigned())
      throw Error(name + ": token " + backquoted(printable(token)) + " has an id that is no whole number",
                  Exit::data);
  const bool roberta = looks_like_roberta(config, vocabulary);
  const bool prefix_space = config_flag(config, "add_prefix_space", false, place);
  SpecialList special(config, place, vocabulary);
  std::string begin, end;
  if (roberta) {
    special.add("bos_token", "<s>"), special.add("eos_token", "</s>"), special.add("unk_token", "<unk>");
    end = special.add("sep_token", "</s>");
    special.add("pad_token", "<pad>");
    begin = special.add("cls_token", "<s>");
    special.add("mask_token", "<mask>");
  } else {
    special.add("bos_token", "<|endoftext|>"), special.add("eos_token", "<|endoftext|>");
    special.add("unk_token", "<|endoftext|>");
    if (special_entry(config, "pad_token", place)) special.add("pad_token", "");
  }
  special.add_rest();
  Json post_processor;
  if (roberta) {
    post_processor = {{"type", "RobertaProcessing"},
                      {"sep", {end, special.id(end)}},
                      {"cls", {begin, special.id(begin)}},
                      {"trim_offsets", config_flag(config, "trim_offsets", true, place)},
                      {"add_prefix_space", prefix_space}};
  } else {
    post_processor = {{"type", "TemplateProcessing"},
                      {"single", {text_piece("A", 0)}},
                      {"pair", {text_piece("A", 0), text_piece("B", 1)}},
                      {"special_tokens", Json::object()}};
  }
  Json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", ""},
                {"end_of_word_suffix", ""},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", false},
                {"vocab", std::move(vocabulary)},
                {"merges", merges_of_lines(merges, name + " (merges.txt)")}};
  return whole_file(special.list(), nullptr, byte_level(prefix_space), post_processor, byte_level(true),
                    std::move(model))
      .dump();
}

bool has_tokenizer_files(const fs::path& folder) {
  const auto there = [&](const char* name) {
    std::error_code none;
    return fs::is_regular_file(folder / name, none);
  };
  return there("tokenizer.json") || there("vocab.txt") || (there("vocab.json") && there("merges.txt"));
}

std::map<std::string, std::string> special_tokens_map(const Encoder& encoder) {
  std::map<std::string, std::string> out;
  for (const auto& [key, purpose] :
       {std::pair("bos_token", "begin"), std::pair("eos_token", "end"), std::pair("cls_token", "begin"),
        std::pair("sep_token", "end"), std::pair("pad_token", "pad"), std::pair("unk_token", "unk"),
        std::pair("mask_token", "mask")})
    if (const auto id = encoder.reserved(purpose)) out[key] = encoder.text(*id);
  return out;
}

}  // namespace xp::pipeline
