#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/random.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr double kTie = 1e-6;  ///< share of a score by which two in float32 may differ and yet be equal

/// A group of choices: how many there are, how many are right, and what the model thinks of each.
struct Question {
  std::size_t choices = 0, right = 0;
  double right_score = 0;
  std::vector<double> wrong = {};
  bool asked = true;

  /// Equal scores and those that are no number count against the model.
  bool hit() const {
    return std::ranges::all_of(
        wrong, [&](double one) { return right_score - one > kTie * std::max(1.0, std::abs(right_score)); });
  }
  double chance() const { return 1 / static_cast<double>(choices); }
};

using Questions = std::map<std::string, Question>;

/// Sees to it that `target` marks the tokens that stand for the choice: those of the second text where there is one,
/// else all. The first token of an input has nothing before it that could predict it.
void mark_choices(Batch& batch) {
  auto text = batch.dense("end").gt(batch.dense("begin")).logical_and(batch.dense("input.mask"));
  if (batch.has("segment")) text = text.logical_and(batch.dense("segment").ne(0));
  batch.set("target", text.logical_and(ops::arange(text.size(1), at::kLong).gt(0)));
}

/// Share of groups whose right text has the largest score: as CaseHOLD's five holdings are chosen from (Zheng et al.
/// 2021). A model with a head is asked for its score of each text; a causal one without is asked for the likelihood
/// per byte of each choice, as Brown et al. 2020 (section 2.4) do per token; bytes are the same for every vocabulary.
class MultipleChoice final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "right";
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data",
            "Documents whose `group` joins the choices; a choice is the text, or its `text_b` after a question.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::field, "field", "Field that is 1 for the right one of a group and 0 for the others.");
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Groups to score; 0: all.").min(0);
      f.needs("field", "right", {{"field", {"right"}}});
      f.gives("metric", "accuracy", "share");
      f.gives("metric", "chance", "share");
      f.gives("metric", "normalised", "share");  // accuracy over chance, of what is possible
    }
  };
  explicit MultipleChoice(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.can("predict") && !subject.can("score"))
      throw Error("the model neither chooses nor scores text; fine-tune it with an objective that chooses");
    // Data may hand over the members of a group far from each other: what they are comes first, so that a mistake in
    // the data costs no pass of the model and `most` cuts no group.
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false});
    Questions questions;
    Batch batch;
    while (reader->next(batch)) read(batch, questions);
    check(questions);
    choose(questions);
    reader->rewind();
    while (reader->next(batch)) ask(subject, batch, questions);
    record(questions, context.recorder());
  }

 private:
  void read(const Batch& batch, Questions& questions) const {
    const auto& groups = batch.strings("group");
    for (std::size_t i = 0; i < groups.size(); ++i) {
      auto& question = questions[groups[i]];
      ++question.choices, question.right += is_right(batch, i);
    }
  }

  bool is_right(const Batch& batch, std::size_t item) const {
    const auto text = trim(batch.strings(p_.field)[item]);
    double value = -1;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size() || (value != 0 && value != 1))
      throw Error("field " + backquoted(p_.field) + " of document " + backquoted(batch.strings("id")[item]) + " of " +
                      backquoted(p_.data.text) + " is " + backquoted(printable(utf8_slice(text, 0, 40))) +
                      "; it is 1 for a right choice, else 0",
                  Exit::data);
    return value == 1;
  }

  void check(const Questions& questions) const {
    if (questions.empty()) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    for (const auto& [group, question] : questions)
      if (question.choices < 2 || question.right != 1)
        throw Error("group " + backquoted(group) + " of " + backquoted(p_.data.text) + " has " +
                        count(question.choices, "document") + ", " + std::to_string(question.right) +
                        " of them right by field " + backquoted(p_.field) +
                        "; a choice has two or more, one of them right",
                    Exit::data);
  }

  /// The first `most` groups by a hash of their names.
  void choose(Questions& questions) const {
    if (p_.most == 0 || std::ssize(questions) <= p_.most) return;
    const RandomStreams pick(0, "subset");
    std::vector<std::pair<std::uint64_t, Question*>> order;
    for (auto& [group, question] : questions) order.emplace_back(pick.child(group).stream().next(), &question);
    std::ranges::stable_sort(order, {}, [](const auto& one) { return one.first; });
    for (auto i = static_cast<std::size_t>(p_.most); i < order.size(); ++i) order[i].second->asked = false;
  }

  void ask(Handle& subject, const Batch& all, Questions& questions) const {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < all.items(); ++i)
      if (questions.at(all.strings("group")[static_cast<std::size_t>(i)]).asked) rows.push_back(i);
    if (rows.empty()) return;
    auto batch = std::ssize(rows) == all.items() ? all : all.select(ops::tensor(rows));
    const auto scores = subject.can("predict") ? by_head(subject, batch) : by_likelihood(subject, batch);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      auto& question = questions.at(batch.strings("group")[i]);
      if (is_right(batch, i))
        question.right_score = scores[i];
      else
        question.wrong.push_back(scores[i]);
    }
  }

  std::vector<double> by_head(Handle& subject, const Batch& batch) const {
    const auto given = subject.predict(batch, p_.field);
    if (given.dim() != 2 || given.size(0) != batch.items() || given.size(1) != 1)
      throw Error("the model gives scores of another shape than [items, 1]; a choice needs one score per text");
    const auto scores = given.to(at::kDouble).contiguous();
    return {scores.const_data_ptr<double>(), scores.const_data_ptr<double>() + scores.numel()};
  }

  static std::vector<double> by_likelihood(Handle& subject, Batch& batch) {
    mark_choices(batch);
    const auto outside = batch.dense("target").logical_not();
    const auto bytes =
        batch.dense("end")
            .masked_fill(outside, 0)
            .amax(1)
            .sub(batch.dense("begin").masked_fill(outside, std::numeric_limits<std::int64_t>::max()).amin(1));
    std::vector<double> out;
    for (const auto& one : subject.score(batch)) {
      const auto n = bytes[std::ssize(out)].item<double>();
      out.push_back(n > 0 ? -one.nats / n : -std::numeric_limits<double>::infinity());
    }
    return out;
  }

  /// The mean of each column of items is the metric of its name.
  void record(const Questions& questions, Recorder& recorder) const {
    double hits = 0, chance = 0, n = 0;
    for (const auto& [group, question] : questions)
      if (question.asked) hits += question.hit(), chance += question.chance(), ++n;
    hits /= n, chance /= n;
    for (const auto& [group, question] : questions) {
      if (!question.asked) continue;
      const double hit = question.hit();
      recorder.item("groups", group, "accuracy", hit);
      recorder.item("groups", group, "chance", question.chance());
      recorder.item("groups", group, "normalised", (hit - question.chance()) / (1 - chance));
    }
    const MetricSignature what{"share", {}, p_.data.text, "1"};
    recorder.metric("accuracy", hits, what);
    recorder.metric("chance", chance, what);
    recorder.metric("normalised", (hits - chance) / (1 - chance), what);
  }

  Params p_;
};

}  // namespace
}  // namespace xp

// The name of the library differs from the type: an objective's library has that name.
XP_PLUGIN(multiple_choice_evaluator) {
  registry.add<xp::MultipleChoice>("multiple_choice", "Accuracy of choosing the right one of a group of texts.");
}
