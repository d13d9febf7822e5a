#include "pairs.h"

#include <charconv>
#include <cmath>

#include "base/text.h"

namespace xp::ranking {
namespace {

double number_in(const std::string& text, const std::string& field, const std::string& id, const std::string& data) {
  double value = 0;
  const auto clean = trim(text);
  const auto [end, failure] = std::from_chars(clean.data(), clean.data() + clean.size(), value);
  if (failure != std::errc() || end != clean.data() + clean.size() || !std::isfinite(value))
    throw Error("field " + backquoted(field) + " of document " + backquoted(id) + " of " + backquoted(data) +
                    " is no number: " + backquoted(printable(utf8_slice(clean, 0, 40))),
                Exit::data);
  return value;
}

}  // namespace

std::vector<TextPair> pairs_of(const DataSource& documents, const std::string& score_field, const std::string& data) {
  std::vector<TextPair> out;
  std::map<std::string, std::size_t> half;  // group -> pair that wants its second text
  std::map<std::string, std::size_t> whole;
  documents.for_each([&](const Document& document) {
    const auto second = document.fields.find("text_b");
    TextPair* pair = nullptr;
    if (second != document.fields.end()) {
      pair = &out.emplace_back(TextPair{document.id, document.text, second->second});
    } else if (const auto first = half.find(document.group); first != half.end()) {
      pair = &out[first->second];
      pair->second = document.text;
      whole.insert(*first), half.erase(first);
    } else if (document.group.empty() || whole.contains(document.group)) {
      throw Error("document " + backquoted(document.id) + " of " + backquoted(data) +
                      " is no part of a pair: a pair is a document with the field `text_b`, or two of one group",
                  Exit::data);
    } else {
      half.emplace(document.group, out.size());
      pair = &out.emplace_back(TextPair{document.group, document.text, {}});
    }
    if (const auto score = document.fields.find(score_field); score != document.fields.end() && !pair->score)
      pair->score = number_in(score->second, score_field, document.id, data);
  });
  if (!half.empty())
    throw Error(
        "group " + backquoted(half.begin()->first) + " of " + backquoted(data) + " has one document; a pair has two",
        Exit::data);
  if (out.empty()) throw Error(backquoted(data) + " has no pairs", Exit::data);
  return out;
}

namespace {

/// Nothing if no document has a query.
Search known_items(const DataSource& documents, const std::string& query_field) {
  Search out;
  documents.for_each([&](const Document& document) {
    const auto query = document.fields.find(query_field);
    if (query != document.fields.end() && !query->second.empty())
      out.queries.push_back({document.id, query->second, {{out.documents.size(), 1.0}}});
    out.documents.push_back(document.text);
  });
  return out;
}

}  // namespace

Search search_in(const DataSource& source, const Relevance& how, const std::string& data) {
  if (auto known = known_items(source, how.query_field); !known.queries.empty()) return known;
  Search out;
  const auto pairs = pairs_of(source, how.score_field, data);
  std::map<std::string_view, std::size_t> documents, queries;
  for (const auto& pair : pairs) {
    const auto [document, fresh] = documents.emplace(pair.second, out.documents.size());
    if (fresh) out.documents.push_back(pair.second);
    if (pair.score && *pair.score < how.relevant) continue;
    const auto [query, first] = queries.emplace(pair.first, out.queries.size());
    if (first) out.queries.push_back({pair.id, pair.first, {}});
    auto& known = out.queries[query->second].gains[document->second];
    known = std::max(known, pair.score.value_or(1));
  }
  if (out.queries.empty())
    throw Error("no pair of " + backquoted(data) + " has a score of at least " + number_text(how.relevant),
                Exit::data);
  return out;
}

}  // namespace xp::ranking
