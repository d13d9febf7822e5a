#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "api/selector.h"
#include "api/stage.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/document_decisions.h"
#include "kit/document_json.h"
#include "kit/paragraphs.h"
#include "kit/word_counts.h"
#include "plugin/plugin.h"

namespace {

/// What scorers may ask for here: artifacts that their settings name.
class Artifacts final : public xp::Resources {
 public:
  Artifacts(const xp::Scorer& scorer, xp::StageContext& context) {
    for (const auto& [name, value] : scorer.settings())
      if (const auto* reference = value.as<xp::Reference>(); reference && reference->kind == "statistics")
        states_.emplace(reference->text, context.state(*reference));
  }
  std::int64_t vocab_size() const override { return 0; }
  std::int64_t reserved(std::string_view purpose, std::int64_t) const override {
    throw xp::Error("documents are chosen before any tokenizer reads them, and a scorer asks for the id of " +
                    xp::backquoted(purpose));
  }
  bool is_text(std::int64_t) const override { return true; }
  const xp::State& artifact(std::string_view name) const override {
    const auto found = states_.find(name);
    if (found == states_.end()) throw xp::Error("no artifact " + xp::backquoted(name) + " is at hand");
    return found->second;
  }
  xp::Strings categories(std::string_view field) const override {
    throw xp::Error("a scorer asks for the classes of " + xp::backquoted(field) +
                    ", which nothing gives where documents are chosen");
  }
  const xp::Encoder* tokenizer() const override { return nullptr; }

 private:
  std::map<std::string, xp::State, std::less<>> states_;
};

/// Keeps documents, or paragraphs of them, by filters one after the other; each sees what the one before has kept.
/// Members of a group go together, by the lowest score among them. What is kept has the ids, groups and splits that
/// it had, and `decisions.jsonl` beside it says for each filter what it decided on which score.
class SelectDocuments final : public xp::Stage {
 public:
  enum class Unit : std::uint8_t { document, paragraph };
  struct Filter {
    std::unique_ptr<xp::Scorer> scorer;
    std::unique_ptr<xp::Selector> selector;
    Unit unit = Unit::document;
    std::string as;
    static void describe(xp::Fields<Filter>& f) {
      f.add(&Filter::scorer, "scorer", "What gives a number, higher is better.").required();
      f.add(&Filter::selector, "selector", "Which of them stay.").required();
      f.add(&Filter::unit, "unit",
            "What is decided on: documents, or each paragraph by itself (a document without any left is gone).",
            {{"document", Unit::document}, {"paragraph", Unit::paragraph}});
      f.add(&Filter::as, "as", "Name in metrics and in the log; empty: the scorer's type.");
    }
  };
  struct Params {
    xp::Reference corpus;
    std::vector<Filter> filters;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::corpus, "corpus", "Documents to choose from.").artifact("dataset").required();
      f.add(&Params::filters, "filters", "Filters in order.").required();
      f.gives("output", "dataset", "dataset");
      f.gives("metric", "documents", "documents");
      f.gives("metric", "text_bytes", "bytes");
      f.gives("metric", "kept", "share");
      f.gives("metric", "kept.*", "share");
      f.draws();
    }
  };
  explicit SelectDocuments(Params params) : p_(std::move(params)) {
    if (p_.filters.empty()) throw xp::Error("`filters` is empty; one at least is needed", xp::Exit::usage);
  }

  void run(xp::StageContext& context) override {
    auto documents = xp::distinct_documents(*context.documents(p_.corpus), p_.corpus.text);
    const auto before = documents.size();
    std::string log;
    const auto names = filter_names();
    for (std::size_t f = 0; f < p_.filters.size(); ++f) {
      Pass pass{p_.filters[f], names[f], context, log};
      const Artifacts artifacts(*pass.filter.scorer, context);
      pass.filter.scorer->start(artifacts);
      const double kept =
          pass.filter.unit == Unit::document ? by_document(pass, documents) : by_paragraph(pass, documents);
      if (documents.empty())
        throw xp::Error("filter " + xp::backquoted(names[f]) + " leaves nothing of " +
                            xp::backquoted(p_.corpus.text) + "; its scores stand in no selector's range",
                        xp::Exit::data);
      context.recorder().metric("kept." + names[f], kept, {.unit = "share"});
    }
    std::string lines;
    double bytes = 0;
    for (const auto& document : documents)
      lines += xp::document_line(document), bytes += static_cast<double>(document.text.size());
    xp::write_file(context.output() / "documents.jsonl", lines);
    xp::write_file(context.output() / "decisions.jsonl", log);
    const auto count = static_cast<double>(documents.size());
    context.recorder().metric("documents", count, {.unit = "documents"});
    context.recorder().metric("text_bytes", bytes, {.unit = "bytes"});
    context.recorder().metric("kept", count / static_cast<double>(before), {.unit = "share"});
  }

 private:
  using Documents = std::vector<xp::Document>;
  struct Pass {
    const Filter& filter;
    const std::string& name;
    xp::StageContext& context;
    std::string& log;
  };

  std::vector<std::string> filter_names() const {
    std::vector<std::string> out;
    std::map<std::string, int> seen;
    for (const auto& filter : p_.filters) {
      out.push_back(filter.as.empty() ? filter.scorer->type() : filter.as);
      if (const int n = ++seen[out.back()]; n > 1) out.back() += "_" + std::to_string(n);
    }
    return out;
  }

  static std::vector<double> scores_of(const Pass& pass, std::size_t n,
                                       const std::function<double(std::size_t)>& score) {
    constexpr std::size_t kBlock = 4096;  // between two looks at whether to stop
    std::vector<double> out(n);
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      pass.context.progress(static_cast<double>(begin), static_cast<double>(n), pass.name);
      xp::run_parallel(std::min(kBlock, n - begin), pass.context.threads(),
                       [&](std::size_t i) { out[begin + i] = score(begin + i); });
    }
    return out;
  }

  static std::vector<bool> selected(const Pass& pass, const std::vector<xp::Scored>& scored) {
    const auto stream = pass.context.random().child("filter").child(pass.name).stream();
    auto out = pass.filter.selector->select(scored, stream);
    if (out.size() != scored.size())
      throw xp::Error("selector " + xp::backquoted(pass.filter.selector->type()) + " decided on " +
                      std::to_string(out.size()) + " of " + std::to_string(scored.size()));
    return out;
  }

  static double checked(const Pass& pass, const xp::Document& document) {
    const double score = pass.filter.scorer->score(document);
    if (std::isfinite(score)) return score;
    throw xp::Error("scorer " + xp::backquoted(pass.filter.scorer->type()) + " gives " + xp::number_text(score) +
                    " for document " + xp::backquoted(xp::printable(document.id)) + "; a number is needed");
  }

  /// Filters whole documents; gives the share of them that stays.
  static double by_document(const Pass& pass, Documents& documents) {
    const auto units = xp::decided_as_one(documents, true);
    const auto scores = scores_of(pass, documents.size(), [&](std::size_t i) { return checked(pass, documents[i]); });
    std::vector<xp::Scored> scored;
    for (const auto& members : units) {
      scored.push_back({std::numeric_limits<double>::infinity(), 0});
      for (const auto i : members) {
        scored.back().score = std::min(scored.back().score, scores[i]);
        scored.back().bytes += std::ssize(documents[i].text);
      }
    }
    const auto kept = selected(pass, scored);
    std::vector<bool> stays(documents.size());
    std::vector<bool> in_group(documents.size());
    for (std::size_t u = 0; u < units.size(); ++u)
      for (const auto i : units[u]) stays[i] = kept[u], in_group[i] = units[u].size() > 1;
    for (std::size_t i = 0; i < documents.size(); ++i)
      pass.log += xp::decision_line({.id = documents[i].id,
                                     .group = in_group[i] ? documents[i].group : std::string(),
                                     .rule = pass.name,
                                     .score = scores[i],
                                     .kept = stays[i]});
    return drop(documents, stays);
  }

  /// Filters paragraphs; gives the share of them that stays. A group goes with the first member that loses all.
  static double by_paragraph(const Pass& pass, Documents& documents) {
    std::vector<std::vector<xp::TextSpan>> spans;
    std::vector<std::pair<std::size_t, std::size_t>> places;  // document and paragraph of each item
    for (const auto& document : documents) {
      spans.push_back(xp::paragraphs_of(document));
      for (std::size_t p = 0; p < spans.back().size(); ++p) places.emplace_back(spans.size() - 1, p);
    }
    std::vector<xp::Scored> scored(places.size());
    const auto scores = scores_of(pass, places.size(), [&](std::size_t i) {
      const auto& [d, p] = places[i];
      xp::Document part;
      part.id = documents[d].id, part.language = documents[d].language, part.script = documents[d].script;
      part.text = documents[d].text.substr(spans[d][p].begin, spans[d][p].end - spans[d][p].begin);
      return checked(pass, part);
    });
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto& span = spans[places[i].first][places[i].second];
      scored[i] = {scores[i], span.end - span.begin};
    }
    const auto kept = selected(pass, scored);
    std::vector<std::vector<bool>> stay(documents.size());
    double all = 0, stayed = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto& [d, p] = places[i];
      stay[d].push_back(kept[i]), ++all, stayed += kept[i];
      pass.log += xp::decision_line(
          {.id = documents[d].id, .paragraph = p, .rule = pass.name, .score = scores[i], .kept = kept[i]});
    }
    std::vector<bool> left(documents.size(), true);
    for (const auto& members : xp::decided_as_one(documents, true)) {
      const bool whole = std::none_of(members.begin(), members.end(), [&](std::size_t i) {
        return !stay[i].empty() && std::find(stay[i].begin(), stay[i].end(), true) == stay[i].end();
      });
      for (const auto i : members) left[i] = whole;
    }
    for (std::size_t d = 0; d < documents.size(); ++d)
      documents[d] = xp::without_paragraphs(std::move(documents[d]), spans[d], stay[d]);
    drop(documents, left);
    return all > 0 ? stayed / all : 1;
  }

  static double drop(Documents& documents, const std::vector<bool>& stays) {
    const auto before = static_cast<double>(documents.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < documents.size(); ++i)
      if (stays[i]) {
        if (kept != i) documents[kept] = std::move(documents[i]);
        ++kept;
      }
    documents.resize(kept);
    return static_cast<double>(kept) / before;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(select_documents) {
  registry.add<SelectDocuments>("select_documents", "Keeps the documents that filters choose, and says why.");
}
