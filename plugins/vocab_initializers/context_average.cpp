#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "kit/vocab_tables.h"
#include "plugin/plugin.h"

namespace {

constexpr std::int64_t kBatchTokens = 8192;   ///< padded tokens of one pass
constexpr std::int64_t kUnboundedTime = 512;  ///< tokens of a window where the model takes any number

/// Contextual weight distillation (Pavlova and Makhlouf 2023, "BIOptimus: Pre-training an Optimal Biomedical Language
/// Model with Curriculum Learning for Named Entity Recognition"): a new row is what the old model says about the
/// token where it stands, the mean over contexts of the mean over the token's old pieces of their outputs.
class ContextAverage final : public xp::VocabInitializer {
 public:
  struct Params {
    std::int64_t contexts = 32, layer = 0, max_time = 0;
    bool rescale = true, shuffle = false;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::contexts, "contexts", "Places of a token that are read, the first ones of the corpus.").min(1);
      f.add(&Params::layer, "layer", "Layer whose outputs are averaged; 0: the last.").min(0);
      f.add(&Params::max_time, "max_time", "Old tokens around a place that the model reads; 0: what it takes.")
          .min(0);
      f.add(&Params::rescale, "rescale",
            "Whether rows get the mean norm of the old rows: outputs of a layer are longer than embeddings.");
      f.add(&Params::shuffle, "shuffle",
            "Negative control: tokens get each other's averages, so that contexts mean nothing.");
      f.needs("artifact", "corpus");
    }
  };
  explicit ContextAverage(Params params) : p_(params) {}

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    if (!setting.corpus)
      throw xp::Error("this initializer reads tokens in context: give the stage a `corpus`", xp::Exit::usage);
    if (!setting.subject) throw xp::Error("this initializer runs the old model, and there is none");
    const auto layers = setting.subject->shape().layers;
    if (p_.layer > layers)
      throw xp::Error("`layer` is " + std::to_string(p_.layer) + ", the model has " +
                          xp::count(static_cast<std::size_t>(layers), "layer"),
                      xp::Exit::usage);
    const auto tables = tables_of(xp::weights_of(setting), setting.subject->shape().width);
    Reader reader(setting, plan, p_);
    const at::NoGradGuard quiet;
    setting.corpus->for_each([&](const xp::Document& document) { reader.read(document.text); });
    reader.finish([&](xp::TokenId row, const std::vector<double>& mean) { write(plan, row, mean, tables); });
  }

 private:
  struct TableOf {
    std::string role;
    double norm = 0;                ///< mean over its rows
    std::optional<float> constant;  ///< of a bias: the mean of all
  };

  /// Collects windows that hold places of wanted tokens, runs them in batches, and sums. What it keeps is a vector
  /// for each wanted token and the windows of one batch, whatever the corpus.
  class Reader {
   public:
    Reader(const xp::VocabSetting& setting, const xp::MixPlan& plan, const Params& params)
        : s_(setting), p_(params), index_(static_cast<std::size_t>(plan.target_size()), -1) {
      for (const auto row : plan.open_rows()) {
        if (setting.target.key(row).kind != xp::TokenKind::text) continue;  // bytes and specials have no contexts
        index_[static_cast<std::size_t>(row)] = std::ssize(rows_), rows_.push_back(row);
      }
      const auto width = setting.subject->shape().width;
      sums_.assign(rows_.size(), {}), seen_.assign(rows_.size(), 0), width_ = width, missing_ = rows_.size();
      const auto model_time = setting.subject->shape().max_time;
      auto time = p_.max_time > 0 ? p_.max_time : model_time > 0 ? model_time : kUnboundedTime;
      if (model_time > 0) time = std::min(time, model_time);
      const auto frame = setting.source.around();
      begin_ = frame.begin, end_ = frame.end;
      const auto specials = (begin_ ? 1 : 0) + (end_ ? 1 : 0);
      if (time <= specials)
        throw xp::Error("`max_time` is " + std::to_string(p_.max_time) + ", which leaves no room for text",
                        xp::Exit::usage);
      room_ = static_cast<std::size_t>(time - specials);
    }

    void read(const std::string& text) {
      if (missing_ == 0) return;
      struct Place {
        std::int64_t row;
        std::uint32_t begin, end;
      };
      std::vector<Place> places;
      for (const auto& token : s_.target.encode(text)) {
        const auto row = index_[static_cast<std::size_t>(token.id)];
        if (row >= 0 && seen_[static_cast<std::size_t>(row)] < p_.contexts && token.begin < token.end)
          places.push_back({row, token.begin, token.end});
      }
      if (places.empty()) return;
      const auto tokens = s_.source.encode(text);
      std::size_t from = 0, next = 0;  // of the pieces of a place, and of the window that is being filled
      Window window;
      for (const auto& place : places) {
        while (from < tokens.size() && tokens[from].end <= place.begin) ++from;
        auto to = from;
        while (to < tokens.size() && tokens[to].begin < place.end) ++to;
        auto& seen = seen_[static_cast<std::size_t>(place.row)];
        if (from == to || seen == p_.contexts || from / room_ != (to - 1) / room_) continue;  // none, enough, cut
        if (from / room_ != next || window.ids.empty()) {
          push(std::move(window));
          next = from / room_, window = cut(tokens, next * room_);
        }
        const auto first = static_cast<std::int64_t>(from - next * room_ + (begin_ ? 1 : 0));
        window.spots.push_back({place.row, first, first + static_cast<std::int64_t>(to - from)});
        if (++seen == p_.contexts) --missing_;
      }
      push(std::move(window));
    }

    template <class Write>
    void finish(const Write& write) {
      run();
      std::vector<std::size_t> read;
      for (std::size_t i = 0; i < rows_.size(); ++i)
        if (seen_[i] > 0) read.push_back(i);
      const auto order = xp::vector_order(read.size(), p_.shuffle, s_.random.child("shuffle").stream());
      for (std::size_t i = 0; i < read.size(); ++i) {
        const auto from = read[order[i]];
        auto mean = sums_[from];
        for (auto& x : mean) x /= static_cast<double>(seen_[from]);
        write(rows_[read[i]], mean);
      }
    }

   private:
    struct Spot {
      std::int64_t row, begin, end;  ///< times of the pieces in the window
    };
    struct Window {
      std::vector<std::int64_t> ids = {};
      std::vector<Spot> spots = {};
    };

    Window cut(const std::vector<xp::Token>& tokens, std::size_t at) const {
      Window out;
      if (begin_) out.ids.push_back(*begin_);
      for (auto i = at; i < std::min(at + room_, tokens.size()); ++i) out.ids.push_back(tokens[i].id);
      if (end_) out.ids.push_back(*end_);
      return out;
    }

    void push(Window window) {
      if (window.spots.empty()) return;
      const auto time = std::max(longest_, std::ssize(window.ids));
      if (!windows_.empty() && time * (std::ssize(windows_) + 1) > kBatchTokens) run();
      longest_ = std::max(longest_, std::ssize(window.ids));
      windows_.push_back(std::move(window));
    }

    void run() {
      if (windows_.empty()) return;
      const auto items = std::ssize(windows_), time = static_cast<std::int64_t>(longest_);
      const auto pad = s_.source.reserved("pad").value_or(0);
      std::vector<std::int64_t> ids(static_cast<std::size_t>(items * time), pad), numbers, lengths;
      for (std::int64_t i = 0; i < items; ++i) {
        const auto& own = windows_[static_cast<std::size_t>(i)].ids;
        std::copy(own.begin(), own.end(), ids.begin() + i * time);
        numbers.push_back(i), lengths.push_back(std::ssize(own));
      }
      xp::Batch batch;
      batch.sample_id = xp::tensor_of(numbers), batch.group_id = xp::tensor_of(numbers);
      batch.set("ids", xp::tensor_of(ids, {items, time}));
      batch.set("input.mask", xp::ops::arange(time, at::kLong).unsqueeze(0).lt(xp::tensor_of(lengths).unsqueeze(1)));
      const auto tokens = s_.subject->encode(batch, {.tokens = true, .view = {.layers = p_.layer}})
                              .tokens.to(at::kDouble)
                              .contiguous();
      for (std::int64_t i = 0; i < items; ++i)
        for (const auto& spot : windows_[static_cast<std::size_t>(i)].spots)
          add(spot, tokens.const_data_ptr<double>() + i * time * width_);
      windows_.clear(), longest_ = 0;
    }

    void add(const Spot& spot, const double* window) {
      auto& sum = sums_[static_cast<std::size_t>(spot.row)];
      sum.resize(static_cast<std::size_t>(width_));
      const auto share = 1.0 / static_cast<double>(spot.end - spot.begin);
      for (auto t = spot.begin; t < spot.end; ++t)
        for (std::int64_t d = 0; d < width_; ++d) sum[static_cast<std::size_t>(d)] += share * window[t * width_ + d];
    }

    const xp::VocabSetting& s_;
    const Params& p_;
    std::vector<std::int64_t> index_;  // of each target token: its place in rows_, or -1
    std::vector<xp::TokenId> rows_;
    std::vector<std::vector<double>> sums_;
    std::vector<std::int64_t> seen_;
    std::size_t missing_ = 0, room_ = 0;
    std::int64_t width_ = 0;
    std::optional<xp::TokenId> begin_, end_;
    std::vector<Window> windows_;
    std::ptrdiff_t longest_ = 0;
  };

  static std::vector<TableOf> tables_of(const xp::Parameters& weights, std::int64_t width) {
    std::vector<TableOf> out;
    std::set<const void*> seen;
    for (xp::Param i = 0; i < weights.size(); ++i) {
      const auto& [name, role] = std::tie(weights.info[i].name, weights.info[i].role);
      const auto& table = weights.values[i];
      if (!role.starts_with("vocab.") || !seen.insert(table.unsafeGetTensorImpl()).second) continue;
      if (table.dim() == 1) {
        out.push_back({role, 0, static_cast<float>(table.to(at::kDouble).mean().item<double>())});
        continue;
      }
      if (table.size(1) != width)
        throw xp::Error("parameter " + xp::backquoted(name) + " has rows of " + std::to_string(table.size(1)) +
                        " numbers, the model's outputs have " + std::to_string(width) +
                        "; outputs can be rows only where both are equal");
      out.push_back({role, table.to(at::kDouble).norm(2, 1).mean().item<double>(), {}});
    }
    return out;
  }

  void write(xp::MixPlan& plan, xp::TokenId row, const std::vector<double>& mean,
             const std::vector<TableOf>& tables) const {
    double norm = 0;
    for (const double x : mean) norm += x * x;
    norm = std::sqrt(norm);
    for (const auto& table : tables) {
      std::vector<float> numbers;
      if (table.constant) {
        numbers.push_back(*table.constant);
      } else {
        const auto factor = p_.rescale && norm > 0 ? table.norm / norm : 1.0;
        for (const double x : mean) numbers.push_back(static_cast<float>(factor * x));
      }
      plan.set_dense_row(row, table.role, numbers, "context");
    }
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(context_average) {
  registry.add<ContextAverage>("context_average",
                               "Mean of the old model's outputs for a token's pieces over its places in a corpus.");
}
