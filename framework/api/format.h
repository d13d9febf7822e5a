#pragma once
// Model directories and files that other tools made or will open.
#include <filesystem>
#include <functional>

#include "api/format_report.h"
#include "api/parameters.h"
#include "api/tokenizer.h"
#include "schema/component.h"

namespace xp {

/// Reads the parameter at this place of a checkpoint, anew each time it is asked.
using ReadParameter = std::function<at::Tensor(Param)>;

/// What was read: a checkpoint, a tokenizer, or both. Tensors may be views of mapped files, in the files' number
/// types: they are read, never written.
struct Imported {
  std::optional<Checkpoint> checkpoint;
  std::shared_ptr<const Encoder> tokenizer;
  Strings lost;  ///< what the file holds and a checkpoint cannot
  /// If set, it reads the parameters whose values are on the meta device: those say shape and number type alone.
  ReadParameter unread;
};

/// "format".
class XP_API Format : public Component {
 public:
  static constexpr const char* kInterface = "format";
  ~Format() override;
  virtual bool recognises(const std::filesystem::path& path) const = 0;  ///< by content, never by name alone
  virtual Imported read(const std::filesystem::path& path) const = 0;    ///< throws Error (Exit::data)
  /// As read(), but parameters of other roles than "vocab.*" may be left unread, so that a model whose numbers must
  /// be computed is never whole in memory. By default read().
  virtual Imported read_vocabulary(const std::filesystem::path& path) const;
  /// Reads no tensor; the tokenizer is not looked at. Throws Error (Exit::data).
  virtual FormatReport report(const std::filesystem::path& path) const = 0;

  /// The tokenizer alone; null if there is none. Throws Error (Exit::data).
  virtual std::shared_ptr<const Encoder> read_tokenizer(const std::filesystem::path& path) const = 0;

  virtual bool writes() const { return false; }  ///< write() and rewrite() work
  /// A new directory; throws Error (Exit::data) if the format has no place for the model, and writes nothing then.
  /// `unread`: as in Imported, asked for one parameter at a time.
  virtual void write(const std::filesystem::path& path, const Checkpoint& checkpoint, const Encoder* tokenizer,
                     const ReadParameter& unread) const;
  /// The directory `from` once more with another vocabulary: parameters of `tables` (roles "vocab.*", any number of
  /// rows) take the place of theirs, every other tensor goes over byte for byte.
  virtual void rewrite(const std::filesystem::path& path, const std::filesystem::path& from, const Parameters& tables,
                       const Encoder& tokenizer) const;
};

}  // namespace xp
