#pragma once
// The file `tokenizer.json` of the Hugging Face library: its frame, its reserved tokens and its vocabulary.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kit/vocabulary.h"

namespace xp {

/// Steps of a tokenizer in that file's terms, and its model.
struct TokenizerParts {
  nlohmann::json normalizer, pre_tokenizer, decoder, model;
};

XP_API std::string write_tokenizer_json(const TokenizerParts& parts, const Vocabulary& vocabulary);
/// { token: id } of the whole vocabulary.
XP_API nlohmann::json vocabulary_object(const Vocabulary& vocabulary);

/// A file that was read. All errors are Error (Exit::data) and name the place in the file.
class XP_API TokenizerFile {
 public:
  /// Throws if it is not JSON or its model is not of type `model_type`.
  TokenizerFile(std::string_view text, std::string_view model_type);

  const nlohmann::json& model() const { return file_.at("model"); }
  /// A value of the model; throws if it is missing or of another type.
  std::string model_text(const char* key) const;
  std::int64_t model_number(const char* key) const;
  bool model_flag(const char* key) const;

  /// The model's `vocab` as an object of ids, which must be 0 to n - 1, with the purposes of the reserved tokens,
  /// which must be the special ones of `added_tokens`.
  Vocabulary vocabulary(const Purposes& purposes) const;
  /// The same for tokens in a list.
  Vocabulary vocabulary(std::vector<std::string> tokens, const Purposes& purposes) const;

  /// Throws unless the file's steps and the model's settings (all but `vocab` and `merges`) are these.
  void check(const TokenizerParts& expected) const;
  /// A value deep in the file, such as "/normalizer/normalizers/0/lowercase", as true or false.
  bool flag(const char* pointer) const;
  const nlohmann::json* find(const char* pointer) const;  ///< null if it is not there

 private:
  nlohmann::json file_;
};

}  // namespace xp
