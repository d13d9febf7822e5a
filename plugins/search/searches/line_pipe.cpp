#include "line_pipe.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <system_error>

#include "base/error.h"

namespace xp::searches {
namespace {

std::string reason() { return std::generic_category().message(errno); }

int opened(const std::string& file, int flags, int standard, const char* what) {
  if (file.empty()) return standard;
  const int out = ::open(file.c_str(), flags | O_CLOEXEC, 0666);
  if (out < 0)
    throw Error(file + " cannot be opened to " + what + ": " + reason() +
                    "; name a file or a pipe made by mkfifo in a folder that exists",
                Exit::usage);
  return out;
}

/// A pipe without a reader is an error of this call and no signal to the whole process.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      const timespec now{};
      sigtimedwait(&pipe_, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
};

}  // namespace

LinePipe::~LinePipe() {
  if (out_ > STDERR_FILENO) ::close(out_);
  if (in_ > STDERR_FILENO) ::close(in_);
}

void LinePipe::open(const std::string& out, const std::string& in) {
  out_name_ = out.empty() ? "standard output" : out;
  in_name_ = in.empty() ? "standard input" : in;
  out_ = opened(out, O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO, "write");
  in_ = opened(in, O_RDONLY, STDIN_FILENO, "read");
}

bool LinePipe::write(std::string line) {
  const NoPipeSignal no_signal;
  line += '\n';
  for (std::string_view left = line; !left.empty();) {
    const auto done = ::write(out_, left.data(), left.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EPIPE) return false;
    if (done < 0) throw Error(out_name_ + " cannot be written: " + reason());
    left.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

std::string LinePipe::read() {
  constexpr std::size_t kLongest = 1'000'000;
  std::string line;
  for (;;) {
    char c = 0;
    const auto done = ::read(in_, &c, 1);
    if (done < 0 && errno == EINTR)
      throw Error("stopped while the optimiser was asked on " + in_name_, Exit::interrupted);
    if (done < 0) throw Error(in_name_ + " cannot be read: " + reason());
    if (done == 0)
      throw Error(in_name_ +
                  " ended where the optimiser was to answer; it ends a sweep by the line {\"none\": true}");
    if (c == '\n') return line;
    line += c;
    if (line.size() > kLongest) throw Error("a line of " + in_name_ + " is longer than 1 MB", Exit::usage);
  }
}

}  // namespace xp::searches
