#include "kit/pipeline/post_processor.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

TokenId read_token_id(const Json& value, const Entry& entry) {
  const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() < INT32_MAX;
  if (!fits) entry.refuse("an id is expected, a whole number from 0 to 2^31 - 2");
  return value.get<TokenId>();
}

/// The id of a pair [token, id].
TokenId pair_id(const Entry& entry, const char* key) {
  const Entry pair = entry.at(key);
  if (!pair.json().is_array() || pair.json().size() != 2 || !pair.json()[0].is_string())
    pair.refuse("a pair [token, id] is expected");
  return read_token_id(pair.json()[1], pair);
}

std::uint32_t step_forward(std::string_view text, std::uint32_t at, std::uint32_t chars) {
  std::size_t to = at;
  for (; chars > 0 && to < text.size(); --chars) {
    ++to;
    while (to < text.size() && (static_cast<unsigned char>(text[to]) & 0xC0) == 0x80) ++to;
  }
  return static_cast<std::uint32_t>(to);
}

/// `chars` characters before `at`, or nothing if there are not so many.
std::optional<std::uint32_t> step_back(std::string_view text, std::uint32_t at, std::uint32_t chars) {
  for (; chars > 0; --chars) {
    if (at == 0) return std::nullopt;
    do --at;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  }
  return at;
}

/// Takes the spaces at the ends of tokens out of their offsets.
void trim_offsets(FramePart& part, bool prefix_space) {
  for (std::size_t i = 0; i < part.blanks.size(); ++i) {
    auto [leading, trailing] = part.blanks[i];
    auto& span = part.offsets[i];
    if (leading > 0) {
      // One space before the first token is the one that the pre-tokenizer put there.
      if ((i == 0 || span.begin == 0) && prefix_space && leading == 1) leading = 0;
      span.begin = std::min(step_forward(part.text, span.begin, leading), span.end);
    }
    if (trailing > 0)
      if (const auto end = step_back(part.text, span.end, trailing)) span.end = std::max(*end, span.begin);
  }
}

/// Only trims: no tokens are added.
class ByteLevelProcessor final : public PostProcessor {
 public:
  explicit ByteLevelProcessor(const Entry& entry)
      : trim_(entry.flag("trim_offsets")), prefix_space_(entry.flag("add_prefix_space")) {
    if (entry.contains("use_regex")) entry.flag("use_regex");  // belongs to the pre-tokenizer
  }
  void apply(std::vector<FramePart>& parts, bool) const override {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (trim_) trim_offsets(parts[i], prefix_space_);
      parts[i].set_range(static_cast<std::int32_t>(i), 0, static_cast<std::uint32_t>(parts[i].size()));
    }
  }
  std::size_t added(bool) const override { return 0; }
  bool trims() const override { return trim_; }

 private:
  bool trim_, prefix_space_;
};

/// [CLS] first [SEP] second [SEP], or RoBERTa's <s> first </s> </s> second </s>.
class PairProcessor final : public PostProcessor {
 public:
  PairProcessor(const Entry& entry, bool roberta)
      : begin_(pair_id(entry, "cls")), end_(pair_id(entry, "sep")), roberta_(roberta) {
    if (roberta) trim_ = entry.flag("trim_offsets"), prefix_space_ = entry.flag("add_prefix_space");
  }

  void apply(std::vector<FramePart>& parts, bool special) const override {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      auto& part = parts[i];
      if (trim_) trim_offsets(part, prefix_space_);
      if (roberta_) part.set_types(0);
      if (!special) continue;
      const auto n = static_cast<std::uint32_t>(part.size());
      const bool opens = i == 0 || roberta_;
      std::fill(part.special.begin(), part.special.end(), 0);
      std::fill(part.attention.begin(), part.attention.end(), 1);
      part.ranges.clear();
      if (opens) part.insert(true, 1, i == 0 ? begin_ : end_, 0, true);
      part.insert(false, 1, end_, i == 0 || roberta_ ? 0 : 1, true);
      part.set_range(i == 0 ? 0 : 1, opens, opens + n);
    }
  }
  std::size_t added(bool pair) const override { return !pair ? 2 : roberta_ ? 4 : 3; }
  bool trims() const override { return trim_; }
  FrameEnds ends() const override { return {{begin_}, {end_}}; }

 private:
  TokenId begin_, end_;
  bool roberta_, trim_ = false, prefix_space_ = false;
};

/// A template writes a list of ids as often as it is named, so that short files could ask for any number of tokens.
constexpr std::size_t kMostTemplateTokens = std::size_t{1} << 16;

/// Special tokens and texts in a row, as the file lists them.
class TemplateProcessor final : public PostProcessor {
 public:
  explicit TemplateProcessor(const Entry& entry) : place_(entry.place()) {
    const Entry tokens = entry.at("special_tokens");
    if (!tokens.json().is_object()) tokens.refuse("a table { name: token } is expected");
    std::map<std::string, std::vector<TokenId>> ids;
    for (const auto& [name, value] : tokens.json().items()) {
      const Entry token = tokens.at(name.c_str());
      auto& list = ids[name];
      for (const auto& id : token.items("ids")) list.push_back(read_token_id(id.json(), id));
      token.text("id");
      const auto texts = token.items("tokens");
      for (const auto& text : texts)
        if (!text.json().is_string()) text.refuse("a text is expected");
      if (texts.size() != list.size()) token.refuse("`ids` and `tokens` differ in length");
    }
    single_ = read_pieces(entry.items("single"), ids, 1);
    pair_ = read_pieces(entry.items("pair"), ids, 2);
  }

  void apply(std::vector<FramePart>& parts, bool special) const override {
    if (parts.size() != 1 && parts.size() != 2)
      throw Error(place_ + " was given " + xp::count(parts.size(), "part") +
                      " by the post-processor before it; it takes one or two texts",
                  Exit::data);
    std::vector<FramePart> out;
    for (const auto& piece : parts.size() == 1 ? single_ : pair_) {
      if (piece.sequence < 0) {
        if (!special) continue;
        auto& part = out.emplace_back();
        for (const TokenId id : piece.ids) part.insert(false, 1, id, piece.type, true);
      } else {
        auto& part = parts[static_cast<std::size_t>(piece.sequence)];
        part.set_types(piece.type);
        part.set_range(piece.sequence, 0, static_cast<std::uint32_t>(part.size()));
        out.push_back(part);
      }
    }
    parts = std::move(out);
  }

  std::size_t added(bool pair) const override {
    std::size_t out = 0;
    for (const auto& piece : pair ? pair_ : single_) out += piece.ids.size();
    return out;
  }

  FrameEnds ends() const override {
    FrameEnds out;
    bool behind = false;
    for (const auto& piece : single_) {
      behind = behind || piece.sequence >= 0;
      auto& to = behind ? out.back : out.front;
      to.insert(to.end(), piece.ids.begin(), piece.ids.end());
    }
    return out;
  }

 private:
  struct Piece {
    int sequence = -1;  // -1: special tokens
    std::int32_t type = 0;
    std::vector<TokenId> ids;
  };

  static std::vector<Piece> read_pieces(const std::vector<Entry>& items,
                                        const std::map<std::string, std::vector<TokenId>>& ids, int texts) {
    std::vector<Piece> out;
    std::size_t tokens = 0;
    for (const auto& item : items) {
      const bool is_text = item.has("Sequence");
      const Entry entry = item.at(is_text ? "Sequence" : "SpecialToken");
      Piece piece;
      const auto type = entry.number("type_id");
      if (type < 0 || type > INT32_MAX) entry.at("type_id").refuse(std::to_string(type) + " is no segment id");
      piece.type = static_cast<std::int32_t>(type);
      const std::string id = entry.text("id");
      if (is_text) {
        piece.sequence = id == "A" ? 0 : id == "B" ? 1 : 2;
        if (piece.sequence >= texts)
          entry.at("id").refuse(backquoted(printable(id)) + " is no text here; " +
                                (texts == 1 ? "there is `A`" : "there are `A` and `B`"));
      } else if (const auto found = ids.find(id); found != ids.end()) {
        tokens += found->second.size();
        if (tokens > kMostTemplateTokens)
          entry.refuse("a template adds at most " + std::to_string(kMostTemplateTokens) + " tokens");
        piece.ids = found->second;
      } else {
        entry.at("id").refuse(backquoted(printable(id)) + " is not in `special_tokens`");
      }
      out.push_back(std::move(piece));
    }
    return out;
  }

  std::string place_;
  std::vector<Piece> single_, pair_;
};

class ProcessorSequence final : public PostProcessor {
 public:
  explicit ProcessorSequence(const Entry& entry) {
    for (const auto& item : entry.items("processors")) {
      if (item.is_null()) item.refuse("a post-processor is expected, not null");
      parts_.push_back(read_post_processor(item));
    }
  }
  void apply(std::vector<FramePart>& parts, bool special) const override {
    for (const auto& part : parts_) part->apply(parts, special);
  }
  std::size_t added(bool pair) const override {
    std::size_t out = 0;
    for (const auto& part : parts_) out += part->added(pair);
    return out;
  }
  bool trims() const override {
    return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->trims(); });
  }
  FrameEnds ends() const override {
    FrameEnds out;
    for (const auto& part : parts_) {
      const FrameEnds more = part->ends();
      out.front.insert(out.front.begin(), more.front.begin(), more.front.end());
      out.back.insert(out.back.end(), more.back.begin(), more.back.end());
    }
    return out;
  }

 private:
  std::vector<std::unique_ptr<const PostProcessor>> parts_;
};

constexpr StepKeys kOldProcessors[] = {{"TemplateProcessing", {"single", "pair", "special_tokens"}}};

// The library tells the two that put a pair of tokens around texts apart by their settings, not by `type`.
std::string processor_type(const Entry& entry) {
  const bool framed = entry.has("sep") && entry.has("cls");
  const std::string said = framed && !entry.has("type") ? "BertProcessing" : entry.type(kOldProcessors);
  if (!framed || (said != "BertProcessing" && said != "RobertaProcessing")) return said;
  return entry.has("trim_offsets") && entry.has("add_prefix_space") ? "RobertaProcessing" : "BertProcessing";
}

}  // namespace

PostProcessor::~PostProcessor() = default;

std::unique_ptr<const PostProcessor> read_post_processor(const Entry& entry) {
  if (entry.is_null()) return nullptr;
  const std::string type = processor_type(entry);
  if (type == "TemplateProcessing") return std::make_unique<TemplateProcessor>(entry);
  if (type == "BertProcessing") return std::make_unique<PairProcessor>(entry, false);
  if (type == "RobertaProcessing") return std::make_unique<PairProcessor>(entry, true);
  if (type == "ByteLevel") return std::make_unique<ByteLevelProcessor>(entry);
  if (type == "Sequence") return std::make_unique<ProcessorSequence>(entry);
  entry.refuse("a post-processor of type " + backquoted(printable(type)) +
               " is not known; there are BertProcessing, ByteLevel, RobertaProcessing, Sequence and "
               "TemplateProcessing");
}

}  // namespace xp::pipeline
