#pragma once
// Artifacts computed from the training split: counts, clusters, lexicons, quality models.
#include "api/dataset.h"
#include "base/random.h"

namespace xp {

class Encoder;
class Handle;

/// "fitter". The result is stored by digest and shared by seeds; components read it with Resources::artifact.
class XP_API Fitter : public Component {
 public:
  static constexpr const char* kInterface = "fitter";
  ~Fitter() override;
  /// `corpus` is the training split, nothing else can be reached. `encoder` and `subject` are null unless the recipe
  /// names a tokenizer and a model.
  virtual State fit(const DataSource& corpus, const Encoder* encoder, Handle* subject,
                    const RandomStreams& random) const = 0;
};

}  // namespace xp
