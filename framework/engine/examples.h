#pragma once
// From documents to examples: tokenized once, cut into windows or pairs, in an order that depends on the epoch only.
#include <memory>
#include <string>
#include <vector>

#include "api/tokenizer.h"
#include "api/transform.h"
#include "graph/corpus.h"

namespace xp {

/// How documents become examples.
struct CutRule {
  std::int64_t length = 128;  ///< tokens per example, specials included
  bool windows = true;        ///< a longer document gives several examples; false: it is cut
  /// Fields that become an int64 column by their class, one per item; kinds of annotations one per token: -1 where
  /// there is none, -2 for a class that training did not have.
  Strings categorical = {};
  bool offsets = false;  ///< also `begin`, `end`, and the texts as strings
  bool groups = false;   ///< adjacent documents of one group are one group of examples, each cut to the length
};

/// Groups of examples by position. The engine reads text through TextExamples and other data through DatasetExamples.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  virtual const std::string& name() const = 0;
  /// Indices of units (documents, groups) of an epoch in training order; the order draws from `random` only.
  virtual std::vector<std::size_t> order(std::int64_t epoch, const RandomStreams& random) const = 0;
  virtual std::size_t units() const = 0;
  /// The groups that a unit gives in an epoch. `transform` may be null; its lengths() say how much text fills an
  /// example.
  virtual std::vector<std::vector<Example>> groups(std::size_t unit, std::int64_t epoch, const Transform* transform,
                                                   const RandomStreams& input) const = 0;
  virtual std::vector<FieldSpec> fields() const = 0;
  virtual Strings sources() const { return {}; }  ///< that examples name, sorted; empty: not known
};

/// Tokenizes with `threads` threads; the result does not depend on how many.
std::unique_ptr<ExampleSource> text_examples(std::shared_ptr<const Corpus> corpus,
                                             std::shared_ptr<const Encoder> encoder, const CutRule& rule,
                                             std::map<std::string, Strings> categories, int threads);
std::unique_ptr<ExampleSource> dataset_examples(std::shared_ptr<const Dataset> dataset, const std::string& split,
                                                const SplitShares& shares, const std::string& name);

/// True if the document has the field, or annotations of that kind.
bool has_class(const Document& document, std::string_view field);

/// Distinct values over the documents of a field, or of the annotations of that kind; sorted.
Strings categories_of(const Corpus& corpus, std::string_view field);

/// Runs fn(i) for i in [0, n) on up to `threads` threads; the first exception is rethrown.
void parallel_for(std::size_t n, int threads, const std::function<void(std::size_t)>& fn);

}  // namespace xp
