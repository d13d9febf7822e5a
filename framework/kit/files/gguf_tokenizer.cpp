#include "kit/files/gguf_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/files/split_patterns.h"
#include "kit/files/tokenizer_draft.h"

namespace xp {
namespace {

using nlohmann::json;
namespace steps = tokenizer_steps;

// Values of `tokenizer.ggml.token_type`.
enum : std::int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

constexpr const char* kMark = "▁";

class GgufTokenizer {
 public:
  explicit GgufTokenizer(const GgufFile& file) : file_(file) {
    draft_.where = file.path().string() + " holds no usable tokenizer";
    read_tokens();
    read_types();
    bos_ = id("bos_token_id"), eos_ = id("eos_token_id"), unk_ = id("unknown_token_id");
    pad_ = id("padding_token_id");
  }

  std::string json_text() {
    const auto model = file_.text("tokenizer.ggml.model").value_or("");
    if (model == "gpt2")
      byte_level();
    else if (model == "llama")
      marked_bpe();
    else if (model == "t5")
      unigram();
    else if (model == "bert")
      word_pieces();
    else
      refuse("its model is " + backquoted(printable(model)) + "; known are `bert`, `gpt2`, `llama` and `t5`");
    return tokenizer_json_text(draft_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { throw Error(draft_.where + ": " + what, Exit::data); }

  void read_tokens() {
    const auto* tokens = file_.array("tokenizer.ggml.tokens");
    if (!tokens || tokens->of != GgufType::text || tokens->count == 0)
      refuse("it has no list of texts `tokenizer.ggml.tokens`");
    if (tokens->count > 0x7FFFFFFF) refuse("it has " + std::to_string(tokens->count) + " tokens");
    draft_.tokens.reserve(tokens->count);
    for (const auto token : tokens->texts) {
      if (!is_utf8(token)) refuse("its token " + std::to_string(draft_.tokens.size()) + " is not UTF-8");
      draft_.tokens.emplace_back(token);
    }
  }

  void read_types() {
    types_.assign(draft_.tokens.size(), kNormal);
    const auto* types = file_.array("tokenizer.ggml.token_type");
    if (!types) return;
    if (!types->whole_numbers() || types->count != types_.size())
      refuse("its `tokenizer.ggml.token_type` are not whole numbers, one for each of the " +
             count(types_.size(), "token"));
    for (std::size_t i = 0; i < types_.size(); ++i) {
      types_[i] = types->integer(i);
      if (types_[i] < kNormal || types_[i] > kByte)
        refuse("its token " + std::to_string(i) + " has the type " + std::to_string(types_[i]) +
               "; types are 1 to 6");
    }
  }

  std::optional<std::uint32_t> id(const std::string& key) const {
    const auto value = file_.integer("tokenizer.ggml." + key);
    if (!value) return std::nullopt;
    if (*value < 0 || static_cast<std::uint64_t>(*value) >= draft_.tokens.size())
      refuse("its `tokenizer.ggml." + key + "` is " + std::to_string(*value) + " of " +
             count(draft_.tokens.size(), "token"));
    return static_cast<std::uint32_t>(*value);
  }

  std::vector<double> scores() const {
    const auto* scores = file_.array("tokenizer.ggml.scores");
    if (!scores || (scores->of != GgufType::f32 && scores->of != GgufType::f64) ||
        scores->count != draft_.tokens.size())
      refuse("it has no list of numbers `tokenizer.ggml.scores`, one for each of the " +
             count(draft_.tokens.size(), "token"));
    std::vector<double> values(scores->count);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = scores->real(i);
      if (!std::isfinite(values[i])) refuse("the score of its token " + std::to_string(i) + " is no number");
    }
    return values;
  }

  // Reserved tokens and what a user defined are found in text before all else.
  void add_reserved() {
    for (std::size_t i = 0; i < types_.size(); ++i)
      if (types_[i] == kControl || types_[i] == kUserDefined)
        draft_.added[static_cast<std::uint32_t>(i)] = {.special = types_[i] == kControl};
    for (const auto& reserved : {bos_, eos_, unk_, pad_})
      if (reserved) draft_.added[*reserved] = {};
  }

  void set_around(bool bos_default, bool eos_default) {
    const bool bos = file_.flag("tokenizer.ggml.add_bos_token").value_or(bos_default && bos_),
               eos = file_.flag("tokenizer.ggml.add_eos_token").value_or(eos_default && eos_);
    std::map<std::string, std::uint32_t> ids;
    const auto name = [&](bool wanted, const std::optional<std::uint32_t>& reserved, const char* key) {
      if (!wanted) return std::string();
      if (!reserved) refuse(std::string("it adds a token around texts and has no `tokenizer.ggml.") + key + "`");
      ids[draft_.tokens[*reserved]] = *reserved;
      return draft_.tokens[*reserved];
    };
    const auto before = name(bos, bos_, "bos_token_id"), after = name(eos, eos_, "eos_token_id");
    if (bos || eos) draft_.post_processor = steps::around(before, after, ids);
  }

  void byte_level();
  void marked_bpe();
  void unigram();
  void word_pieces();
  void read_merges(const GgufArray& merges);

  const GgufFile& file_;
  TokenizerDraft draft_;
  std::vector<std::int64_t> types_;
  std::optional<std::uint32_t> bos_, eos_, unk_, pad_;
};

void GgufTokenizer::read_merges(const GgufArray& merges) {
  if (merges.of != GgufType::text) refuse("its `tokenizer.ggml.merges` are no texts");
  std::unordered_map<std::string_view, std::uint32_t> ids(draft_.tokens.size());
  for (std::size_t i = 0; i < draft_.tokens.size(); ++i) ids.emplace(draft_.tokens[i], static_cast<std::uint32_t>(i));
  draft_.merges.reserve(merges.count);
  std::string both;
  for (const auto merge : merges.texts) {
    const auto space = merge.find(' ', 1);  // a part may begin with a space, no part is one
    const auto left = merge.substr(0, space),
               right = space == merge.npos ? merge.substr(0, 0) : merge.substr(space + 1);
    both.assign(left).append(right);
    const auto one = ids.find(left), other = ids.find(right);
    if (right.empty() || one == ids.end() || other == ids.end() || ids.count(both) == 0)
      refuse("its merge " + std::to_string(draft_.merges.size()) + ", " +
             backquoted(printable(merge.substr(0, 200))) + ", is not two tokens that make a third");
    draft_.merges.emplace_back(one->second, other->second);
  }
}

void GgufTokenizer::byte_level() {
  const auto pre = file_.text("tokenizer.ggml.pre");
  if (!pre) refuse("it has no `tokenizer.ggml.pre`, which says how text is cut into words");
  const auto* rule = split_rule_of_gguf(*pre);
  if (!rule)
    refuse("its `tokenizer.ggml.pre` is " + backquoted(printable(*pre)) + "; known are " +
           listed(known_gguf_rules(), 40));
  const auto* merges = file_.array("tokenizer.ggml.merges");
  if (!merges) refuse("it has no `tokenizer.ggml.merges`");
  add_reserved();
  // Some writers spell ordinary tokens as text instead of bytes.
  for (std::size_t i = 0; i < types_.size(); ++i)
    if (types_[i] == kNormal && draft_.added.count(static_cast<std::uint32_t>(i)) == 0 &&
        !from_byte_level(draft_.tokens[i]))
      draft_.tokens[i] = to_byte_level(draft_.tokens[i]);
  read_merges(*merges);
  if (rule->nfc) draft_.normalizer = {{"type", "NFC"}};
  std::vector<json> cuts;
  if (rule->digits) cuts.push_back({{"type", "Digits"}, {"individual_digits", true}});
  for (const auto pattern : rule->patterns) cuts.push_back(steps::split(pattern));
  cuts.push_back(steps::byte_level(rule->patterns.empty()));
  draft_.pre_tokenizer = cuts.size() == 1 ? cuts.front() : steps::sequence("pretokenizers", cuts);
  draft_.decoder = steps::byte_level(true);
  draft_.model = bpe_settings(nullptr, false, false, rule->ignore_merges);
  set_around(rule->add_bos, false);
}

void GgufTokenizer::marked_bpe() {
  const auto architecture = file_.text("general.architecture").value_or("");
  const bool spaces_apart = architecture.substr(0, 5) == "gemma";
  const auto* merges = file_.array("tokenizer.ggml.merges");
  auto order = merges ? std::vector<double>() : scores();
  if (spaces_apart) {
    // These files spell runs of the mark as spaces, and their scores do not follow the merges: the ids do.
    for (auto& token : draft_.tokens)
      if (!token.empty() && token.find_first_not_of(' ') == token.npos) {
        std::string marks;
        for (std::size_t i = 0; i < token.size(); ++i) marks += kMark;
        token = marks;
      }
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = -static_cast<double>(i);
  }
  add_reserved();
  if (merges) {
    read_merges(*merges);
  } else {
    std::vector<bool> derived(types_.size());
    for (std::size_t i = 0; i < types_.size(); ++i)
      derived[i] = types_[i] != kUnknown && types_[i] != kControl && types_[i] != kByte;
    derive_merges(draft_, order, derived, MergeOrder::longer_left_first);
  }
  const bool space_first = !spaces_apart && file_.flag("tokenizer.ggml.add_space_prefix").value_or(true);
  if (spaces_apart) {
    draft_.normalizer = steps::replace(" ", kMark);
    draft_.pre_tokenizer = {
        {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  } else {
    // As the models were trained: the mark comes before every stretch of text between reserved tokens, and also
    // before a text that begins with a space. (transformers 5 differs here: it marks the first stretch only.)
    std::vector<json> marks{steps::replace(" ", kMark)};
    if (space_first) marks.insert(marks.begin(), steps::prepend(kMark));
    draft_.normalizer = marks.size() == 1 ? marks.front() : steps::sequence("normalizers", marks);
  }
  draft_.decoder = steps::marked_decoder(space_first);
  draft_.model = bpe_settings(unk_ ? json(draft_.tokens[*unk_]) : json(nullptr), true, true, false);
  set_around(true, false);
}

void GgufTokenizer::unigram() {
  if (!unk_) refuse("it has no `tokenizer.ggml.unknown_token_id`");
  draft_.scores = scores();
  add_reserved();
  // Files of T5 call the sentinels [PAD32000] ...; there are a hundred, the first has the highest number.
  if (file_.text("general.architecture").value_or("").substr(0, 2) == "t5") {
    int sentinel = 99;
    for (std::size_t i = 0; i < draft_.tokens.size() && sentinel >= 0; ++i)
      if (draft_.tokens[i].substr(0, 4) == "[PAD" && draft_.tokens[i].back() == ']') {
        draft_.tokens[i] = "<extra_id_" + std::to_string(sentinel--) + ">";
        draft_.added[static_cast<std::uint32_t>(i)] = {};
      }
  }
  if (const auto* map = file_.array("tokenizer.ggml.precompiled_charsmap")) {
    if (map->of != GgufType::u8 && map->of != GgufType::i8)
      refuse("its `tokenizer.ggml.precompiled_charsmap` are no bytes");
    draft_.normalizer = steps::precompiled({reinterpret_cast<const char*>(map->numbers.data()), map->numbers.size()});
  }
  const char* scheme = file_.flag("tokenizer.ggml.add_space_prefix").value_or(true) ? "always" : "never";
  const auto mark = steps::metaspace(scheme, true);
  draft_.pre_tokenizer = file_.flag("tokenizer.ggml.remove_extra_whitespaces").value_or(true)
                             ? steps::sequence("pretokenizers", {{{"type", "WhitespaceSplit"}}, mark})
                             : mark;
  draft_.decoder = mark;
  draft_.model = {{"type", "Unigram"}, {"unk_id", *unk_}, {"byte_fallback", false}};
  set_around(false, true);
}

void GgufTokenizer::word_pieces() {
  const auto cls = id("cls_token_id") ? id("cls_token_id") : bos_;
  auto sep = id("seperator_token_id");  // spelt so in these files
  if (!sep) sep = eos_;
  if (!cls || !sep || !unk_) refuse("it does not say which of its tokens are [CLS], [SEP] and [UNK]");
  add_reserved();
  draft_.added[*cls] = draft_.added[*sep] = {};
  if (const auto mask = id("mask_token_id")) draft_.added[*mask] = {};
  bool capitals = false;
  for (std::size_t i = 0; i < draft_.tokens.size(); ++i) {
    auto& token = draft_.tokens[i];
    if (draft_.added.count(static_cast<std::uint32_t>(i)) > 0 || types_[i] == kUnused ||
        (token.size() > 2 && token.front() == '[' && token.back() == ']'))
      continue;
    capitals = capitals || std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    token = token.substr(0, 3) == kMark ? token.substr(3) : "##" + token;
  }
  draft_.normalizer = {{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", true},
                       {"strip_accents", nullptr},
                       {"lowercase", !capitals}};
  draft_.pre_tokenizer = {{"type", "BertPreTokenizer"}};
  draft_.decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  draft_.model = {{"type", "WordPiece"},
                  {"unk_token", draft_.tokens[*unk_]},
                  {"continuing_subword_prefix", "##"},
                  {"max_input_chars_per_word", 100}};
  const auto &before = draft_.tokens[*cls], &after = draft_.tokens[*sep];
  draft_.post_processor =
      steps::around({{before, 0}, {"$A", 0}, {after, 0}}, {{before, 0}, {"$A", 0}, {after, 0}, {"$B", 1}, {after, 1}},
                    {{before, *cls}, {after, *sep}});
}

}  // namespace

std::string gguf_tokenizer_json(const GgufFile& file) { return GgufTokenizer(file).json_text(); }

}  // namespace xp
