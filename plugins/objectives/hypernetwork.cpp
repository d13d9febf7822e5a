// A hypernetwork learns to give a frozen model rows for the tokens of any tokenizer: each step draws a vocabulary,
// cuts the texts by it and lets the model predict them with predicted rows.
#include <algorithm>
#include <unordered_map>

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/hypernetwork.h"
#include "kit/marked_words.h"
#include "kit/pretokenize.h"
#include "kit/speller.h"
#include "kit/tensors.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "kit/vocab_tables.h"
#include "kit/vocabulary_sampler.h"
#include "plugin/plugin.h"

namespace {

enum class Task : std::uint8_t { mlm, causal_lm, rows };
enum class RowPieces : std::uint8_t { token, smaller };

/// Tokens of one step, drawn ones first, then the host's reserved ones.
struct StepVocabulary {
  std::int64_t step = -1;
  std::unique_ptr<xp::UnigramModel> model = {};
  std::vector<std::vector<xp::TokenId>> pieces = {};  ///< of each drawn token, ids of the host
  std::vector<std::int64_t> same = {}, host = {};     ///< drawn tokens that are one token of the host, and that token
  std::vector<std::int64_t> reserved = {};            ///< ids of the host, in order
  std::int64_t unknown = -1, mask = -1;               ///< ids of this vocabulary; -1: none
  std::vector<std::int64_t> before = {}, after = {};  ///< around a text, ids of this vocabulary
};

/// Zero-shot tokenizer transfer (Minixhofer, Ponti and Vulic 2024, section 3): the network is trained through the
/// frozen model's own loss, beside the distance of its rows from those that the model has. `words` stand for the
/// queue of recent texts that the paper draws vocabularies from, so that a step depends on its number alone.
class TrainHypernetwork final : public xp::Objective {
 public:
  struct Params {
    std::optional<xp::Reference> words;
    Task task = Task::mlm;
    xp::HypernetworkSettings network;
    std::int64_t pieces = 8192, draws = 100000, max_chars = 15, row_steps = 0, row_tokens = 2048;
    RowPieces row_pieces = RowPieces::token;
    double noise = 1e-5, noise_log_sd = 4, mask_rate = 0.15, row_weight = 0.5;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::words, "words",
            "Fitted artifact: words with the mark of the space before them, and counts; needed where text is read.")
          .artifact("statistics");
      f.add(&Params::task, "task",
            "What the frozen model predicts; `rows`: nothing, only its own rows are learnt, as in `row_steps`, which "
            "models without a head over tokens allow too.",
            {{"mlm", Task::mlm}, {"causal_lm", Task::causal_lm}, {"rows", Task::rows}})
          .required();
      f.add(&Params::network, "network", "The hypernetwork.");
      f.add(&Params::pieces, "pieces", "Tokens of a drawn vocabulary, beside single characters.").min(16);
      f.add(&Params::draws, "draws", "Words that a vocabulary is made from.").min(1);
      f.add(&Params::max_chars, "max_chars", "Characters of a token, the mark of a word's start included.")
          .min(2)
          .max(255);
      f.add(&Params::noise, "noise", "Median of the standard deviation of noise on a token's share of the text.")
          .min(0);
      f.add(&Params::noise_log_sd, "noise_log_sd", "Standard deviation of the logarithm of that standard deviation.")
          .min(0);
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens that `mlm` hides.").above(0).below(1);
      f.add(&Params::row_steps, "row_steps", "First steps that only learn the model's own rows, without text.")
          .min(0);
      f.add(&Params::row_tokens, "row_tokens", "Tokens of the model in each of these steps.").min(1);
      f.add(
          &Params::row_pieces, "row_pieces",
          "What a row is predicted from in these steps: `token`, the token itself, as published; `smaller`: the "
          "longest shorter tokens that make it, as if the model did not have it. A residual network has the token's "
          "row already and learns from `smaller` only.",
          {{"token", RowPieces::token}, {"smaller", RowPieces::smaller}});
      f.add(&Params::row_weight, "row_weight", "Weight of the distance from the model's own rows after them.").min(0);
      f.needs("field", "ids");
      for (const char* name : {"vectors", "logits"})
        f.needs("capability", "primary:" + std::string(name), {{"task", {"mlm", "causal_lm"}}});
      f.needs("capability", "primary:bidirectional", {{"task", {"mlm"}}});
      f.needs("capability", "primary:causal", {{"task", {"causal_lm"}}});
      f.needs("reserved", "mask", {{"task", {"mlm"}}});
    }
  };
  explicit TrainHypernetwork(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& context) override {
    const auto& host = context.parameters("primary");
    if (std::any_of(host.values.begin(), host.values.end(), [](const auto& value) { return value.requires_grad(); }))
      throw xp::Error("the model of a hypernetwork stays as it is: write it as a tower with `train = \"none\"`",
                      xp::Exit::usage);
    encoder_ = context.tokenizer();
    if (!encoder_) throw xp::Error("the model has no tokenizer, so its rows have no names", xp::Exit::usage);
    host_ = &context.model("primary");
    max_time_ = host_->shape().max_time;
    if (p_.task != Task::rows) read_words(context);
    tables_ = xp::vocab_tables(host);
    network_.emplace(p_.network, tables_);
    for (const auto& one : network_->wanted()) own_.push_back(context.add(one.info, one.shape, one.init));
    if (p_.task == Task::rows || p_.row_steps > 0) find_row_pieces(context);
  }

  /// In tokens of the model's own tokenizer, so that what a step draws changes no weight of a text.
  xp::Counts counts(const xp::Batch& batch) const override {
    const auto& mask = batch.dense("input.mask");
    const auto tokens = mask.sum(1).to(at::kDouble);
    if (p_.task == Task::rows) return {{"rows", tokens.new_ones({})}};
    return {{"language_model", p_.task == Task::mlm ? tokens * p_.mask_rate : tokens}, {"rows", tokens.new_ones({})}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    if (p_.task == Task::rows) return {.terms = {{"rows", own_rows(context)}}};
    const auto& device = batch.dense("input.mask").device();
    if (context.step() < p_.row_steps) {
      const auto none = xp::ops::zeros({batch.items()}, at::TensorOptions(at::kFloat).device(device));
      return {.terms = {{"language_model", none}, {"rows", own_rows(context)}}};
    }
    const auto& vocabulary = vocabulary_of(context);
    const auto made = network_->predict(own(context), tables_, vocabulary.pieces);
    auto text = language_model(batch, context, vocabulary, with_reserved(made, vocabulary));
    return {.terms = {{"language_model", std::move(text)}, {"rows", distance(made, vocabulary), p_.row_weight}}};
  }

 private:
  void find_row_pieces(const xp::BuildContext& context) {
    const bool smaller = p_.row_pieces == RowPieces::smaller;
    if (p_.network.residual && !smaller)
      throw xp::Error(
          "a residual network has the row of a single token already: set `row_pieces = \"smaller\"`, or "
          "leave out steps that learn rows alone",
          xp::Exit::usage);
    std::optional<xp::Speller> speller;
    if (smaller) speller.emplace(*encoder_);
    for (xp::TokenId id = 0; id < encoder_->size(); ++id) {
      if (!context.is_text(id)) continue;
      auto pieces = smaller ? speller->spell(encoder_->key(id), true) : std::vector{id};
      if (!pieces.empty()) rows_.push_back(id), row_pieces_.push_back(std::move(pieces));
    }
    if (rows_.empty()) throw xp::Error("no token of the model is made of smaller ones", xp::Exit::usage);
  }

  void read_words(xp::BuildContext& context) {
    if (!p_.words)
      throw xp::Error("vocabularies are drawn from `words`: name a stage that fits them with method `marked_words`",
                      xp::Exit::usage);
    const auto& state = context.artifact(p_.words->text);
    const auto& words = state.strings("words");
    const auto& counts = state.ints("counts").data;
    if (words.size() != counts.size())
      throw xp::Error("artifact " + xp::backquoted(p_.words->text) + " has not one count for each word",
                      xp::Exit::data);
    if (std::none_of(words.begin(), words.end(), [](const auto& word) { return word.starts_with(xp::kWordMark); }))
      throw xp::Error("artifact " + xp::backquoted(p_.words->text) +
                          " has no word with the mark of the space before it; fit it with method `marked_words`",
                      xp::Exit::usage);
    for (std::size_t i = 0; i < words.size(); ++i) words_.push_back({words[i], counts[i]});
  }

  std::vector<at::Tensor> own(const xp::StepContext& context) const {
    std::vector<at::Tensor> out;
    for (const auto param : own_) out.push_back(context.weight(param));
    return out;
  }

  /// The step's own stream, the same for each part of a batch and in each process.
  static xp::RandomStream stream(xp::StepContext& context, std::string_view what) {
    xp::Batch one;
    one.sample_id = xp::tensor_of(std::vector<std::int64_t>{0});
    const auto drawn = context.uniform(one, 4, what).to(at::kCPU, at::kDouble).contiguous();
    std::uint64_t key = 0;
    for (int i = 0; i < 4; ++i)
      key = xp::RandomStream::mix(key + static_cast<std::uint64_t>(drawn.const_data_ptr<double>()[i] * 0x1p32));
    return xp::RandomStream(key);
  }

  /// Mean squared distance of predictions for tokens of the model from its rows, over drawn tokens and tables.
  at::Tensor own_rows(xp::StepContext& context) const {
    auto random = stream(context, "row");
    std::vector<std::vector<xp::TokenId>> pieces;
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < p_.row_tokens; ++i) {
      const auto row = static_cast<std::size_t>(random.below(std::ssize(rows_)));
      ids.push_back(rows_[row]), pieces.push_back(row_pieces_[row]);
    }
    const auto made = network_->predict(own(context), tables_, pieces);
    const auto at = xp::tensor_of(ids).to(made.front().device());
    at::Tensor sum;
    for (std::size_t t = 0; t < made.size(); ++t) {
      auto squares = (made[t] - tables_[t].rows.index_select(0, at)).square();
      if (squares.dim() == 2) squares = squares.sum(1);
      sum = sum.defined() ? sum + squares.mean() : squares.mean();
    }
    return sum / static_cast<double>(made.size());
  }

  /// The same for drawn tokens that are one token of the model, as a share of the mean norm of its rows.
  at::Tensor distance(const std::vector<at::Tensor>& made, const StepVocabulary& vocabulary) const {
    const auto device = made.front().device();
    auto sum = xp::ops::zeros({}, at::TensorOptions(at::kFloat).device(device));
    if (vocabulary.same.empty()) return sum;
    const auto at = xp::tensor_of(vocabulary.same).to(device), host = xp::tensor_of(vocabulary.host).to(device);
    for (std::size_t t = 0; t < made.size(); ++t) {
      const auto wanted = tables_[t].rows.index_select(0, host);
      const auto gap = made[t].index_select(0, at) - wanted;
      const bool rows = gap.dim() == 2;
      const auto squares = rows ? gap.square().sum(1) : gap.square();
      const auto norms = rows ? wanted.norm(2, 1) : wanted.abs();
      sum = sum + squares.mean() / norms.mean().clamp_min(1e-8);
    }
    return sum / static_cast<double>(made.size());
  }

  const StepVocabulary& vocabulary_of(xp::StepContext& context) {
    if (now_.step == context.step()) return now_;
    const xp::VocabularySampling sampling{.pieces = static_cast<std::size_t>(p_.pieces),
                                          .words = static_cast<std::size_t>(p_.draws),
                                          .max_chars = static_cast<std::size_t>(p_.max_chars),
                                          .noise_median = p_.noise,
                                          .noise_log_sd = p_.noise_log_sd};
    StepVocabulary out{.step = context.step()};
    const auto drawn = xp::sample_vocabulary(words_, sampling, stream(context, "vocabulary"));
    std::vector<double> scores;
    std::vector<std::string_view> texts;
    for (const auto& piece : drawn) {
      const auto& pieces = pieces_of(piece.text);
      if (pieces.empty()) continue;
      if (pieces.size() == 1) out.same.push_back(std::ssize(out.pieces)), out.host.push_back(pieces.front());
      out.pieces.push_back(pieces), scores.push_back(piece.score), texts.push_back(piece.text);
    }
    if (texts.empty()) throw xp::Error("the model's tokenizer spells no drawn token", xp::Exit::data);
    add_reserved(out);
    constexpr double kUnknownCost = 10;  // beyond the rarest piece, as in sentencepiece
    out.model =
        std::make_unique<xp::UnigramModel>(static_cast<std::int32_t>(out.unknown), scores.back() - kUnknownCost);
    for (std::size_t i = 0; i < texts.size(); ++i) out.model->add(texts[i], static_cast<std::int32_t>(i), scores[i]);
    return now_ = std::move(out);
  }

  void add_reserved(StepVocabulary& out) const {
    const auto id = [&](xp::TokenId host) {
      const auto found = std::find(out.reserved.begin(), out.reserved.end(), host);
      const auto place = found - out.reserved.begin();
      if (found == out.reserved.end()) out.reserved.push_back(host);
      return std::ssize(out.pieces) + place;
    };
    const auto unknown = encoder_->reserved("unk");  // without it, what is unknown is left out
    const auto frame = encoder_->around();
    if (unknown) out.unknown = id(*unknown);
    if (p_.task == Task::mlm) out.mask = id(*encoder_->reserved("mask"));
    if (frame.begin) out.before = {id(*frame.begin)};
    if (frame.end) out.after = {id(*frame.end)};
  }

  const std::vector<xp::TokenId>& pieces_of(const std::string& text) {
    const auto found = cut_.find(text);
    if (found != cut_.end()) return found->second;
    const bool starts = text.starts_with(xp::kWordMark);
    xp::TokenKey key{.bytes = starts ? text.substr(xp::kWordMark.size()) : text,
                     .word_start = starts ? xp::WordStart::yes : xp::WordStart::no};
    return cut_.emplace(text, key.bytes.empty() ? std::vector<xp::TokenId>{} : encoder_->pieces(key)).first->second;
  }

  /// Tables of the step's vocabulary: predicted rows, then the model's own of its reserved tokens.
  std::vector<at::Tensor> with_reserved(const std::vector<at::Tensor>& made, const StepVocabulary& vocabulary) const {
    std::vector<at::Tensor> out;
    for (std::size_t t = 0; t < made.size(); ++t) {
      const auto ids = xp::tensor_of(vocabulary.reserved).to(made[t].device());
      out.push_back(xp::ops::cat({made[t], tables_[t].rows.index_select(0, ids)}));
    }
    return out;
  }

  /// Ids of the step's vocabulary for each text as the model's tokenizer spells it, framed; no longer than the model
  /// reads.
  std::vector<std::vector<std::int64_t>> cut(const xp::Batch& batch, const StepVocabulary& vocabulary) const {
    const auto all = batch.dense("ids").cpu().contiguous(), masks = batch.dense("input.mask").cpu().contiguous();
    const auto time = all.size(1);
    std::vector<std::vector<std::int64_t>> out;
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      std::vector<xp::TokenId> spelt;
      for (std::int64_t t = 0; t < time; ++t)
        if (masks.const_data_ptr<bool>()[i * time + t])
          spelt.push_back(static_cast<xp::TokenId>(all.const_data_ptr<std::int64_t>()[i * time + t]));
      const auto marked = xp::marked_words(encoder_->decode(spelt));
      const std::string_view view = marked;
      auto ids = vocabulary.before;
      std::vector<xp::CutPiece> pieces;
      xp::split_before(view, xp::kWordMark, [&](xp::TextSpan span) {
        pieces.clear();
        vocabulary.model->cut(view.substr(span.begin, span.end - span.begin), pieces);
        for (const auto& piece : pieces)
          if (piece.id >= 0) ids.push_back(piece.id);
      });
      const auto most = max_time_ > 0 ? max_time_ - std::ssize(vocabulary.after) : std::ssize(ids);
      ids.resize(static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(ids), most)));
      ids.insert(ids.end(), vocabulary.after.begin(), vocabulary.after.end());
      out.push_back(std::move(ids));
    }
    return out;
  }

  struct Texts {
    at::Tensor ids, mask, labels;  // [items, time]
  };

  Texts padded(const std::vector<std::vector<std::int64_t>>& cut, const xp::Batch& batch, xp::StepContext& context,
               const StepVocabulary& vocabulary) const {
    std::size_t time = 1;
    for (const auto& ids : cut) time = std::max(time, ids.size());
    const std::vector<std::int64_t> shape{std::ssize(cut), static_cast<std::int64_t>(time)};
    auto ids = xp::ops::zeros(shape, at::kLong), mask = xp::ops::zeros(shape, at::kBool);
    for (std::int64_t i = 0; i < shape[0]; ++i) {
      const auto& own = cut[static_cast<std::size_t>(i)];
      if (own.empty()) continue;
      ids.select(0, i).narrow(0, 0, std::ssize(own)).copy_(xp::tensor_of(own));
      mask.select(0, i).narrow(0, 0, std::ssize(own)).fill_(true);
    }
    const auto device = batch.dense("input.mask").device();
    ids = ids.to(device), mask = mask.to(device);
    if (p_.task == Task::causal_lm) {
      auto labels = ids.new_full(ids.sizes(), -1);
      if (time > 1)
        labels.narrow(1, 0, shape[1] - 1).copy_(ids.slice(1, 1).masked_fill(mask.slice(1, 1).logical_not(), -1));
      return {ids, mask, labels};
    }
    const auto hidden = context.uniform(batch, shape[1], "mask")
                            .lt(p_.mask_rate)
                            .logical_and(mask)
                            .logical_and(ids.lt(std::ssize(vocabulary.pieces)));
    return {ids.masked_fill(hidden, vocabulary.mask), mask, ids.masked_fill(hidden.logical_not(), -1)};
  }

  /// Losses by item of the frozen model with these tables in the place of its own.
  at::Tensor language_model(const xp::Batch& batch, xp::StepContext& context, const StepVocabulary& vocabulary,
                            const std::vector<at::Tensor>& tables) const {
    const auto texts = padded(cut(batch, vocabulary), batch, context, vocabulary);
    const auto& host = context.parameters("primary");
    std::vector<at::Tensor> weights = host.values;
    std::map<const void*, at::Tensor> replaced;
    std::size_t next = 0;
    for (const auto i : xp::vocab_params(host)) replaced[host.values[i].unsafeGetTensorImpl()] = tables[next++];
    for (auto& weight : weights)
      if (const auto found = replaced.find(weight.unsafeGetTensorImpl()); found != replaced.end())
        weight = found->second;
    const auto picked = xp::labelled(texts.labels);
    const xp::ForwardInput in{.vectors = host_->embed(weights, texts.ids),
                              .mask = texts.mask,
                              .causal = p_.task == Task::causal_lm,
                              .sample_id = batch.sample_id};
    const auto hidden = context.forward("primary", in, {.at = picked.at}).picked;
    return xp::cross_entropy_by_item(host_->logits(weights, hidden), picked, batch.items());
  }

  Params p_;
  const xp::Encoder* encoder_ = nullptr;
  const xp::Model* host_ = nullptr;
  std::int64_t max_time_ = 0;
  std::vector<xp::WordCount> words_;
  std::vector<xp::VocabTable> tables_;
  std::optional<xp::Hypernetwork> network_;
  std::vector<xp::Param> own_;
  std::vector<std::int64_t> rows_;                    // ids of the model whose rows are learnt alone
  std::vector<std::vector<xp::TokenId>> row_pieces_;  // what each is predicted from
  std::unordered_map<std::string, std::vector<xp::TokenId>> cut_;
  StepVocabulary now_;
};

}  // namespace

XP_PLUGIN(hypernetwork) {
  registry.add<TrainHypernetwork>("hypernetwork", "Rows of any vocabulary for a frozen model, from rows of pieces.");
}
