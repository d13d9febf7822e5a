#pragma once
// What a person reads when something is wrong, and where it is wrong.
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// Exit codes of the program; an Error carries the one that it leads to.
enum class Exit : int {
  ok = 0,
  failed = 1,         ///< a run failed
  usage = 2,          ///< command line or recipe
  plugin = 3,         ///< plugin missing, incompatible, quarantined
  data = 4,           ///< data or checkpoint unreadable
  verdict = 5,        ///< a claim is negative or undecided
  sweep_members = 6,  ///< a sweep ended with failed members
  stopped = 75,       ///< stopped early with a good checkpoint
  interrupted = 130,  ///< interrupted without one
  terminated = 143,
};

/// The only exception that crosses a plugin border. The text says what was found and what would be right.
class XP_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, Exit exit = Exit::failed) : std::runtime_error(text), exit_(exit) {}
  ~Error() override;
  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

/// A text that was read: a recipe file, or one override of the command line.
struct SourceText {
  std::string name;  ///< as shown: a path, or "--set number 2"
  std::string text;
  bool overlay = false;  ///< true: a command-line override, shown without a line number
  int order = 0;         ///< of the layer it belongs to: keys of several texts keep the order of the layers
};

/// A stretch of one line of a source. Lines and columns count from 1, columns in characters; line 0 is "no place".
struct SourceSpan {
  std::shared_ptr<const SourceText> source;
  int line = 0;
  int column = 0;
  int length = 1;

  explicit operator bool() const { return source != nullptr && line > 0; }
};

/// One mistake with its place.
struct Problem {
  std::string code;     ///< "unknown-key", stable and searchable
  std::string message;  ///< what was found
  SourceSpan span;
  std::string hint;  ///< what would be right
  bool warning = false;
};

/// Collects mistakes so that all are reported at once.
class XP_API Problems {
 public:
  void add(Problem problem);
  void error(std::string code, std::string message, SourceSpan span, std::string hint = {});
  void warn(std::string code, std::string message, SourceSpan span, std::string hint = {});

  std::size_t errors() const { return errors_; }
  bool empty() const { return problems_.empty(); }
  const std::vector<Problem>& list() const { return problems_; }

  /// All mistakes in source order as the program shows them, at most `most`, closing with the count line
  /// ("1 error, nothing was started"; the part after the comma is `outcome`).
  std::string text(std::string_view outcome = "nothing was started", std::size_t most = 20) const;

  /// Throws Error with text() and `exit` if there is an error; warnings alone do not throw.
  void raise(std::string_view outcome = "nothing was started", Exit exit = Exit::usage) const;

 private:
  std::vector<Problem> problems_;
  std::size_t errors_ = 0;
};

}  // namespace xp
