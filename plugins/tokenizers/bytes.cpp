#include "api/dataset.h"
#include "base/error.h"
#include "kit/byte_level.h"
#include "kit/subword_encoder.h"
#include "plugin/plugin.h"

namespace {

using Json = nlohmann::json;

// Words carry the white space before them; what is left of a run of it stands alone.
constexpr const char* kWords =
    R"( ?[^\t-\r\x20\x{85}\p{Z}]+|[\t-\r\x20\x{85}\p{Z}]+(?![^\t-\r\x20\x{85}\p{Z}])|[\t-\r\x20\x{85}\p{Z}])";

/// One token a byte. Text that was read from valid UTF-8 comes back as it was.
class ByteEncoder final : public xp::SubwordEncoder {
 public:
  explicit ByteEncoder(xp::Vocabulary vocabulary) : SubwordEncoder(std::move(vocabulary)), words_(kWords) {
    byte_of_.assign(this->vocabulary().size(), -1);
    for (int b = 0; b < 256; ++b) {
      const std::string token = xp::char_text(xp::byte_level_char(static_cast<unsigned char>(b)));
      const auto id = this->vocabulary().find(token);
      if (!id || is_special(*id))
        throw xp::Error("byte " + std::to_string(b) + " has no token " + token, xp::Exit::data);
      id_of_.push_back(*id);
      byte_of_[static_cast<std::size_t>(*id)] = b;
    }
    if (this->vocabulary().size() != this->vocabulary().reserved() + 256)
      throw xp::Error("a vocabulary of bytes has 256 tokens beside the reserved ones, not " +
                          std::to_string(this->vocabulary().size() - this->vocabulary().reserved()),
                      xp::Exit::data);
  }

  std::string decode(std::span<const xp::TokenId> ids) const override {
    std::string out;
    for (const xp::TokenId id : ids) {
      vocabulary().text(id);
      if (!is_special(id)) out += byte(id);
    }
    return xp::repaired_utf8(out);
  }

 private:
  char byte(xp::TokenId id) const {
    return static_cast<char>(static_cast<unsigned char>(byte_of_[static_cast<std::size_t>(id)]));
  }

  xp::AlignedText normalised(std::string_view text) const override { return xp::AlignedText(text); }
  void split(std::string_view text, const xp::VisitWord& visit) const override { words_.split(text, visit); }

  void cut(std::string_view word, std::vector<xp::CutPiece>& out) const override {
    for (std::size_t i = 0; i < word.size(); ++i)
      out.push_back({id_of_[static_cast<unsigned char>(word[i])], static_cast<std::uint32_t>(i + 1)});
  }

  // ASCII is text; where a byte stands in its word is unknown, but a space says that one follows.
  xp::TokenKey text_key(xp::TokenId id) const override {
    const char c = byte(id);
    if (c == ' ') return {"", xp::WordStart::yes};
    if (static_cast<unsigned char>(c) >= 0x80) return {std::string(1, c), xp::WordStart::no, xp::TokenKind::byte};
    return {std::string(1, c), xp::WordStart::unknown};
  }

  std::vector<xp::TokenId> text_pieces(const xp::TokenKey& key) const override {
    return known_pieces(key.word_start == xp::WordStart::yes ? " " + key.bytes : key.bytes);
  }

  xp::TokenizerParts parts(bool with_vocabulary) const override {
    const Json level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
    Json model = {{"type", "BPE"},
                  {"dropout", nullptr},
                  {"unk_token", nullptr},
                  {"continuing_subword_prefix", nullptr},
                  {"end_of_word_suffix", nullptr},
                  {"fuse_unk", false},
                  {"byte_fallback", false},
                  {"ignore_merges", false}};
    if (with_vocabulary) model["vocab"] = xp::vocabulary_object(vocabulary()), model["merges"] = Json::array();
    return {nullptr, level, level, std::move(model)};
  }

  friend class Bytes;
  xp::WordPattern words_;
  std::vector<xp::TokenId> id_of_;
  std::vector<int> byte_of_;
};

/// Nothing is learned: 256 bytes and the reserved tokens.
class Bytes final : public xp::Tokenizer {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };

  explicit Bytes(Params) {}

  std::unique_ptr<const xp::Encoder> fit(const xp::DataSource&, const xp::Reserve& reserve,
                                         const xp::RandomStreams&) const override {
    xp::Vocabulary vocabulary(xp::ReservedNames{}, reserve);
    for (int b = 0; b < 256; ++b) vocabulary.add(xp::char_text(xp::byte_level_char(static_cast<unsigned char>(b))));
    return std::make_unique<ByteEncoder>(std::move(vocabulary));
  }

  std::unique_ptr<const xp::Encoder> restore(std::string_view text, const xp::Purposes& purposes) const override {
    const xp::TokenizerFile file(text, "BPE");
    const Json* merges = file.find("/model/merges");
    if (merges == nullptr || !merges->is_array() || !merges->empty())
      throw xp::Error("tokenizer.json: `merges` of a vocabulary of bytes is an empty list", xp::Exit::data);
    auto encoder = std::make_unique<ByteEncoder>(file.vocabulary(purposes));
    file.check(encoder->parts(false));
    return encoder;
  }
};

}  // namespace

XP_PLUGIN(bytes) { registry.add<Bytes>("bytes", "One token for each byte of the text."); }
