#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "base/log.h"
#include "base/text.h"
#include "kit/small_adam.h"
#include "kit/tensors.h"
#include "kit/unicode.h"
#include "kit/vocab_fallback.h"
#include "plugin/plugin.h"

namespace {

constexpr std::int64_t kMostKept = std::int64_t{1} << 30;  // bytes of the old model's states, kept over epochs

enum class OutputRows { mean, zero };

/// Old tokens around a place, and which runs of them are one new token.
struct Snippet {
  struct Merge {
    std::int32_t first, last, row;  ///< places in `ids`; index among the learnt rows
  };
  std::vector<xp::TokenId> ids;
  std::vector<Merge> merges;  ///< in order, apart from each other
};

/// Finds places of new tokens in texts. A place counts where the old tokenizer ends pieces at both of its borders,
/// and counts as read by its own snippet alone.
class Places {
 public:
  Places(const xp::VocabSetting& setting, const std::vector<xp::TokenId>& wanted, std::int64_t contexts,
         std::int64_t window)
      : s_(setting),
        frame_(setting.source.around()),
        contexts_(contexts),
        window_(static_cast<std::size_t>(window)),
        index_(static_cast<std::size_t>(setting.target.size()), -1),
        seen_(wanted.size()),
        missing_(wanted.size()) {
    for (std::size_t i = 0; i < wanted.size(); ++i)
      index_[static_cast<std::size_t>(wanted[i])] = static_cast<std::int32_t>(i);
  }

  void read(const std::string& text) {
    if (missing_ == 0) return;
    const auto old = s_.source.encode(text);
    std::vector<Snippet::Merge> places;
    std::size_t from = 0;
    bool any = false;
    for (const auto& token : s_.target.encode(text)) {
      const auto row = index_[static_cast<std::size_t>(token.id)];
      if (row < 0 || token.begin >= token.end) continue;
      while (from < old.size() && old[from].end <= token.begin) ++from;
      auto to = from;
      while (to < old.size() && old[to].begin < token.end) ++to;
      if (from == to || !blank(text, old[from].begin, token.begin) || !blank(text, old[to - 1].end, token.end))
        continue;
      places.push_back({static_cast<std::int32_t>(from), static_cast<std::int32_t>(to - 1), row});
      any |= seen_[static_cast<std::size_t>(row)] < contexts_;
    }
    for (std::size_t i = 0; any && i < places.size(); ++i) {
      auto& seen = seen_[static_cast<std::size_t>(places[i].row)];
      const auto length = static_cast<std::size_t>(places[i].last - places[i].first + 1);
      if (seen == contexts_ || length > window_) continue;
      snippets.push_back(cut(old, places, i));
      if (++seen == contexts_) --missing_;
    }
  }

  /// Which of the wanted tokens stand somewhere; the snippets' rows are numbered by them from then on.
  std::vector<std::size_t> found() {
    std::vector<std::size_t> out;
    std::vector<std::int32_t> place(seen_.size(), -1);
    for (std::size_t i = 0; i < seen_.size(); ++i)
      if (seen_[i] > 0) place[i] = static_cast<std::int32_t>(out.size()), out.push_back(i);
    for (auto& one : snippets)
      for (auto& merge : one.merges) merge.row = place[static_cast<std::size_t>(merge.row)];
    return out;
  }
  std::vector<Snippet> snippets;

 private:
  /// Whether two borders are the same but for white space, which tokenizers give to one token or to none.
  static bool blank(const std::string& text, std::uint32_t a, std::uint32_t b) {
    const std::string_view between(text.data() + std::min(a, b), std::max(a, b) - std::min(a, b));
    for (std::size_t at = 0; at < between.size();)
      if (!xp::is_white_space(xp::next_char(between, at))) return false;
    return true;
  }

  Snippet cut(const std::vector<xp::Token>& old, const std::vector<Snippet::Merge>& places,
              std::size_t centre) const {
    const auto length = static_cast<std::size_t>(places[centre].last - places[centre].first + 1);
    const auto before = (window_ - length) / 2, first = static_cast<std::size_t>(places[centre].first);
    auto begin = first > before ? first - before : 0;
    const auto end = std::min(begin + window_, old.size());
    begin = end > window_ ? std::min(begin, end - window_) : 0;
    Snippet out;
    if (frame_.begin) out.ids.push_back(*frame_.begin);
    const auto shift = static_cast<std::int32_t>(out.ids.size()) - static_cast<std::int32_t>(begin);
    for (auto i = begin; i < end; ++i) out.ids.push_back(old[i].id);
    if (frame_.end) out.ids.push_back(*frame_.end);
    const auto inside = [&](const Snippet::Merge& m) {
      return static_cast<std::size_t>(m.first) >= begin && static_cast<std::size_t>(m.last) < end;
    };
    // Tokens of one text may share an old piece, of which only one can take it.
    const auto add = [&](const Snippet::Merge& m) { out.merges.push_back({m.first + shift, m.last + shift, m.row}); };
    std::int32_t free = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto& m = places[i];
      const bool own = i == centre;
      if (!own && (!inside(m) || m.first < free || (i < centre && m.last >= places[centre].first))) continue;
      add(m), free = m.last + 1;
    }
    return out;
  }

  const xp::VocabSetting& s_;
  xp::TextFrame frame_;
  std::int64_t contexts_;
  std::size_t window_;
  std::vector<std::int32_t> index_;  // of each target token: its place among the wanted ones, or -1
  std::vector<std::int64_t> seen_;
  std::size_t missing_;
};

struct Params {
  std::int64_t contexts = 25, window = 50, layer = 0, epochs = 1, batch = 16;
  double lr = 1e-4;
  OutputRows output = OutputRows::mean;
  static void describe(xp::Fields<Params>& f);
};

/// Moves rows so that the old model's states over snippets with merged tokens come near those over the old tokens.
class Distiller {
 public:
  /// `rows`: [wanted tokens, width of the input table] float, moved in place.
  Distiller(const xp::VocabSetting& setting, const Params& params, const std::vector<Snippet>& snippets,
            const at::Tensor& rows)
      : s_(setting), p_(params), snippets_(snippets), rows_(rows), known_(setting.subject->shape().input_vocab) {
    std::int64_t numbers = 0;
    for (const auto& one : snippets) numbers += std::ssize(one.ids) * setting.subject->shape().width;
    if (p_.epochs > 1 && numbers * std::int64_t{sizeof(float)} <= kMostKept) kept_.resize(snippets.size());
  }

  void run() {
    const at::AutoGradMode learns(true);
    rows_.requires_grad_(true);
    xp::SmallAdam adam({rows_}, p_.lr);
    std::vector<double> means;  // of the loss, by epoch
    for (std::int64_t epoch = 0; epoch < p_.epochs; ++epoch) {
      double sum = 0;
      const auto order = shuffled(epoch);
      const std::span all(order);
      for (std::size_t from = 0; from < order.size(); from += batch()) {
        s_.progressed(static_cast<double>(epoch) + static_cast<double>(from) / static_cast<double>(order.size()),
                      static_cast<double>(p_.epochs), "distilling rows");
        const auto some = all.subspan(from, std::min(batch(), order.size() - from));
        const auto off = loss(some);
        sum += off.item<double>() * static_cast<double>(some.size());
        if (!std::isfinite(sum)) throw xp::Error("the loss is no number any more; use a lower `lr`", xp::Exit::usage);
        off.backward();
        adam.update();
      }
      means.push_back(sum / static_cast<double>(order.size()));
    }
    rows_.requires_grad_(false);
    xp::log::info("rows from contexts: " + xp::count(snippets_.size(), "place") +
                  ", mean squared difference of states " + xp::short_number(means.front()) +
                  (means.size() > 1 ? ", " + xp::short_number(means.back()) + " in the last epoch" : ""));
  }

 private:
  std::size_t batch() const { return static_cast<std::size_t>(p_.batch); }

  std::vector<std::size_t> shuffled(std::int64_t epoch) const {
    std::vector<std::size_t> order(snippets_.size());
    std::iota(order.begin(), order.end(), 0);
    auto random = s_.random.child("order").stream(epoch);
    for (std::int64_t i = std::ssize(order); i > 1; --i)
      std::swap(order[static_cast<std::size_t>(i - 1)], order[static_cast<std::size_t>(random.below(i))]);
    return order;
  }

  /// Token ids of several texts, padded at the end.
  xp::Batch batch_of(const std::vector<std::vector<std::int64_t>>& texts) const {
    std::size_t time = 0;
    for (const auto& text : texts) time = std::max(time, text.size());
    std::vector<std::int64_t> ids(texts.size() * time, s_.source.reserved("pad").value_or(0)), numbers, lengths;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::copy(texts[i].begin(), texts[i].end(), ids.begin() + static_cast<std::ptrdiff_t>(i * time));
      numbers.push_back(static_cast<std::int64_t>(i)), lengths.push_back(std::ssize(texts[i]));
    }
    const auto wide = static_cast<std::int64_t>(time);
    xp::Batch out;
    out.sample_id = xp::tensor_of(numbers), out.group_id = xp::tensor_of(numbers);
    out.set("ids", xp::tensor_of(ids, {std::ssize(texts), wide}));
    out.set("input.mask", xp::ops::arange(wide, at::kLong).unsqueeze(0).lt(xp::tensor_of(lengths).unsqueeze(1)));
    return out;
  }

  /// Mean squared difference of states where both texts have the same token, or the last piece of a merged one.
  at::Tensor loss(std::span<const std::size_t> some) {
    std::vector<std::vector<std::int64_t>> merged;
    std::vector<std::vector<std::int64_t>> ends;  // of each merged text's tokens: the old token that ends with it
    std::int64_t time = 0;
    for (const auto i : some) {
      auto& ids = merged.emplace_back();
      auto& last = ends.emplace_back();
      const auto& one = snippets_[i];
      auto next = one.merges.begin();
      for (std::int32_t t = 0; t < std::ssize(one.ids); ++t) {
        const bool joins = next != one.merges.end() && t == next->first;
        ids.push_back(joins ? known_ + next->row : one.ids[static_cast<std::size_t>(t)]);
        if (joins) t = next++->last;
        last.push_back(t);
      }
      time = std::max(time, std::ssize(ids));
    }
    std::vector<std::int64_t> places;
    std::vector<at::Tensor> wanted;
    const auto states = old_states(some);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      wanted.push_back(states[i].index_select(0, xp::tensor_of(ends[i])));
      for (std::int64_t t = 0; t < std::ssize(ends[i]); ++t)
        places.push_back(static_cast<std::int64_t>(i) * time + t);
    }
    const auto made = s_.subject->encode_with(batch_of(merged), request(), rows_).tokens.flatten(0, 1);
    return made.index_select(0, xp::tensor_of(places)).to(at::kFloat).sub(xp::ops::cat(wanted)).square().mean();
  }

  xp::ForwardRequest request() const { return {.tokens = true, .view = {.layers = p_.layer}}; }

  /// Of each snippet as it stands: [tokens, width] float.
  std::vector<at::Tensor> old_states(std::span<const std::size_t> some) {
    std::vector<at::Tensor> out;
    if (!kept_.empty())
      for (const auto i : some)
        if (kept_[i].defined()) out.push_back(kept_[i]);
    if (out.size() == some.size()) return out;
    out.clear();
    std::vector<std::vector<std::int64_t>> texts;
    for (const auto i : some) texts.emplace_back(snippets_[i].ids.begin(), snippets_[i].ids.end());
    const at::NoGradGuard quiet;
    const auto states = s_.subject->encode(batch_of(texts), request()).tokens;
    for (std::size_t i = 0; i < some.size(); ++i) {
      out.push_back(states[static_cast<std::int64_t>(i)].narrow(0, 0, std::ssize(texts[i])).to(at::kFloat));
      if (!kept_.empty()) kept_[some[i]] = out.back().clone();
    }
    return out;
  }

  const xp::VocabSetting& s_;
  const Params& p_;
  const std::vector<Snippet>& snippets_;
  at::Tensor rows_;
  std::int64_t known_;
  std::vector<at::Tensor> kept_;  // the old model's states by snippet; empty: computed anew in every epoch
};

/// Token Distillation (Dobler et al. 2026, arXiv 2505.20133): the row of a new token is learnt so that the old model
/// goes on behind it as it does behind the token's old pieces. No other number moves.
class TokenDistillation final : public xp::VocabInitializer {
 public:
  using Params = ::Params;
  explicit TokenDistillation(Params params) : p_(params) {}

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    check(setting);
    std::vector<xp::TokenId> wanted, rows;
    for (const auto row : plan.open_rows())  // bytes and specials stand for no text
      if (setting.target.key(row).kind == xp::TokenKind::text && !xp::uniform_pieces(setting, row).empty())
        wanted.push_back(row);
    Places places(setting, wanted, p_.contexts, room(setting));
    setting.corpus->for_each([&](const xp::Document& document) { places.read(document.text); });
    if (places.snippets.empty()) return;
    std::vector<std::vector<xp::MixPart>> pieces;
    for (const auto i : places.found())
      rows.push_back(wanted[i]), pieces.push_back(xp::uniform_pieces(setting, wanted[i]));
    const auto inputs = xp::weights_of(setting).select("role:vocab.input");
    if (inputs.empty()) throw xp::Error("the model has no table with role vocab.input");
    const auto learnt = mixed(xp::weights_of(setting).values[inputs.front()], pieces);
    Distiller(setting, p_, places.snippets, learnt).run();
    write(setting, plan, rows, pieces, learnt);
  }

 private:
  void check(const xp::VocabSetting& setting) const {
    if (!setting.corpus)
      throw xp::Error("this initializer reads tokens in context: give the stage a `corpus`", xp::Exit::usage);
    if (!setting.subject) throw xp::Error("this initializer runs the old model, and there is none");
    if (!setting.subject->has("vectors"))
      throw xp::Error("this initializer learns rows by running the old model, which reads no vectors in their place",
                      xp::Exit::usage);
    const auto layers = setting.subject->shape().layers;
    if (p_.layer > layers)
      throw xp::Error("`layer` is " + std::to_string(p_.layer) + ", the model has " +
                          xp::count(static_cast<std::size_t>(layers), "layer"),
                      xp::Exit::usage);
  }

  /// Old tokens of a text in a snippet: fewer where the model takes fewer with what stands around.
  std::int64_t room(const xp::VocabSetting& setting) const {
    const auto frame = setting.source.around();
    const auto most = setting.subject->shape().max_time;
    const auto around = static_cast<std::int64_t>(frame.begin.has_value()) + frame.end.has_value();
    if (most == 0) return p_.window;
    if (most <= around)
      throw xp::Error("the model reads " + xp::count(static_cast<std::size_t>(most), "token") +
                      ", which leaves no room for text");
    return std::min(p_.window, most - around);
  }

  /// Weighted sums of the table's rows: [n, width] float.
  static at::Tensor mixed(const at::Tensor& table, const std::vector<std::vector<xp::MixPart>>& parts) {
    const at::NoGradGuard quiet;
    std::vector<at::Tensor> rows;
    for (const auto& own : parts) {
      auto sum = table.select(0, own.front().source).to(at::kDouble).mul(own.front().weight);
      for (std::size_t i = 1; i < own.size(); ++i)
        sum = sum.add(table.select(0, own[i].source).to(at::kDouble), own[i].weight);
      rows.push_back(sum.to(at::kFloat));
    }
    return xp::ops::stack(rows).contiguous();
  }

  /// Learnt input rows, and for other tables what their pieces' rows say.
  void write(const xp::VocabSetting& setting, xp::MixPlan& plan, const std::vector<xp::TokenId>& rows,
             const std::vector<std::vector<xp::MixPart>>& pieces, const at::Tensor& learnt) const {
    const auto& weights = xp::weights_of(setting);
    for (const auto i : xp::vocab_params(weights)) {
      const auto& role = weights.info[i].role;
      auto made = role == "vocab.input" ? learnt : mixed(weights.values[i].detach(), pieces);
      if (role == "vocab.output" && p_.output == OutputRows::zero) made = made.mul(0);
      const auto width = static_cast<std::size_t>(made.numel()) / rows.size();
      for (std::size_t r = 0; r < rows.size(); ++r)
        plan.set_dense_row(rows[r], role, std::span(made.const_data_ptr<float>() + r * width, width), "distilled");
    }
  }

  Params p_;
};

void Params::describe(xp::Fields<Params>& f) {
  f.add(&Params::contexts, "contexts", "Places of a token that it learns from, the first ones of the corpus.").min(1);
  f.add(&Params::window, "window", "Old tokens of a text around and with a place that the model reads.").min(2);
  f.add(&Params::layer, "layer",
        "Layer whose outputs are to be the same; 0: the last. One third of the depth can be better and is "
        "cheaper.")
      .min(0);
  f.add(&Params::epochs, "epochs", "Passes over all places.").min(1);
  f.add(&Params::batch, "batch", "Places of a step.").min(1);
  f.add(&Params::lr, "lr", "Learning rate of Adam.").above(0);
  f.add(&Params::output, "output", "Rows of an output table of its own: the mean of the pieces' rows, or zero.",
        {{"mean", OutputRows::mean}, {"zero", OutputRows::zero}});
  f.needs("artifact", "corpus");
}

}  // namespace

XP_PLUGIN(token_distillation) {
  registry.add<TokenDistillation>("token_distillation",
                                  "Rows with which the old model goes on as it does behind a token's pieces.");
}
