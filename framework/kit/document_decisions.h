#pragma once
// Stages that choose among documents: reading them, deciding by group, and the log of what was decided and why.
#include <optional>
#include <string>
#include <vector>

#include "api/dataset.h"
#include "base/export.h"

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

XP_API std::string decision_line(const Decision& decision);

/// All documents in order. Throws Error (Exit::data) if one stands twice, as `sampling` makes it: the second would be
/// taken for another document of the same id. `name` is the dataset's, for the message.
XP_API std::vector<Document> distinct_documents(const DataSource& corpus, const std::string& name);

/// Indices of documents that are decided on as one, in the order of their first: those of one group if `together`,
/// else each by itself.
XP_API std::vector<std::vector<std::size_t>> decided_as_one(const std::vector<Document>& documents, bool together);

}  // namespace xp
