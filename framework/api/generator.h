#pragma once
// Documents from documents, through a back end that completes text: rules, a model, a server, a recording.
#include "api/dataset.h"
#include "base/random.h"

namespace xp {

struct Prompt {
  std::string task;  ///< "rephrase", "relations": what rule back ends look at
  std::string text;  ///< the whole prompt, for models
  std::map<std::string, std::string, std::less<>> slots = {};  ///< the parts that `text` was made from
};

struct Completion {
  std::string text;
  std::int64_t prompt_tokens = 0, completion_tokens = 0;  ///< 0: the back end does not count
};

/// "backend". Equal prompts and streams give equal answers, or the back end says that it is not repeatable.
class XP_API Backend : public Component {
 public:
  static constexpr const char* kInterface = "backend";
  ~Backend() override;
  virtual bool repeatable() const = 0;
  virtual Completion complete(const Prompt& prompt, std::int64_t most_tokens, RandomStream random) = 0;
};

/// "generator": all documents made from one. Throws Error if an answer cannot be used after `tries` of its own.
class XP_API Generator : public Component {
 public:
  static constexpr const char* kInterface = "generator";
  ~Generator() override;
  virtual std::vector<Document> generate(const Document& from, Backend& backend, RandomStream random) = 0;
};

}  // namespace xp
