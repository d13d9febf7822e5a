#include "kit/tokenizer_json.h"

#include "base/error.h"
#include "base/text.h"

namespace xp {
namespace {

using nlohmann::json;

[[noreturn]] void wrong(const std::string& text) { throw Error("tokenizer.json: " + text, Exit::data); }

std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', true);
  return backquoted(text.size() <= 200 ? text : text.substr(0, 200) + " ...");
}

void compare(const json& file, const char* part, const json& expected) {
  const auto found = file.find(part);
  const json there = found == file.end() ? json() : *found;
  if (there != expected)
    wrong(backquoted(part) + " is " + shown(there) + "; this tokenizer reads " + shown(expected));
}

json special_token(TokenId id, const std::string& token) {
  return {{"id", id},        {"content", token},    {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

}  // namespace

json vocabulary_object(const Vocabulary& vocabulary) {
  json out = json::object();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) out[vocabulary.tokens()[i]] = i;
  return out;
}

std::string write_tokenizer_json(const TokenizerParts& parts, const Vocabulary& vocabulary) {
  json added = json::array();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!vocabulary.purpose(id).empty()) added.push_back(special_token(id, vocabulary.text(id)));
  }
  const json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", std::move(added)},
                     {"normalizer", parts.normalizer},
                     {"pre_tokenizer", parts.pre_tokenizer},
                     {"post_processor", nullptr},
                     {"decoder", parts.decoder},
                     {"model", parts.model}};
  return file.dump(1) + "\n";
}

TokenizerFile::TokenizerFile(std::string_view text, std::string_view model_type) {
  try {
    file_ = json::parse(text);
  } catch (const json::exception& error) {
    wrong("this is no JSON: " + printable(utf8_slice(error.what(), 0, 200)));
  }
  if (!file_.is_object() || !file_.contains("model") || !file_["model"].is_object())
    wrong("there is no table `model`");
  const std::string type = model_text("type");
  if (type != model_type)
    wrong("the model is of type " + backquoted(type) + "; this tokenizer reads " + backquoted(model_type));
}

std::string TokenizerFile::model_text(const char* key) const {
  const auto found = model().find(key);
  if (found == model().end() || !found->is_string()) wrong("`model` has no text " + backquoted(key));
  return found->get<std::string>();
}

std::int64_t TokenizerFile::model_number(const char* key) const {
  const auto found = model().find(key);
  if (found == model().end() || !found->is_number_integer()) wrong("`model` has no whole number " + backquoted(key));
  return found->get<std::int64_t>();
}

bool TokenizerFile::model_flag(const char* key) const {
  const auto found = model().find(key);
  if (found == model().end() || !found->is_boolean()) wrong("`model` has no true or false " + backquoted(key));
  return found->get<bool>();
}

const json* TokenizerFile::find(const char* pointer) const {
  const json::json_pointer place(pointer);
  return file_.contains(place) ? &file_.at(place) : nullptr;
}

bool TokenizerFile::flag(const char* pointer) const {
  const json* found = find(pointer);
  if (found == nullptr || !found->is_boolean()) wrong("there is no true or false at " + backquoted(pointer));
  return found->get<bool>();
}

Vocabulary TokenizerFile::vocabulary(const Purposes& purposes) const {
  const auto vocab = model().find("vocab");
  if (vocab == model().end() || !vocab->is_object()) wrong("`model` has no table `vocab`");
  std::vector<std::string> tokens(vocab->size());
  std::vector<char> taken(vocab->size());
  for (const auto& [token, id] : vocab->items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= tokens.size() || taken[id.get<std::uint64_t>()])
      wrong("token " + backquoted(printable(token)) + " has id " + shown(id) + "; ids must be 0 to " +
            std::to_string(tokens.size() - 1) + ", each once");
    taken[id.get<std::uint64_t>()] = 1;
    tokens[id.get<std::uint64_t>()] = token;
  }
  return vocabulary(std::move(tokens), purposes);
}

Vocabulary TokenizerFile::vocabulary(std::vector<std::string> tokens, const Purposes& purposes) const {
  Vocabulary out;
  try {
    out = Vocabulary(std::move(tokens), purposes);
  } catch (const Error& error) {
    wrong(error.what());
  }
  const auto added = file_.find("added_tokens");
  if (added == file_.end() || !added->is_array()) wrong("there is no list `added_tokens`");
  std::size_t special = 0;
  for (const auto& one : *added) {
    if (!one.is_object() || !one.contains("id") || !one["id"].is_number_integer())
      wrong("an entry of `added_tokens` has no `id`: " + shown(one));
    const auto id = one["id"].get<std::int64_t>();
    if (id < 0 || id >= static_cast<std::int64_t>(out.size()))
      wrong("an entry of `added_tokens` has id " + std::to_string(id) + ", but there are " +
            count(out.size(), "token"));
    const auto token = static_cast<TokenId>(id);
    if (one != special_token(token, out.text(token)))
      wrong("an entry of `added_tokens` is " + shown(one) + "; this tokenizer reads " +
            shown(special_token(token, out.text(token))));
    if (out.purpose(token).empty()) wrong("special token " + backquoted(out.text(token)) + " has no purpose");
    ++special;
  }
  if (special != out.reserved())
    wrong(count(special, "special token") + " in `added_tokens`, but purposes for " + std::to_string(out.reserved()));
  return out;
}

void TokenizerFile::check(const TokenizerParts& expected) const {
  compare(file_, "normalizer", expected.normalizer);
  compare(file_, "pre_tokenizer", expected.pre_tokenizer);
  compare(file_, "decoder", expected.decoder);
  compare(file_, "post_processor", nullptr);
  json here = model(), there = expected.model;
  for (const char* key : {"vocab", "merges"}) here.erase(key), there.erase(key);
  if (here != there) wrong("the settings of `model` are " + shown(here) + "; this tokenizer reads " + shown(there));
}

}  // namespace xp
