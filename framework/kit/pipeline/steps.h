#pragma once
// The steps of a `tokenizer.json` file (Hugging Face tokenizers). Each is read from its part of the file, is
// immutable and may be used from any thread.
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kit/unicode.h"
#include "kit/word_cache.h"

namespace xp::pipeline {

using Json = nlohmann::json;

/// Keys that tell a step without `type` apart, as in files from before that key; unused ones are null.
struct StepKeys {
  const char* type;
  std::array<const char*, 3> keys;
};

/// A value of the file and where it stands, such as "normalizer.normalizers[2]". All accessors throw Error
/// (Exit::data) that names the place, what is there and what would be right.
class XP_API Entry {
 public:
  Entry(const Json& value, std::string place) : value_(&value), place_(std::move(place)) {}

  const Json& json() const { return *value_; }
  const std::string& place() const { return place_; }
  bool is_null() const { return value_->is_null(); }
  std::string type() const;  ///< the text `type` of a table
  /// The same; where it is missing or null, the first type of `old` whose keys are all there.
  std::string type(std::span<const StepKeys> old) const;
  bool contains(const char* key) const;             ///< there, perhaps null
  bool has(const char* key) const;                  ///< there and not null
  Entry at(const char* key) const;                  ///< throws unless it is there
  std::vector<Entry> items(const char* key) const;  ///< of a list
  std::string text(const char* key) const;
  std::string text(const char* key, const std::string& otherwise) const;  ///< `otherwise`: missing or null
  bool flag(const char* key) const;
  bool flag(const char* key, bool otherwise) const;
  std::int64_t number(const char* key) const;
  std::int64_t number(const char* key, std::int64_t otherwise) const;
  /// Throws for a type or setting that is not known here, naming those that are.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  const Json* value_;
  std::string place_;
};

/// Rewrites a text before it is cut; `null` in the file gives a null pointer.
class XP_API Normalizer {
 public:
  virtual ~Normalizer();
  virtual void apply(AlignedText& text) const = 0;
};
XP_API std::unique_ptr<const Normalizer> read_normalizer(const Entry& entry);

/// A stretch of text and the words in it, ascending, not overlapping; what lies between them is gone.
struct Words {
  AlignedText text;
  std::vector<TextSpan> spans;  ///< bytes of text.text(); at first one span over all of it
  bool at_start = true;         ///< the stretch begins the whole input (Metaspace, `prepend_scheme` "first")
  bool whole = true;            ///< no step has cut it yet
};
/// Cuts stretches into words, and may rewrite them.
class XP_API PreTokenizer {
 public:
  virtual ~PreTokenizer();
  virtual void apply(Words& words) const = 0;
};
XP_API std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const Entry& entry);

}  // namespace xp::pipeline
