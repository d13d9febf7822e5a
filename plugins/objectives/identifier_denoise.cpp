// Masked identifier prediction: every name of a program is hidden behind a sentinel, an encoder-decoder says them.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "api/objective.h"
#include "api/ops.h"
#include "api/tokenizer.h"
#include "base/text.h"
#include "kit/torch_losses.h"
#include "plugin/plugin.h"

namespace {

using xp::backquoted;
using Ids = std::vector<std::int64_t>;

enum class Identifiers : std::uint8_t { marked, marked_or_words, words };

struct Settings {
  Identifiers identifiers = Identifiers::marked;
  std::string field = "identifier";
  std::vector<std::string> keywords = {};

  bool reads_marks() const { return identifiers != Identifiers::words; }
  static void describe(xp::Fields<Settings>& f) {
    f.add(&Settings::identifiers, "identifiers",
          "Words that annotations mark (a document without any costs nothing), or in such a document all words of "
          "its text, or these in every document. A word is a run of letters, digits and `_` that starts with no "
          "digit; strings and comments are text like any other.",
          {{"marked", Identifiers::marked},
           {"marked_or_words", Identifiers::marked_or_words},
           {"words", Identifiers::words}});
    f.add(&Settings::field, "field", "Kind of the annotations that mark identifiers.");
    f.add(&Settings::keywords, "keywords", "Words that are no identifiers, such as those of the language itself.");
    f.needs("field", "ids");
    f.needs("field", "tag", {{"field", {"tag"}}, {"identifiers", {"marked", "marked_or_words"}}});
    for (const char* able : {"primary:memory", "primary:causal", "primary:logits"}) f.needs("capability", able);
    for (const char* purpose : {"sentinel[100]", "end"}) f.needs("reserved", purpose);
  }
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A byte beyond ASCII counts as a letter, so that a text may be cut within a character.
bool is_of_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// What tokens stand for in the text, and tokens for stretches of it.
class Spelling {
 public:
  Spelling() = default;
  explicit Spelling(const xp::Resources& resources) : encoder_(resources.tokenizer()) {
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id) bytes_.push_back(bytes_of(resources, id));
    writes_all_ = encoder_ != nullptr;
    for (int b = 0; b < 256 && writes_all_; ++b) writes_all_ = !exactly(std::string(1, static_cast<char>(b))).empty();
  }

  const std::string& bytes(std::int64_t id) const { return bytes_.at(static_cast<std::size_t>(id)); }
  bool writes_all() const { return writes_all_; }  ///< any bytes have tokens that stand for them and no more
  Ids write(std::string_view bytes) const {
    if (auto all = exactly(bytes); !all.empty()) return all;
    Ids out;
    for (const char c : bytes)
      for (const auto id : exactly({&c, 1})) out.push_back(id);
    return out;
  }

 private:
  /// Never empty: what stands for no text parts words. Without a tokenizer every token is a part of a word.
  std::string bytes_of(const xp::Resources& resources, std::int64_t id) const {
    const std::string none(1, '\0');
    if (!resources.is_text(id)) return none;
    if (!encoder_) return "_" + std::to_string(id);
    const auto key = encoder_->key(static_cast<xp::TokenId>(id));
    const auto bytes = (key.word_start == xp::WordStart::yes ? " " : "") + key.bytes;
    return bytes.empty() ? none : bytes;
  }

  Ids exactly(std::string_view bytes) const {
    const auto pieces = encoder_->pieces({.bytes = std::string(bytes)});
    std::string spelled;
    for (const auto id : pieces) spelled += this->bytes(id);
    return spelled == bytes ? Ids(pieces.begin(), pieces.end()) : Ids{};
  }

  const xp::Encoder* encoder_ = nullptr;
  std::vector<std::string> bytes_;  // by id
  bool writes_all_ = false;
};

/// Bytes [begin, end) of a program.
struct Stretch {
  std::size_t begin = 0, end = 0;
};

struct Program {
  Ids ids, marks;  ///< marks: -1 where no identifier can be; a word ends where they change
  std::string text;
  std::vector<std::size_t> begin;  ///< of each token in the text, then the text's end

  std::size_t token_at(std::size_t byte) const {
    return static_cast<std::size_t>(std::upper_bound(begin.begin(), begin.end(), byte) - begin.begin()) - 1;
  }
};

struct Name {
  std::vector<Stretch> at;  ///< all places, in order
  Ids tokens = {};          ///< what the target says
  bool whole = true;        ///< all places are whole tokens, and the same ones
};

/// `source_ids`: the text with a sentinel at every place of a name, end. `target_ids`: each name behind its sentinel
/// in the order in which they first appear, end (CodeT5, Wang et al. 2021). Neither is longer than the
/// text and its end: where names would make them so, or where sentinels end, names stay as they are.
class HideNames final : public xp::Transform {
 public:
  explicit HideNames(Settings p) : p_(std::move(p)), keywords_(p_.keywords.begin(), p_.keywords.end()) {}

  void start(const xp::Resources& resources) override {
    if (p_.identifiers != Identifiers::marked && !resources.tokenizer())
      throw xp::Error(
          "identifiers that no annotation marks are found in the text of tokens, and the stage has no "
          "tokenizer; name one, or annotate and write identifiers = \"marked\"");
    spelling_ = Spelling(resources);
    end_ = resources.reserved("end");
    if (const auto* encoder = resources.tokenizer()) begin_ = encoder->reserved("begin").value_or(-1);
    sentinels_ = {resources.reserved("sentinel", 0)};
    try {  // nobody says how many there are: the first that is missing ends the list
      while (std::ssize(sentinels_) < resources.vocab_size())
        sentinels_.push_back(resources.reserved("sentinel", std::ssize(sentinels_)));
    } catch (const xp::Error&) {
    }
  }

  xp::FieldUse fields() const override {
    xp::Strings reads{"ids"};
    if (p_.reads_marks()) reads.push_back(p_.field);
    return {.reads = std::move(reads),
            .reads_if_there = {"segment"},
            .writes = {{"source_ids", "source", 0}, {"target_ids", "target", 0}}};
  }
  xp::Lengths lengths(std::int64_t raw, xp::RandomStream) const override { return {raw + 1, raw + 1}; }
  void apply(std::vector<xp::Example>& group, xp::RandomStream&) const override {
    for (auto& item : group) hide(item);
  }

 private:
  void hide(xp::Example& item) const {
    const auto program = read(item);
    const auto names = names_of(program);
    const auto room = program.ids.size() + 1;
    std::vector<const Name*> hidden;
    std::size_t used = 1;
    for (const auto& name : names) {
      if (hidden.size() == sentinels_.size() || used + 1 + name.tokens.size() > room) continue;
      hidden.push_back(&name), used += 1 + name.tokens.size();
    }
    auto source = source_of(program, hidden);
    while (source.size() > room) {  // only what stands in parts of tokens makes it longer
      hidden.erase(std::find_if(hidden.rbegin(), hidden.rend(), [](auto* one) { return !one->whole; }).base() - 1);
      source = source_of(program, hidden);
    }
    Ids target;
    for (std::size_t k = 0; k < hidden.size(); ++k) {
      target.push_back(sentinels_[k]);
      target.insert(target.end(), hidden[k]->tokens.begin(), hidden[k]->tokens.end());
    }
    target.push_back(end_);
    item.fields["source_ids"] = xp::Ints{std::move(source)}, item.fields["target_ids"] = xp::Ints{std::move(target)};
  }

  /// Of two texts only the first is a program: the loader marks no token of the second either.
  Program read(const xp::Example& item) const {
    const auto& ids = item.ints("ids").data;
    const auto* segment = item.fields.contains("segment") ? &item.ints("segment").data : nullptr;
    const auto* marks = p_.reads_marks() ? &item.ints(p_.field).data : nullptr;
    if (marks && marks->size() != ids.size())
      throw xp::Error("field " + backquoted(p_.field) +
                      " has one class per item; identifiers need a kind of annotation, which marks tokens");
    if (p_.identifiers == Identifiers::marked_or_words &&
        std::all_of(marks->begin(), marks->end(), [](auto mark) { return mark == -1; }))
      marks = nullptr;
    std::size_t at = 0, stop = ids.size();
    if (at < stop && ids[at] == begin_) ++at;
    if (at < stop && ids[stop - 1] == end_) --stop;
    Program out;
    for (; at < stop; ++at) {
      out.ids.push_back(ids[at]), out.begin.push_back(out.text.size());
      out.text += spelling_.bytes(ids[at]);
      out.marks.push_back(marks ? marks->at(at) : segment && segment->at(at) != 0 ? -1 : 0);
    }
    out.begin.push_back(out.text.size());
    return out;
  }

  /// In the order in which they first appear.
  std::vector<Name> names_of(const Program& program) const {
    std::map<std::string, std::size_t, std::less<>> known;
    std::vector<Name> names;
    std::optional<std::size_t> open;
    const auto close = [&](std::size_t end, std::int64_t mark) {
      if (!open) return;
      const auto word = program.text.substr(*open, end - *open);
      const Stretch at{*std::exchange(open, std::nullopt), end};
      if (mark == -1 || is_digit(word.front()) || keywords_.contains(word)) return;
      const auto [found, fresh] = known.emplace(word, names.size());
      if (fresh) names.emplace_back();
      names[found->second].at.push_back(at);
    };
    for (std::size_t t = 0; t < program.ids.size(); ++t) {
      if (t > 0 && program.marks[t] != program.marks[t - 1]) close(program.begin[t], program.marks[t - 1]);
      for (auto at = program.begin[t]; at < program.begin[t + 1]; ++at)
        if (!is_of_word(program.text[at]))
          close(at, program.marks[t]);
        else if (!open)
          open = at;
    }
    if (!program.marks.empty()) close(program.text.size(), program.marks.back());
    for (auto& name : names) settle(program, name);
    std::erase_if(names, [](const Name& name) { return name.tokens.empty(); });
    return names;
  }

  /// A name that always stands as the same tokens is these, with the blank before it where they hold one. Another is
  /// written anew, and what its tokens hold beside it stays in the source; where a tokenizer cannot, it is no name.
  void settle(const Program& program, Name& name) const {
    std::vector<Stretch> wide;
    Ids same;
    for (const auto& [begin, end] : name.at) {
      const auto first = program.token_at(begin), last = program.token_at(end - 1);
      const auto from = program.begin[first];
      const bool blank = from + 1 == begin && program.text[from] == ' ';
      const Ids own(program.ids.begin() + static_cast<std::ptrdiff_t>(first),
                    program.ids.begin() + static_cast<std::ptrdiff_t>(last) + 1);
      name.whole =
          name.whole && (from == begin || blank) && program.begin[last + 1] == end && (wide.empty() || own == same);
      same = own, wide.push_back({from, end});
    }
    const auto [begin, end] = name.at.front();
    if (name.whole)
      name.at = std::move(wide), name.tokens = std::move(same);
    else if (spelling_.writes_all())
      name.tokens = spelling_.write(std::string_view(program.text).substr(begin, end - begin));
  }

  Ids source_of(const Program& program, const std::vector<const Name*>& hidden) const {
    std::map<std::size_t, std::pair<std::size_t, std::int64_t>> places;  // by begin: end and sentinel
    for (std::size_t k = 0; k < hidden.size(); ++k)
      for (const auto& [begin, end] : hidden[k]->at) places[begin] = {end, sentinels_[k]};
    Ids out;
    std::size_t at = 0;
    for (const auto& [begin, place] : places) {
      keep(program, {at, begin}, out);
      at = place.first, out.push_back(place.second);
    }
    keep(program, {at, program.text.size()}, out);
    out.push_back(end_);
    return out;
  }

  /// The tokens of a stretch; of those that reach beyond it, what lies inside is written anew.
  void keep(const Program& program, Stretch part, Ids& out) const {
    while (part.begin < part.end) {
      const auto t = program.token_at(part.begin);
      const auto end = std::min(program.begin[t + 1], part.end);
      if (part.begin == program.begin[t] && end == program.begin[t + 1]) {
        out.push_back(program.ids[t]);
      } else {
        const auto some = spelling_.write(std::string_view(program.text).substr(part.begin, end - part.begin));
        out.insert(out.end(), some.begin(), some.end());
      }
      part.begin = end;
    }
  }

  Settings p_;
  std::set<std::string, std::less<>> keywords_;
  Spelling spelling_;
  std::int64_t end_ = 0, begin_ = -1;  // begin_: -1 without a tokenizer
  Ids sentinels_;                      // all that there are
};

/// Mean negative log likelihood of the target's tokens, sentinels and end among them, given those before and the
/// source (CodeT5, the loss of MIP). A program without names costs nothing.
class IdentifierDenoise final : public xp::Objective {
 public:
  using Params = Settings;
  explicit IdentifierDenoise(Params p) : p_(std::move(p)) {
    for (const auto& word : p_.keywords)
      if (word.empty() || is_digit(word.front()) || !std::all_of(word.begin(), word.end(), is_of_word))
        throw xp::Error("`keywords` has " + backquoted(word) +
                        ", which no word is: letters, digits and `_`, no digit first; leave it out");
  }

  // The values of the annotations say nothing here; asking for them is what makes the loader mark the tokens.
  void build(xp::BuildContext& context) override {
    end_ = context.reserved("end");
    if (p_.reads_marks() && context.categories(p_.field).empty())
      throw xp::Error("the training split has no annotation of kind " + backquoted(p_.field) +
                      "; name another `field`, or write identifiers = \"words\"");
  }
  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<HideNames>(p_); }
  bool same_step(const Objective& other) const override { return dynamic_cast<const IdentifierDenoise*>(&other); }
  xp::Counts counts(const xp::Batch& batch) const override { return {{"identifiers", asked(batch).sum(1)}}; }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto &target = batch.dense("target_ids"), &mask = batch.dense("source.mask");
    const auto wanted = xp::labelled(target.masked_fill(asked(batch).logical_not(), -1));
    const xp::ForwardInput program{.ids = batch.dense("source_ids"), .mask = mask, .sample_id = batch.sample_id};
    const xp::ForwardInput names{.ids = xp::ops::constant_pad_nd(target, {1, -1}, end_),
                                 .causal = true,
                                 .memory = context.forward("primary", program, {.tokens = true}).tokens,
                                 .memory_mask = mask,
                                 .sample_id = batch.sample_id};
    const auto logits = context.logits("primary", context.forward("primary", names, {.at = wanted.at}).picked);
    return {.terms = {{"identifiers", xp::cross_entropy_by_item(logits, wanted, batch.items())}}};
  }

 private:
  /// Tokens of targets that hold more than their end.
  static at::Tensor asked(const xp::Batch& batch) {
    const auto& mask = batch.dense("target.mask");
    return mask.logical_and(mask.sum(1, true).gt(1));
  }

  Settings p_;
  std::int64_t end_ = 0;
};

}  // namespace

XP_PLUGIN(identifier_denoise) {
  registry.add<IdentifierDenoise>("identifier_denoise", "Names of a program, each behind a sentinel of its own.");
}
