#pragma once
// Text to ids. Fitting and using are two types, so "used before fitted" cannot be written.
#include <map>
#include <optional>
#include <span>

#include "api/dataset.h"
#include "base/random.h"

namespace xp {

using TokenId = std::int32_t;

struct Token {
  TokenId id = 0;
  std::uint32_t begin = 0, end = 0;  ///< bytes of the input
  std::uint32_t word = 0;            ///< tokens of one word share it
};

enum class TokenKind : std::uint8_t {
  text,
  byte,     ///< stands for one byte that no text token covers: "<0x0A>"
  special,  ///< reserved; matched by purpose, by its text only if no purpose is known
};
enum class WordStart : std::uint8_t {
  no,
  yes,
  unknown
};  ///< unknown: the tokenizer does not say (single punctuation)

/// A token apart from any tokenizer: its bytes without marker characters.
struct TokenKey {
  std::string bytes;
  WordStart word_start = WordStart::no;
  TokenKind kind = TokenKind::text;
  std::string purpose = {};  ///< special: "mask", "pad", "unk", "begin", "end", "sentinel.3"
  auto operator<=>(const TokenKey&) const = default;
};

struct TextFrame {
  std::optional<TokenId> begin, end;
};

/// A fitted tokenizer: immutable, used from any thread. Purposes that every encoder of text reserves: "pad", "unk",
/// "begin" (BERT's [CLS]), "end" (its [SEP]), "mask"; an id may serve two purposes.
class XP_API Encoder {
 public:
  virtual ~Encoder();
  virtual std::int64_t size() const = 0;
  /// Without special tokens. Any bytes are accepted; invalid UTF-8 is read as U+FFFD per broken sequence.
  virtual std::vector<Token> encode(std::string_view text) const = 0;
  virtual std::string decode(std::span<const TokenId> ids) const = 0;  ///< special tokens are left out
  virtual std::string text(TokenId id) const = 0;                      ///< as in the vocabulary: "##ing", "▁the"
  virtual TokenKey key(TokenId id) const = 0;
  /// The pieces of a token of another vocabulary: the model on its bytes, no pre-tokenizer; empty if it cannot.
  virtual std::vector<TokenId> pieces(const TokenKey& key) const = 0;
  virtual const std::map<std::string, TokenId, std::less<>>& purposes() const = 0;  ///< "mask", "sentinel.3"
  /// The reserved ids that stand around a text when a model reads it; by default those for "begin" and "end".
  virtual TextFrame around() const;
  virtual std::string json() const = 0;  ///< Hugging Face `tokenizer.json`, which restore() reads back

  /// The id of a purpose ("sentinel" with index 3 is "sentinel.3"), or nothing.
  std::optional<TokenId> reserved(std::string_view purpose, std::int64_t index = 0) const;
};

/// How many ids each purpose wants beyond the standard ones: { "sentinel": 100 }.
using Reserve = std::map<std::string, std::int64_t>;

/// "tokenizer": the algorithm and its settings.
class XP_API Tokenizer : public Component {
 public:
  static constexpr const char* kInterface = "tokenizer";
  ~Tokenizer() override;
  virtual std::unique_ptr<const Encoder> fit(const DataSource& corpus, const Reserve& reserve,
                                             const RandomStreams& random) const = 0;
  /// Reads `tokenizer.json` as Encoder::json wrote it; throws Error (Exit::data) saying what does not fit.
  virtual std::unique_ptr<const Encoder> restore(
      std::string_view json, const std::map<std::string, TokenId, std::less<>>& purposes) const = 0;
};

}  // namespace xp
