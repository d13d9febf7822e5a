// Explicit n-gram masking: a hidden n-gram is one mask symbol and one class, not as many of each as it has tokens.
#include <algorithm>
#include <unordered_map>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/masking.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using Ids = std::vector<std::int64_t>;

double checked_rate(double rate) { return xp::mask_options(rate, {1, 0, 0}, false).rate; }

/// N-grams of token ids in a trie. Class c below the size of the vocabulary is the token c, those above are n-grams.
class Lexicon {
 public:
  struct Match {
    std::size_t length = 1;
    std::int64_t label = 0;
  };

  Lexicon() = default;
  /// `ngrams`: a list of lists of token ids, or the artifact of the fitter `token_ngrams`.
  Lexicon(const xp::Value& ngrams, const xp::Resources& resources) : vocab_(resources.vocab_size()) {
    if (const auto* artifact = ngrams.as<xp::Reference>())
      take(*artifact, resources);
    else if (const auto* list = ngrams.as<xp::List>())
      take(*list, resources);
    if (ngrams_ == 0) throw xp::Error("`ngrams` holds none; give at least one, or use `mlm` for single tokens");
  }

  std::int64_t classes() const { return vocab_ + ngrams_; }
  std::int64_t longest() const { return longest_; }

  /// The longest n-gram at `ids[from]` that ends at `end` or before, else the token alone.
  Match match(const Ids& ids, std::size_t from, std::size_t end) const {
    Match best{1, ids[from]};
    std::int64_t node = 0;
    for (auto t = from; t < end; ++t) {
      const auto next = nodes_.find(node * vocab_ + ids[t]);
      if (next == nodes_.end()) break;
      node = next->second.number;
      if (next->second.label >= 0) best = {t - from + 1, next->second.label};
    }
    return best;
  }

 private:
  struct Node {
    std::int64_t number = 0, label = -1;  ///< label -1: no n-gram ends here
  };

  void take(const xp::Reference& artifact, const xp::Resources& resources) {
    const auto& state = resources.artifact(artifact.text);
    const auto name = xp::backquoted(artifact.text);
    if (!state.has("vocab_size"))
      throw xp::Error("artifact " + name + " has no n-grams of tokens; fit it with the method `token_ngrams`",
                      xp::Exit::data);
    if (const auto known = state.ints("vocab_size").data.at(0); known != vocab_)
      throw xp::Error("artifact " + name + " knows a vocabulary of " + std::to_string(known) +
                          ", the tokenizer has one of " + std::to_string(vocab_) + "; fit it with the same tokenizer",
                      xp::Exit::data);
    for (std::int64_t n = 2; state.has("token_ngrams_" + std::to_string(n)); ++n) {
      const auto& data = state.ints("token_ngrams_" + std::to_string(n)).data;
      for (auto at = data.begin(); data.end() - at >= n; at += n) add(Ids(at, at + n), resources);
    }
  }

  void take(const xp::List& list, const xp::Resources& resources) {
    for (const auto& one : list) {
      const auto* tokens = one.as<xp::List>();
      if (!tokens) throw xp::Error("`ngrams` holds " + xp::to_text(one) + "; each is a list of token ids");
      Ids ids;
      for (const auto& token : *tokens) {
        const auto* id = token.as<std::int64_t>();
        if (!id) throw xp::Error("`ngrams` holds " + xp::to_text(one) + "; token ids are whole numbers");
        ids.push_back(*id);
      }
      add(ids, resources);
    }
  }

  void add(const Ids& ids, const xp::Resources& resources) {
    std::vector<std::string> parts;
    for (const auto id : ids) parts.push_back(std::to_string(id));
    const auto shown = "n-gram [" + xp::join(parts, ", ") + "]";
    if (ids.size() < 2) throw xp::Error(shown + " is too short; two token ids or more are needed");
    Node* node = nullptr;
    for (const auto id : ids) {
      if (id < 0 || id >= vocab_ || !resources.is_text(id))
        throw xp::Error(shown + ": token id " + std::to_string(id) + " stands for no text in a vocabulary of " +
                        std::to_string(vocab_));
      const auto key = (node ? node->number : 0) * vocab_ + id;
      node = &nodes_.try_emplace(key, Node{std::ssize(nodes_) + 1}).first->second;
    }
    if (node->label >= 0) throw xp::Error(shown + " is there twice; each has one class");
    node->label = vocab_ + ngrams_++;
    longest_ = std::max(longest_, std::ssize(ids));
  }

  std::int64_t vocab_ = 0, ngrams_ = 0, longest_ = 0;
  std::unordered_map<std::int64_t, Node> nodes_;  // by the number of the node before * size of the vocabulary + id
};

/// Writes the axis `symbols`: the text with one mask in place of each hidden unit (an n-gram, found by longest match
/// from the left, or a token), and right behind it the query symbols, so that padding moves none of them. By symbol:
/// `symbol_ids`; `symbol_from`, where its (first) token stood in `ids`; `symbol_slot`, the place in the shorter text
/// (of a query: that of its mask); `symbol_order`, which token of its unit a query asks for, -1: no query;
/// `ngram_labels`, the class at a mask, and `query_labels`, the token at a query, else -1.
class MaskNgrams final : public xp::Transform {
 public:
  MaskNgrams(double rate, xp::Value ngrams, bool queries)
      : rate_(rate), ngrams_(std::move(ngrams)), queries_(queries) {}

  void start(const xp::Resources& resources) override {
    mask_ = resources.reserved("mask");
    lexicon_ = Lexicon(ngrams_, resources);
    is_text_.clear();
    for (std::int64_t id = 0; id < resources.vocab_size(); ++id) is_text_.push_back(resources.is_text(id));
  }
  void set(std::string_view parameter, double value) override {
    if (parameter == "mask_rate") rate_ = checked_rate(value);
  }
  xp::FieldUse fields() const override {
    xp::FieldUse use{.reads = {"ids"}, .reads_if_there = {"maskable"}, .writes = {{"symbol_ids", "symbols", 0}}};
    for (const char* name : {"symbol_from", "symbol_slot", "symbol_order", "ngram_labels", "query_labels"})
      use.writes.push_back({name, "symbols", -1});
    return use;
  }
  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    for (auto& item : group) mask(item, random);
  }

 private:
  struct Symbols {
    xp::Ints ids, from, slot, order, ngram_labels, query_labels;

    void add(std::int64_t id, std::size_t at, std::int64_t place, std::int64_t which, std::int64_t ngram,
             std::int64_t token) {
      ids.data.push_back(id), from.data.push_back(static_cast<std::int64_t>(at)), slot.data.push_back(place);
      order.data.push_back(which), ngram_labels.data.push_back(ngram), query_labels.data.push_back(token);
    }
  };

  void mask(xp::Example& item, xp::RandomStream& random) const {
    const auto& ids = item.ints("ids").data;
    const auto may = maskable(item);
    Symbols text, queries;
    for (std::size_t t = 0, end = 0; t < ids.size();) {
      const auto place = std::ssize(text.ids.data);
      if (!may[t]) {
        text.add(ids[t], t, place, -1, -1, -1), ++t;
        continue;
      }
      for (end = std::max(end, t); end < ids.size() && may[end];) ++end;
      const auto unit = lexicon_.match(ids, t, end);
      const bool hidden = random.uniform() < rate_;
      if (hidden) text.add(mask_, t, place, -1, unit.label, -1);
      for (std::size_t i = 0; i < unit.length; ++i, ++t)
        if (!hidden)
          text.add(ids[t], t, std::ssize(text.ids.data), -1, -1, -1);
        else if (queries_)
          queries.add(mask_, t, place, static_cast<std::int64_t>(i), -1, ids[t]);
    }
    const auto put = [&](const char* name, xp::Ints Symbols::*field) {
      auto& data = (text.*field).data;
      data.insert(data.end(), (queries.*field).data.begin(), (queries.*field).data.end());
      item.fields[name] = std::move(text.*field);
    };
    put("symbol_ids", &Symbols::ids), put("symbol_from", &Symbols::from), put("symbol_slot", &Symbols::slot);
    put("symbol_order", &Symbols::order), put("ngram_labels", &Symbols::ngram_labels);
    put("query_labels", &Symbols::query_labels);
  }

  std::vector<bool> maskable(const xp::Example& item) const {
    const auto& ids = item.ints("ids").data;
    const auto* allowed = item.fields.contains("maskable") ? &item.ints("maskable").data : nullptr;
    if (allowed && allowed->size() != ids.size())
      throw xp::Error("field `maskable` has " + xp::count(allowed->size(), "value") + " for " +
                      xp::count(ids.size(), "token"));
    std::vector<bool> may;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] < 0 || ids[t] >= std::ssize(is_text_))
        throw xp::Error("token id " + std::to_string(ids[t]) + " does not fit a vocabulary of " +
                        std::to_string(is_text_.size()));
      may.push_back(is_text_[static_cast<std::size_t>(ids[t])] && (!allowed || (*allowed)[t]));
    }
    return may;
  }

  double rate_;
  xp::Value ngrams_;
  bool queries_;
  std::int64_t mask_ = 0;
  Lexicon lexicon_;
  std::vector<bool> is_text_;  // by id
};

/// Explicit and comprehensive n-gram masking (Xiao et al. 2021, "ERNIE-Gram"): the mask's class
/// among tokens and n-grams, and each token of the n-gram, asked for by a query symbol that reads the text and itself
/// and is read by no other symbol.
class NgramMlm final : public xp::Objective {
 public:
  struct Params {
    xp::Value ngrams;
    double mask_rate = 0.15;
    bool fine_grained = true;
    std::string positions = "collapsed";

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::ngrams, "ngrams",
            "What is hidden as one: an artifact of the fitter `token_ngrams`, or lists of token ids.")
          .any_of({xp::field::artifact("statistics"), xp::field::list(xp::field::list(xp::field::number(true)))})
          .required();
      f.add(&Params::mask_rate, "mask_rate", "Share of the n-grams and single tokens to hide.")
          .min(0)
          .max(1)
          .schedulable();
      f.add(&Params::fine_grained, "fine_grained", "Whether the tokens of what is hidden are asked for as well.");
      f.add(&Params::positions, "positions",
            "Where symbols stand: `collapsed` as in the shorter text, which tells no lengths, queries at their mask "
            "with "
            "learned vectors that number them; `original` as in the text, each query at its own token.")
          .choices({"collapsed", "original"});
      f.needs("field", "ids");
      for (const char* able : {"primary:bidirectional", "primary:positions"}) f.needs("capability", able);
      for (const char* able : {"primary:masks", "primary:logits"})
        f.needs("capability", able, {{"fine_grained", {"true"}}});
      f.needs("capability", "primary:vectors", {{"fine_grained", {"true"}}, {"positions", {"collapsed"}}});
      f.needs("reserved", "mask");
      f.gives("metric", "ngrams", "share");
    }
  };

  explicit NgramMlm(Params p) : p_(std::move(p)) { checked_rate(p_.mask_rate); }

  void build(xp::BuildContext& context) override {
    const Lexicon lexicon(p_.ngrams, context);
    const auto width = context.model("primary").shape().width;
    vocab_ = context.vocab_size();
    using enum xp::Lifetime;
    dense_ = context.add({"dense", "head", -1, pretrain_only}, {width, width});
    dense_bias_ = context.add({"dense.bias", "bias", -1, pretrain_only}, {width}, {0, 0});
    out_ = context.add({"out", "head", -1, pretrain_only}, {lexicon.classes(), width});
    out_bias_ = context.add({"out.bias", "bias", -1, pretrain_only}, {lexicon.classes()}, {0, 0});
    if (numbered()) symbols_ = context.add({"symbols", "position", -1, pretrain_only}, {lexicon.longest(), width});
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    return std::make_unique<MaskNgrams>(p_.mask_rate, p_.ngrams, p_.fine_grained);
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    xp::Counts out{{"ngram", batch.dense("ngram_labels").ge(0).sum(1)}};
    if (p_.fine_grained) out["token"] = batch.dense("query_labels").ge(0).sum(1);
    return out;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto whole = xp::labelled(batch.dense("ngram_labels")), parts = xp::labelled(batch.dense("query_labels"));
    const auto n = whole.at.size(0);
    const auto picked =
        context.forward("primary", input(batch, context), {.at = xp::ops::cat({whole.at, parts.at})}).picked;
    const auto dense = xp::ops::linear(picked.narrow(0, 0, n), context.weight(dense_), context.weight(dense_bias_));
    const auto classes = xp::ops::linear(xp::ops::gelu(dense), context.weight(out_), context.weight(out_bias_));
    xp::StepResult result{.terms = {{"ngram", xp::cross_entropy_by_item(classes, whole, batch.items())}}};
    if (p_.fine_grained) {
      const auto tokens = context.logits("primary", picked.narrow(0, n, parts.at.size(0)));
      result.terms.push_back({"token", xp::cross_entropy_by_item(tokens, parts, batch.items())});
    }
    const auto longer = whole.labels.ge(vocab_).sum();
    result.metrics.push_back({"ngrams", longer, longer.new_full({}, n)});
    return result;
  }

 private:
  bool numbered() const { return p_.fine_grained && p_.positions == "collapsed"; }

  xp::ForwardInput input(const xp::Batch& batch, xp::StepContext& context) const {
    const auto &ids = batch.dense("symbol_ids"), &from = batch.dense("symbol_from");
    xp::ForwardInput in{.mask = p_.fine_grained ? reach(batch) : batch.dense("symbols.mask"),
                        .positions = p_.positions == "original" ? from : batch.dense("symbol_slot"),
                        .segments = xp::segments_of(batch),
                        .sample_id = batch.sample_id};
    if (in.segments.defined()) in.segments = in.segments.gather(1, from.clamp_min(0));
    if (!numbered()) {
      in.ids = ids;
      return in;
    }
    const auto& order = batch.dense("symbol_order");
    const auto words = context.embed("primary", ids);
    const auto queries = xp::ops::embedding(context.weight(symbols_), order.clamp_min(0)).to(words.scalar_type());
    in.vectors = queries.where(order.ge(0).unsqueeze(-1), words);
    return in;
  }

  /// [items, symbols, symbols], query x key: every symbol reads the text, a query symbol itself as well.
  static at::Tensor reach(const xp::Batch& batch) {
    const auto is_query = batch.dense("symbol_order").ge(0);
    const auto text = batch.dense("symbols.mask").logical_and(is_query.logical_not());
    const auto place = xp::ops::arange(is_query.size(1), is_query.options().dtype(at::kLong));
    const auto itself = place.unsqueeze(0).eq(place.unsqueeze(1)).logical_and(is_query.unsqueeze(2));
    return text.unsqueeze(1).logical_or(itself);
  }

  Params p_;
  std::int64_t vocab_ = 0;
  xp::Param dense_ = 0, dense_bias_ = 0, out_ = 0, out_bias_ = 0, symbols_ = 0;
};

}  // namespace

XP_PLUGIN(ngram_mlm) {
  registry.add<NgramMlm>("ngram_mlm", "Masked language modelling that hides an n-gram behind one mask.");
}
