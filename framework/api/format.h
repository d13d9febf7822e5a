#pragma once
// Model directories and files that other tools made or will open.
#include <filesystem>

#include "api/parameters.h"
#include "api/tokenizer.h"
#include "schema/component.h"

namespace xp {

/// What was read: a checkpoint, a tokenizer, or both.
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
  virtual void write(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const Encoder* tokenizer) const = 0;
};

}  // namespace xp
