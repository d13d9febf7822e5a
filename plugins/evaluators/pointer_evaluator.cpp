#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/digest.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr double kTie = 1e-6;  ///< share of a score by which two in float32 may differ and yet be equal

struct Bytes {
  std::int64_t begin = 0, end = 0;
  bool operator==(const Bytes&) const = default;
};

/// Of the first annotation of `kind` in the document; one without bytes is none.
std::optional<Bytes> annotated(const Document& document, const std::string& kind) {
  std::optional<Bytes> first;
  for (const auto& mark : document.annotations) {
    const Bytes one{static_cast<std::int64_t>(mark.begin), static_cast<std::int64_t>(mark.end)};
    if (mark.kind == kind && one.end > one.begin && (!first || one.begin < first->begin)) first = one;
  }
  return first;
}

/// Without white space at the ends, which many tokens take along with a word.
Bytes trimmed(Bytes span, const std::string& text) {
  const auto size = std::ssize(text);
  span.begin = std::clamp<std::int64_t>(span.begin, 0, size), span.end = std::clamp(span.end, span.begin, size);
  const auto inner = std::string_view(text).substr(static_cast<std::size_t>(span.begin),
                                                   static_cast<std::size_t>(span.end - span.begin));
  const auto kept = trim(inner);
  span.begin += kept.empty() ? 0 : kept.data() - inner.data();
  return {span.begin, span.begin + std::ssize(kept)};
}

/// A token of the text that annotations are of, and the model's scores of a span's first and last token there.
struct Place {
  Bytes bytes;
  double start = 0, end = 0;
};

/// First and last place; none: `last` is before `first`.
struct Span {
  std::int64_t first = 0, last = -1;
  std::int64_t length() const { return last - first + 1; }
  bool operator==(const Span&) const = default;
};

/// Places that share bytes with the annotation.
Span gold_span(const std::vector<Place>& text, Bytes annotation) {
  Span out;
  for (std::int64_t t = 0; t < std::ssize(text); ++t) {
    const auto& bytes = text[static_cast<std::size_t>(t)].bytes;
    if (bytes.end <= annotation.begin || bytes.begin >= annotation.end) continue;
    if (out.length() == 0) out.first = t;
    out.last = t;
  }
  return out;
}

/// 2 shared / (tokens of both): the F1 of Rajpurkar et al. 2016, with tokens counted by their places in the text.
double overlap_f1(Span a, Span b) {
  const auto shared = std::min(a.last, b.last) - std::max(a.first, b.first) + 1;
  return shared > 0 ? 2 * static_cast<double>(shared) / static_cast<double>(a.length() + b.length()) : 0;
}

/// The span of at most `most` places with the largest sum of its two scores. Of equal ones it is the one furthest
/// from `gold`: they count against the model, as does a score that is no number, with which no span is the best.
Span best_span(const std::vector<Place>& text, std::int64_t most, Span gold) {
  const auto n = std::ssize(text);
  const auto score = [&](Span s) {
    return text[static_cast<std::size_t>(s.first)].start + text[static_cast<std::size_t>(s.last)].end;
  };
  const auto each = [&](const auto& visit) {
    for (Span s; s.first < n; ++s.first)
      for (s.last = s.first; s.last < std::min(n, s.first + most); ++s.last) visit(s);
  };
  double largest = -std::numeric_limits<double>::infinity();
  bool numbers = true;
  each([&](Span s) { largest = std::max(largest, score(s)), numbers = numbers && !std::isnan(score(s)); });
  Span best;
  double worst = 2;
  if (!numbers) return best;
  const double equal = std::isfinite(largest) ? largest - kTie * std::max(1.0, std::abs(largest)) : largest;
  each([&](Span s) {
    if (score(s) >= equal && overlap_f1(s, gold) < worst) best = s, worst = overlap_f1(s, gold);
  });
  return best;
}

/// Exact matches and overlap of the span that the model points at with a document's first annotation of a kind
/// (Devlin et al. 2019, section 4.2: the largest sum of start and end score with start <= end), over documents that
/// have one.
class Pointer final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "answer";
    std::int64_t most = 16, documents = 0, max_time = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with annotations.").artifact("dataset").evaluates().required();
      f.add(&Params::field, "field", "Kind of the annotations, the first of which is the right span.");
      f.add(&Params::most, "most", "Tokens of the longest span that is looked at.").min(1).max(1 << 20);
      f.add(&Params::documents, "documents", "Documents to read; 0: all.").min(0);
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.needs("field", "answer", {{"field", {"answer"}}});
      for (const char* name : {"exact_match", "exact_match_bytes", "f1"}) f.gives("metric", name, "share");
    }
  };
  explicit Pointer(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.tokenizer() || !subject.can("predict"))
      throw Error("the model does not point at text; fine-tune it with an objective that does");
    std::map<std::string, Bytes> gold;
    context.documents(p_.data)->for_each([&](const Document& document) {
      if (const auto mark = annotated(document, p_.field)) gold.emplace(document.id, *mark);
    });
    Tally all;
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.documents});
    Batch batch;
    while (reader->next(batch)) {
      const auto given = subject.predict(batch, p_.field);
      const auto& ids = batch.dense("ids");
      if (given.dim() != 3 || given.size(0) != batch.items() || given.size(1) != ids.size(1) || given.size(2) != 2)
        throw Error("the model gives scores of another shape than [items, time, 2]: a start and an end per token");
      const auto texts = places(batch, given.to(at::kDouble).contiguous());
      for (std::size_t i = 0; i < texts.size(); ++i)
        if (const auto found = gold.find(batch.strings("id")[i]); found != gold.end())
          add(texts[i], found->second, batch.strings("text")[i], found->first, all, context.recorder());
    }
    record(all, sha256(subject.tokenizer()->json()), context.recorder());
  }

 private:
  struct Tally {
    double exact = 0, bytes = 0, f1 = 0;
    std::size_t documents = 0, unread = 0;
  };

  /// Of each item the tokens that may be pointed at: readable, of a word, and of the first text if there are two.
  static std::vector<std::vector<Place>> places(const Batch& batch, const at::Tensor& scores) {
    auto text = batch.dense("word").ge(0).logical_and(batch.dense("input.mask"));
    if (batch.has("segment")) text = text.logical_and(batch.dense("segment").eq(0));
    text = text.contiguous();
    const auto begin = batch.dense("begin").contiguous(), end = batch.dense("end").contiguous();
    const auto time = text.size(1);
    std::vector<std::vector<Place>> out(static_cast<std::size_t>(batch.items()));
    for (std::int64_t at = 0; at < text.numel(); ++at)
      if (text.const_data_ptr<bool>()[at])
        out[static_cast<std::size_t>(at / time)].push_back(
            {{begin.const_data_ptr<std::int64_t>()[at], end.const_data_ptr<std::int64_t>()[at]},
             scores.const_data_ptr<double>()[2 * at],
             scores.const_data_ptr<double>()[2 * at + 1]});
    return out;
  }

  void add(const std::vector<Place>& text, Bytes annotation, const std::string& plain, const std::string& id,
           Tally& all, Recorder& recorder) const {
    const auto gold = gold_span(text, annotation);
    double exact = 0, bytes = 0, f1 = 0;
    if (gold.length() == 0) {
      ++all.unread;
    } else if (const auto best = best_span(text, p_.most, gold); best.length() > 0) {
      const Bytes found{text[static_cast<std::size_t>(best.first)].bytes.begin,
                        text[static_cast<std::size_t>(best.last)].bytes.end};
      exact = best == gold, f1 = overlap_f1(best, gold);
      bytes = trimmed(found, plain) == trimmed(annotation, plain);
    }
    ++all.documents, all.exact += exact, all.bytes += bytes, all.f1 += f1;
    recorder.item("documents", id, "exact_match", exact);
    recorder.item("documents", id, "exact_match_bytes", bytes);
    recorder.item("documents", id, "f1", f1);
  }

  void record(const Tally& all, const std::string& tokenizer, Recorder& recorder) const {
    if (all.documents == 0)
      throw Error(backquoted(p_.data.text) + " has no annotation of kind " + backquoted(p_.field), Exit::data);
    if (all.unread > 0)
      recorder.note(count(all.unread, "document") + " of " + backquoted(p_.data.text) + " have their " +
                    backquoted(p_.field) + " behind the tokens that are read; they count as wrong");
    const auto n = static_cast<double>(all.documents);
    // Spans of other tokens are other numbers; bytes are the same for all.
    recorder.metric("exact_match", all.exact / n, {"share", tokenizer, p_.data.text, "1"});
    recorder.metric("exact_match_bytes", all.bytes / n, {"share", {}, p_.data.text, "1"});
    recorder.metric("f1", all.f1 / n, {"share", tokenizer, p_.data.text, "1"});
  }

  Params p_;
};

}  // namespace
}  // namespace xp

// The name of the library differs from the type: an objective's library has that name.
XP_PLUGIN(pointer_evaluator) {
  registry.add<xp::Pointer>("pointer", "Exact match and overlap of the span that a model points at.");
}
