#include "base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace xp {
namespace {

using Context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

void must(int done) {
  if (done != 1) throw Error("SHA-256 failed in libcrypto");
}

Context begin() {
  Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context) throw Error("SHA-256 failed in libcrypto: out of memory");
  must(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
  return context;
}

void update(const Context& context, std::string_view bytes) {
  must(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()));
}

std::string finish(const Context& context) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  must(EVP_DigestFinal_ex(context.get(), raw.data(), &size));
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(std::size_t{2} * size);
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[raw[i] >> 4];
    text += kHex[raw[i] & 15];
  }
  return text;
}

Error unreadable(const std::filesystem::path& file, int reason) {
  return Error("cannot read " + backquoted(file.string()) + ": " + std::strerror(reason), Exit::data);
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

/// What changes with the content of a file, as the line that the cache keeps.
struct Stamp {
  std::string text;
  std::int64_t changed = 0;  ///< ns since 1970
};

Stamp stamp_of(const std::filesystem::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) throw unreadable(file, errno);
  Stamp stamp;
  stamp.changed = std::max(nanoseconds(s.st_mtim), nanoseconds(s.st_ctim));
  stamp.text = std::to_string(s.st_size) + " " + std::to_string(s.st_dev) + " " + std::to_string(s.st_ino) + " " +
               std::to_string(nanoseconds(s.st_mtim)) + " " + std::to_string(nanoseconds(s.st_ctim));
  return stamp;
}

// The remembered digest if the entry is whole and of this stamp and path.
std::string remembered(const std::filesystem::path& entry, const std::string& head) {
  std::error_code ignored;
  if (!std::filesystem::exists(entry, ignored)) return {};
  try {
    const auto text = read_file(entry, 1 << 16);
    if (text.size() != head.size() + 65 || !text.starts_with(head) || text.back() != '\n') return {};
    const auto digest = text.substr(head.size(), 64);
    return digest.find_first_not_of("0123456789abcdef") == std::string::npos ? digest : std::string();
  } catch (const Error& error) {
    log::debug(std::string("digest cache not used: ") + error.what());
    return {};
  }
}

}  // namespace

struct Digest::Impl {
  Context context = begin();
};

Digest::Digest() : impl_(std::make_unique<Impl>()) {}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

Digest& Digest::add(std::string_view part) {
  update(impl_->context, std::to_string(part.size()) + ":");
  update(impl_->context, part);
  return *this;
}

std::string Digest::hex() { return finish(impl_->context); }

std::string sha256(std::string_view bytes) {
  const auto context = begin();
  update(context, bytes);
  return finish(context);
}

std::string sha256_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw unreadable(file, errno);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* d) { ::close(*d); });
  const auto context = begin();
  const auto buffer = std::make_unique_for_overwrite<std::array<char, 1 << 16>>();
  for (;;) {
    const auto n = ::read(descriptor, buffer->data(), buffer->size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw unreadable(file, errno);
    if (n == 0) break;
    update(context, {buffer->data(), static_cast<std::size_t>(n)});
  }
  return finish(context);
}

namespace {

/// Digests that this process has asked for.
class Remembered {
 public:
  std::string of(const std::string& file, const std::string& stamp) const {
    const std::lock_guard lock(mutex_);
    const auto found = digests_.find(file);
    return found != digests_.end() && found->second.first == stamp ? found->second.second : std::string();
  }
  std::string add(const std::string& file, const std::string& stamp, std::string digest) {
    const std::lock_guard lock(mutex_);
    digests_.insert_or_assign(file, std::pair(stamp, digest));
    return digest;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::pair<std::string, std::string>> digests_;
};

}  // namespace

std::string sha256_file_cached(const std::filesystem::path& file) {
  static Remembered here;
  if (auto digest = here.of(file.string(), stamp_of(file).text); !digest.empty()) return digest;
  std::error_code failed;
  const auto path = std::filesystem::canonical(file, failed);
  if (failed) throw unreadable(file, failed.value());
  const auto before = stamp_of(path);
  const auto key = sha256(path.string());
  const auto folder = user_cache() / "file_digests" / key.substr(0, 2);
  const auto entry = folder / key.substr(2);
  if (auto digest = remembered(entry, before.text + " "); !digest.empty())
    return here.add(file.string(), before.text, std::move(digest));
  auto digest = sha256_file(path);
  // A file that changed a moment ago can change again within the same tick of the clock: that would not be seen.
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  if (now - before.changed < 2'000'000'000 || stamp_of(path).text != before.text) return digest;
  try {
    std::filesystem::create_directories(folder);
    write_file(entry, before.text + " " + digest + "\n");
  } catch (const std::exception& error) {  // a read-only home folder only costs time
    log::debug(std::string("digest not remembered: ") + error.what());
  }
  return here.add(file.string(), before.text, std::move(digest));
}

}  // namespace xp
