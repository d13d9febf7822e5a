#pragma once
// Copies of this program at work, for verbs that watch a run from outside.
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "program.h"

namespace xp::program {

/// One process in a process group of its own; it ends with this one.
class Child {
 public:
  /// What it prints goes to `log`, appended; with `show` its standard error is ours.
  Child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
        const std::filesystem::path& log, bool show);
  ~Child();  ///< kills it if it still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::optional<int> ended();  ///< its exit code, or 128 and the signal that ended it; nothing while it runs
  int wait();
  void stop();     ///< asks it to end
  int kill_all();  ///< ends it and what it started at once; as ended(), of a process that was done its exit code

 private:
  int code_of(int status);
  pid_t process_ = 0;
  std::optional<int> code_;
};

/// The words of a command line that say which recipe and what is laid over it.
std::vector<std::string> words_of(const Program& program, const RecipeOptions& options);

/// The newest result of a folder whose run ended well; throws Error (Exit::data) if there is none.
std::unique_ptr<Result> done_result(const std::filesystem::path& results);

/// The last line of a log that names an error, else its last line; for a message.
std::string what_failed(const std::filesystem::path& log);

}  // namespace xp::program
