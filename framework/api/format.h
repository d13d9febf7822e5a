#pragma once
// Model directories and files that other tools made or will open.
#include <filesystem>

#include "api/format_report.h"
#include "api/parameters.h"
#include "api/tokenizer.h"
#include "schema/component.h"

namespace xp {

/// What was read: a checkpoint, a tokenizer, or both. Tensors may be views of mapped files, in the files' number
/// types: they are read, never written.
struct Imported {
  std::optional<Checkpoint> checkpoint;
  std::shared_ptr<const Encoder> tokenizer;
  Strings lost;  ///< what the file holds and a checkpoint cannot
};

/// "format".
class XP_API Format : public Component {
 public:
  static constexpr const char* kInterface = "format";
  ~Format() override;
  virtual bool recognises(const std::filesystem::path& path) const = 0;  ///< by content, never by name alone
  virtual Imported read(const std::filesystem::path& path) const = 0;    ///< throws Error (Exit::data)
  /// Reads no tensor; the tokenizer is not looked at. Throws Error (Exit::data).
  virtual FormatReport report(const std::filesystem::path& path) const = 0;

  /// The tokenizer alone; null if there is none. Throws Error (Exit::data).
  virtual std::shared_ptr<const Encoder> read_tokenizer(const std::filesystem::path& path) const = 0;

  virtual bool writes() const { return false; }  ///< write() and rewrite() work
  /// A new directory; throws Error (Exit::data) if the format has no place for the model, and writes nothing then.
  virtual void write(const std::filesystem::path& path, const Checkpoint& checkpoint, const Encoder* tokenizer) const;
  /// The directory `from` once more with another vocabulary: parameters of `tables` (roles "vocab.*", any number of
  /// rows) take the place of theirs, every other tensor goes over byte for byte.
  virtual void rewrite(const std::filesystem::path& path, const std::filesystem::path& from, const Parameters& tables,
                       const Encoder& tokenizer) const;
};

}  // namespace xp
