#pragma once
// Stages that choose among documents: reading them, deciding by group, and the log of what was decided and why.
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/dataset.h"
#include "base/text.h"

namespace xp {

/// One line of `decisions.jsonl`.
struct Decision {
  std::string id;                             ///< of the document
  std::optional<std::size_t> paragraph = {};  ///< its number in the document from 0, if it alone was decided on
  std::string group = {};                     ///< if the group was decided on as one
  std::string rule = {};
  double score = 0;
  bool kept = true;
  std::string like = {};  ///< id of the document that made the score
};

inline std::string decision_line(const Decision& decision) {
  nlohmann::ordered_json out{{"id", decision.id}};
  if (decision.paragraph) out["paragraph"] = *decision.paragraph;
  if (!decision.group.empty()) out["group"] = decision.group;
  out["rule"] = decision.rule, out["score"] = decision.score, out["kept"] = decision.kept;
  if (!decision.like.empty()) out["like"] = decision.like;
  return out.dump() + "\n";
}

/// All documents in order. Throws Error (Exit::data) if one stands twice, as `sampling` makes it: the second would be
/// taken for another document of the same id. `name` is the dataset's, for the message.
inline std::vector<Document> distinct_documents(const DataSource& corpus, const std::string& name) {
  std::vector<Document> out;
  std::set<std::string> ids;
  corpus.for_each([&](const Document& document) {
    if (!ids.insert(document.id).second)
      throw Error("document " + backquoted(printable(document.id)) + " of " + backquoted(name) +
                      " comes twice; choose from a dataset without `sampling`",
                  Exit::data);
    out.push_back(document);
  });
  return out;
}

/// Indices of documents that are decided on as one, in the order of their first: those of one group if `together`,
/// else each by itself.
inline std::vector<std::vector<std::size_t>> decided_as_one(const std::vector<Document>& documents, bool together) {
  std::vector<std::vector<std::size_t>> out;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto& group = documents[i].group;
    if (together && !group.empty()) {
      const auto [at, is_new] = known.emplace(group, out.size());
      if (!is_new) {
        out[at->second].push_back(i);
        continue;
      }
    }
    out.push_back({i});
  }
  return out;
}

}  // namespace xp
