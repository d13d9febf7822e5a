#pragma once
// Nodes of the experiment's graph that read documents and need no LibTorch.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/recorder.h"
#include "api/tokenizer.h"
#include "schema/fields.h"

namespace xp {

/// What any stage may do. Inputs are read, outputs are written under a temporary name and become an artifact as a
/// whole when run() returns; a stage that was killed finds what it wrote so far in output() and goes on from there.
class XP_API DocumentContext {
 public:
  virtual ~DocumentContext();
  virtual const RandomStreams& random() const = 0;
  virtual Recorder& recorder() = 0;
  virtual const PartMaker& parts() const = 0;

  virtual std::filesystem::path input(const Reference& artifact) const = 0;  ///< its folder, or the outside file
  virtual std::filesystem::path output(std::string_view name = {}) = 0;      ///< a folder, made when first asked for

  virtual std::shared_ptr<const Encoder> tokenizer(const Reference& artifact) = 0;  ///< of a tokenizer or checkpoint
  /// Documents of the reference's split in a fixed order; with the dataset's `sampling`, repeated accordingly.
  virtual std::shared_ptr<const DataSource> documents(const Reference& dataset) = 0;
  virtual void save(const Encoder& encoder, const Tokenizer& made_by, std::string_view output = {}) = 0;

  /// A folder that stages share: `make` fills it for the first that asks, others wait or find it in the cache. `what`
  /// is the key: it and the libraries of this stage's components decide all that lies in there.
  virtual std::filesystem::path shared(std::string_view name, const std::string& what,
                                       const std::function<void(const std::filesystem::path&)>& make) = 0;

  /// For long work: shows `done` of `total`, and throws (to a good end) if the run was asked to stop.
  virtual void progress(double done, double total, std::string_view what) = 0;
  virtual int threads() const = 0;
};

/// "stage": train, evaluate, transfer, generate, fit, transform are all stages. Each is a Stage or a DocumentStage.
class XP_API AnyStage : public Component {
 public:
  static constexpr const char* kInterface = "stage";
  ~AnyStage() override;
};

/// A stage whose plugin is built without LibTorch. A run of such stages alone does not load it; the context reads
/// documents anew for each pass and keeps none of them.
class XP_API DocumentStage : public AnyStage {
 public:
  ~DocumentStage() override;
  virtual void run(DocumentContext& context) = 0;
};

}  // namespace xp
