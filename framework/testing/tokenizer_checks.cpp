#include "testing/tokenizer_checks.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "testing/testing.h"

namespace xp::testing {

void TextSource::for_each(const std::function<void(const Document&)>& visit) const {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    Document document;
    document.id = std::to_string(i);
    document.text = texts_[i];
    visit(document);
  }
}

std::string TextSource::fingerprint() const {
  Digest digest;
  for (const auto& text : texts_) digest.add(text);
  return digest.hex();
}

std::vector<std::string> shipped_text(const std::vector<std::string>& names, std::size_t bytes_of_each) {
  std::vector<std::string> out;
  for (const auto& name : names) {
    const std::string text = read_text_file(std::filesystem::path(XP_SOURCE_DIR) / "datasets" / (name + ".txt.zst"));
    std::size_t taken = 0;
    for (auto& line : split(text, '\n')) {
      if (taken >= bytes_of_each) break;
      taken += line.size();
      if (!line.empty()) out.push_back(std::move(line));
    }
  }
  return out;
}

std::string golden_tokenizer(const std::string& name) {
  return read_file(std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/tokenizers" / name);
}

std::vector<std::string> nasty_texts() {
  using namespace std::string_literals;
  return {
      "",
      " ",
      " \t\n\r\v\f ",
      "a\0b\0"s,
      "\0"s,
      "plain words, and: punctuation!? (all of it) don't we'll I'M",
      "  leading and trailing   and   inner spaces  ",
      "line one\nline two\r\n\n\n\tindented\xC2\xA0no-break\xE2\x80\xA8separator\xE3\x80\x80wide\xC2\x85next",
      "e\xCC\x81 A\xCC\x8A\xCC\xA3 \xCC\x81 alone a\xCC\x81\xCC\x82\xCC\x83\xCC\x84",  // combining marks
      "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 \xF0\x9F\x87\xB2\xF0\x9F\x87\xB9",
      "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D \xE2\x80\xAE"
      "abc\xE2\x80\xAC \xD8\xA7\xD9\x84\xD8\xB3\xD9\x84\xD8\xA7\xD9\x85",
      "\xCD\xB8 \xF3\xB0\x80\x80 \xF4\x8F\xBF\xBF \xEF\xBF\xBE",  // unassigned, private
      "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97 \xE3\x81\xB2\xE3\x82\x89\xE3\x82\xAB\xE3\x82\xBF "
      "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4",
      "\xEF\xAC\x81ne \xE2\x84\xA2 \xC2\xBD \xE2\x91\xA0 \xEF\xBC\xA1\xEF\xBC\xA2 \xC2\xB4 \xC7\x84",
      // forms
      "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB \xC4\xB0stanbul STRASSE stra\xC3\x9F"
      "e \xCE\x9F\xCE\x94\xCE\x9F\xCE\xA3",
      "\xC3",
      "\x80\xBF\xFE\xFF",
      "ok \xE2\x82 cut \xF0\x9F\x98 off \xC3(",
      "\xED\xA0\x80 \xC0\xAF \xF4\x90\x80\x80 \xF8\x88\x80\x80\x80",  // surrogate, overlong, too large, five bytes
      "\xEF\xBB\xBF"
      "bom and \xEF\xBF\xBD itself",
      "<s></s><pad><unk><mask>[CLS] [MASK][PAD] <0x0A><0xFF> ##ing ## \xE2\x96\x81word \xE2\x96\x81 \xC4\xA0the",
      "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8\xA7"
      "\xE0\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81",
      "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 123 "
      "\xE0\xA5\xA7\xE0\xA5\xA8\xE0\xA5\xA9 3.14 1e9",
      std::string(5000, 'x') + " " + std::string(300, '!'),
  };
}

std::unique_ptr<Tokenizer> make_tokenizer(std::string type, Table settings) {
  settings["type"] = Value(std::move(type));
  return registry().make<Tokenizer>(settings);
}

std::unique_ptr<const Encoder> fit(const Tokenizer& tokenizer, std::vector<std::string> texts,
                                   const Reserve& reserve) {
  return tokenizer.fit(TextSource(std::move(texts)), reserve, RandomStreams(1));
}

std::vector<TokenId> ids_of(const std::vector<Token>& tokens) {
  std::vector<TokenId> out;
  for (const auto& token : tokens) out.push_back(token.id);
  return out;
}

std::string broken_rule(const Encoder& encoder, const std::string& text) {
  const auto tokens = encoder.encode(text);
  const auto unknown = *encoder.reserved("unk");
  std::uint32_t begin = 0, end = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto& token = tokens[i];
    const std::string place = "token " + std::to_string(i) + " of " + backquoted(printable(text.substr(0, 80))) + " ";
    if (token.id < 0 || token.id >= encoder.size()) return place + "has id " + std::to_string(token.id);
    if (token.id != unknown && encoder.key(token.id).kind == TokenKind::special) return place + "is a reserved token";
    if (token.begin > token.end || token.end > text.size()) return place + "does not lie within the text";
    if (token.begin < begin || token.end < end) return place + "lies before the one before it";
    const std::uint32_t least = i == 0 ? 0 : tokens[i - 1].word;
    const std::uint32_t most = i == 0 ? 0 : least + 1;
    if (token.word < least || token.word > most) return place + "has word " + std::to_string(token.word);
    begin = token.begin, end = token.end;
  }
  if (ids_of(encoder.encode(text)) != ids_of(tokens)) return "a second time gives other ids";
  return {};
}

std::string broken_key(const Encoder& encoder) {
  for (const auto& [purpose, id] : encoder.purposes())
    if (encoder.key(id).kind != TokenKind::special || encoder.pieces(encoder.key(id)) != std::vector<TokenId>{id})
      return "purpose " + purpose;
  for (TokenId id = 0; id < encoder.size(); ++id) {
    const TokenKey key = encoder.key(id);
    const std::string place = "token " + backquoted(printable(encoder.text(id))) + " ";
    if (key.kind == TokenKind::special) {
      if (encoder.purposes().at(key.purpose) != id) return place + "has the purpose of another";
      continue;
    }
    const auto pieces = encoder.pieces(key);
    if (pieces.empty()) return place + "has no pieces";
    std::string spelled;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const TokenKey one = encoder.key(pieces[i]);
      if (one.kind == TokenKind::special) return place + "has a reserved piece";
      // A word start is said by the first piece; inside, it stands for a space.
      if (i > 0 && one.word_start == WordStart::yes) spelled += ' ';
      spelled += one.bytes;
    }
    if (spelled != key.bytes) return place + "is spelled " + backquoted(printable(spelled));
  }
  return {};
}

std::string broken_restore(const Tokenizer& tokenizer, const Encoder& encoder,
                           const std::vector<std::string>& texts) {
  const auto again = tokenizer.restore(encoder.json(), encoder.purposes());
  if (again->json() != encoder.json()) return "the file of the restored encoder differs";
  if (again->purposes() != encoder.purposes() || again->size() != encoder.size()) return "purposes or size differ";
  for (TokenId id = 0; id < encoder.size(); ++id)
    if (again->text(id) != encoder.text(id) || again->key(id) != encoder.key(id))
      return "token " + std::to_string(id);
  for (const auto& text : texts) {
    const auto before = encoder.encode(text), after = again->encode(text);
    if (ids_of(before) != ids_of(after)) return "ids of " + backquoted(printable(text.substr(0, 80)));
    if (encoder.decode(ids_of(before)) != again->decode(ids_of(before))) return "decoding";
  }
  return {};
}

}  // namespace xp::testing
