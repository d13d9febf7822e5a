#include "kit/document_decisions.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace xp {

std::string decision_line(const Decision& decision) {
  nlohmann::ordered_json out{{"id", decision.id}};
  if (decision.paragraph) out["paragraph"] = *decision.paragraph;
  if (!decision.group.empty()) out["group"] = decision.group;
  out["rule"] = decision.rule, out["score"] = decision.score, out["kept"] = decision.kept;
  if (!decision.like.empty()) out["like"] = decision.like;
  return out.dump() + "\n";
}

std::vector<Document> distinct_documents(const DataSource& corpus, const std::string& name) {
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

std::vector<std::vector<std::size_t>> decided_as_one(const std::vector<Document>& documents, bool together) {
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
