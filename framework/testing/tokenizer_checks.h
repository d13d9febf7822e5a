#pragma once
// Corpora in memory and the rules that every tokenizer's encoder keeps.
#include <memory>
#include <string>
#include <vector>

#include "api/tokenizer.h"

namespace xp::testing {

/// Documents from texts, in their order.
class TextSource final : public DataSource {
 public:
  explicit TextSource(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  void for_each(const std::function<void(const Document&)>& visit) const override;
  std::string fingerprint() const override;

 private:
  std::vector<std::string> texts_;
};

/// Paragraphs of files that ship in datasets/, such as "udhr/en", up to so many bytes of each.
std::vector<std::string> shipped_text(const std::vector<std::string>& names, std::size_t bytes_of_each);

/// A file of tests/golden/tokenizers.
std::string golden_tokenizer(const std::string& name);

/// Texts that break careless readers: empty, NUL, combining marks, joiners, right-to-left, unassigned, invalid UTF-8,
/// names of reserved tokens, and more.
std::vector<std::string> nasty_texts();

/// The tokenizer of this type with these settings, from the built plugins.
std::unique_ptr<Tokenizer> make_tokenizer(std::string type, Table settings = {});
std::unique_ptr<const Encoder> fit(const Tokenizer& tokenizer, std::vector<std::string> texts,
                                   const Reserve& reserve = {});

std::vector<TokenId> ids_of(const std::vector<Token>& tokens);

/// Empty, or what an encoding of this text breaks: ids in range and not reserved (but unknown), offsets within the
/// text, ascending and of equal word once, words numbered without gaps, the same ids when encoded again.
std::string broken_rule(const Encoder& encoder, const std::string& text);
/// Empty, or what is wrong with the encoder's keys: every id has one, reserved ids by purpose, and pieces of a
/// token's key spell the token.
std::string broken_key(const Encoder& encoder);
/// Empty, or how the encoder that `tokenizer` restores from the encoder's file differs.
std::string broken_restore(const Tokenizer& tokenizer, const Encoder& encoder, const std::vector<std::string>& texts);

}  // namespace xp::testing
