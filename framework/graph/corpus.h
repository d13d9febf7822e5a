#pragma once
// Documents of a dataset as a stage sees them: one split, and repeated as the dataset's `sampling` asks.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/dataset.h"
#include "base/random.h"
#include "plugin/registry.h"
#include "schema/value.h"

namespace xp {

/// Which split a group belongs to: decided by a hash of the group alone, so no later document moves another.
struct SplitShares {
  double dev = 0.05, test = 0.05;
};
XP_API std::string split_of(const Document& document, const SplitShares& shares);

/// { alpha, by }: strata (languages or sources) are drawn by n^alpha, n their bytes. Without it every document counts
/// once.
struct Sampling {
  double alpha = 1;
  std::string by = "language";
};

/// How a dataset's table in the plan says it.
XP_API SplitShares split_shares(const Table& dataset);
XP_API std::optional<Sampling> sampling(const Table& dataset);

/// All documents of one split in memory, in the source's order, with how often each counts per epoch.
struct Corpus {
  std::vector<Document> documents;
  std::vector<double> repeats;  ///< of each document, 1 on average over bytes
  std::string name;             ///< "multilingual:train"
};

/// Loads documents of the reference. Throws Error (Exit::data) if the split is empty or ids repeat.
XP_API Corpus load_corpus(const Reference& dataset, const Registry& registry);

/// Documents that a stage made: one JSON object per line, with the members of Document that are not empty. Throws
/// Error (Exit::data) with the line for what is none.
XP_API Corpus made_corpus(const std::filesystem::path& file, const std::string& name);

/// The corpus as a source; documents are repeated by their integral part, and once more where a draw keyed by the
/// document falls below the rest.
XP_API std::shared_ptr<const DataSource> as_source(std::shared_ptr<const Corpus> corpus, const RandomStreams& random);

/// The documents that load_corpus() gives, read anew for each pass, so that one of them is in memory at a time; a
/// pass throws as load_corpus() does. A corpus with repeated documents is loaded: how often they count needs all of
/// them.
XP_API std::shared_ptr<const DataSource> streamed_source(const Reference& dataset, const Registry& registry,
                                                         const RandomStreams& random);

/// Times that document `index` counts in an epoch: the draw is keyed by epoch and document only.
XP_API int times_in_epoch(const Corpus& corpus, std::size_t index, std::int64_t epoch, const RandomStreams& random);

/// 63-bit key of a text id, for sample_id and group_id.
XP_API std::int64_t document_key(std::string_view id);

}  // namespace xp
