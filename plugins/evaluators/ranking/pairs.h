#pragma once
// Pairs of texts as documents hold them.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/dataset.h"
#include "base/random.h"
#include "schema/fields.h"

namespace xp::ranking {

struct TextPair {
  std::string id, first, second;
  std::optional<double> score = {};  ///< how well they belong together, if the data say it
};

/// Pairs in the data's order: a document with a second text in the field `text_b`, or two documents of one group, as
/// they follow each other. The number in `score_field` of the first document that has it is the pair's. Throws Error
/// (Exit::data) for groups that are no pairs, numbers that are none, and data without pairs.
std::vector<TextPair> pairs_of(const DataSource& documents, const std::string& score_field, const std::string& data);

/// Keeps at most `most` of what has an `id` (0: all), those that come first by a hash of it, in their order.
template <class T>
void keep_some(std::vector<T>& all, std::int64_t most) {
  if (most == 0 || std::ssize(all) <= most) return;
  const auto key = [](const T& one) {
    return std::pair(RandomStreams(0, "subset").child(one.id).stream().next(), one.id);
  };
  std::vector<std::pair<std::uint64_t, std::string>> keys;
  for (const auto& one : all) keys.push_back(key(one));
  const auto last = keys.begin() + most - 1;
  std::nth_element(keys.begin(), last, keys.end());
  std::erase_if(all, [&](const T& one) { return key(one) > *last; });
}

/// Queries and the documents that they look for.
struct Search {
  struct Query {
    std::string id, text;
    std::map<std::size_t, double> gains;  ///< of its relevant documents, by place in `documents`
  };
  std::vector<Query> queries;  ///< those with a relevant document
  std::vector<std::string> documents;
};

/// How the data say it.
struct Relevance {
  std::string query_field, score_field;
  double relevant = 1;
  template <class P>
  static void describe(Fields<P>& f, std::string P::*query, std::string P::*score, double P::*relevant) {
    f.add(query, "query",
          "Field of a document that holds the query it answers; where no document has it, data are pairs.");
    f.add(score, "score", "Field that grades a pair as a number; pairs without it are relevant, with gain 1.");
    f.add(relevant, "relevant", "Score from which on a pair is relevant.").above(0);
  }
};

/// Documents, some with a query that each of them alone answers; or pairs, of which the distinct first texts are the
/// queries and the distinct second ones the documents, a score being the gain. Throws Error (Exit::data) if nothing
/// is relevant to any query.
Search search_in(const DataSource& documents, const Relevance& how, const std::string& data);

}  // namespace xp::ranking
