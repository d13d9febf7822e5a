#pragma once
// A whole `tokenizer.json`, of whatever steps: the ids, offsets and texts of the tokenizers library.
#include <memory>
#include <optional>
#include <span>

#include "kit/pipeline/framed.h"
#include "kit/vocabulary.h"

namespace xp::pipeline {

struct PipelineParts;

/// Special tokens by what they are for: { "mask": "<mask>" }.
using SpecialTokens = std::map<std::string, std::string, std::less<>>;

/// Immutable, used from any thread. Any bytes are accepted as text; invalid UTF-8 is read as U+FFFD per broken
/// sequence.
class XP_API Pipeline final : public Encoder {
 public:
  ~Pipeline() override;

  std::int64_t size() const override;  ///< one more than the largest id; there can be ids without a token
  bool has(TokenId id) const;
  /// Without post-processing, truncation and padding. Added tokens in the text are found. Throws Error (Exit::data)
  /// if the model has no token for a word and no unknown token.
  std::vector<Token> encode(std::string_view text) const override;
  std::string decode(std::span<const TokenId> ids) const override { return decode(ids, true); }
  /// Ids without a token are left out. Throws Error (Exit::data) if the decoder makes the text longer than
  /// most_rewritten().
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;
  std::string text(TokenId id) const override;  ///< empty for an id without a token
  TokenKey key(TokenId id) const override;
  std::vector<TokenId> pieces(const TokenKey& key) const override;
  const Purposes& purposes() const override;
  TextFrame around() const override;  ///< what post-processing puts first and last
  std::string json() const override;  ///< the file as it was read

  /// With post-processing (its tokens only if `special`) and the file's truncation, one or two texts. Throws Error
  /// (Exit::data) if the strategy of truncation cannot reach its length.
  Framed frame(std::string_view text, std::optional<std::string_view> second = std::nullopt,
               bool special = true) const;
  /// The same for a batch, padded as the file says. `threads`: 0 takes one per core.
  std::vector<Framed> frame(std::span<const std::string_view> texts, bool special = true,
                            std::int64_t threads = 1) const;
  /// Appends the ids that frame() gives one text, without padding; faster, as nothing else is kept.
  void ids(std::string_view text, std::vector<TokenId>& out, bool special = true) const;
  /// Whether ids() goes without the steps: the file's shape is one known by heart.
  bool ids_need_no_steps() const;

 private:
  friend std::unique_ptr<const Pipeline> read_pipeline(std::string_view, const std::string&, Purposes,
                                                       const SpecialTokens&);
  explicit Pipeline(std::unique_ptr<PipelineParts> parts);
  std::unique_ptr<PipelineParts> parts_;
};

/// Reads the text of a `tokenizer.json`; `file_name` is for messages. Purposes that are not given are looked for: in
/// `special`, then the model's unknown token, padding, what post-processing puts around a text, and well-known
/// special tokens; what is not there is absent. Throws Error (Exit::data) for what does not fit or is not known,
/// naming its place.
XP_API std::unique_ptr<const Pipeline> read_pipeline(std::string_view text, const std::string& file_name,
                                                     Purposes purposes = {}, const SpecialTokens& special = {});

/// The broken sequences of what should be UTF-8, in bytes.
XP_API std::vector<TextSpan> broken_utf8(std::string_view text);

}  // namespace xp::pipeline
