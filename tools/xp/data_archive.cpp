#include "data_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace xp::program {
namespace {

namespace fs = std::filesystem;

struct Close {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Reader = std::unique_ptr<archive, Close>;

[[noreturn]] void refuse(const std::string& archive, const std::string& what) {
  throw Error(archive + ": " + what, Exit::data);
}

std::string reason(archive* a) {
  const char* text = archive_error_string(a);
  return text ? printable(text) : "damaged";
}

enum class Shape { zip, tar_gz, ar, tar };

Reader open(std::string_view bytes, const std::string& name, Shape shape) {
  Reader reader(archive_read_new());
  auto* a = reader.get();
  switch (shape) {
    case Shape::zip: archive_read_support_format_zip(a); break;
    case Shape::ar: archive_read_support_format_ar(a); break;
    case Shape::tar_gz: archive_read_support_format_tar(a), archive_read_support_filter_gzip(a); break;
    case Shape::tar:
      archive_read_support_format_tar(a), archive_read_support_filter_gzip(a);
      archive_read_support_filter_xz(a), archive_read_support_filter_zstd(a);
      break;
  }
  if (archive_read_open_memory(a, bytes.data(), bytes.size()) != ARCHIVE_OK) refuse(name, reason(a));
  return reader;
}

/// The next entry, or false at the end.
bool next(archive* a, archive_entry** entry, const std::string& name) {
  const int result = archive_read_next_header(a, entry);
  if (result == ARCHIVE_EOF) return false;
  if (result != ARCHIVE_OK) refuse(name, reason(a));
  return true;
}

/// Hands over the content of the current entry in pieces.
template <class Take>
void each_piece(archive* a, const std::string& name, Take take) {
  std::string buffer(std::size_t{1} << 16, '\0');
  for (;;) {
    const auto n = archive_read_data(a, buffer.data(), buffer.size());
    if (n < 0) refuse(name, reason(a));
    if (n == 0) return;
    take(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)));
  }
}

/// The name without "./" in front and "/" behind.
std::string safe_name(archive_entry* entry, const std::string& archive) {
  const char* raw = archive_entry_pathname(entry);
  if (!raw) refuse(archive, "a member without a readable name");
  std::string name = raw;
  while (name.starts_with("./")) name.erase(0, 2);
  while (name.ends_with('/') && name.size() > 1) name.pop_back();
  const auto parts = split(name, '/');
  const bool outside = std::string_view(raw).starts_with('/') || name.starts_with('/') ||
                       name.find('\\') != std::string::npos ||
                       std::find(parts.begin(), parts.end(), "..") != parts.end();
  if (outside)
    refuse(archive,
           "member " + backquoted(printable(raw)) + " points outside the archive; only relative paths are accepted");
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (control || !is_utf8(name))
    refuse(archive, "member " + backquoted(printable(raw)) + " has no name that can be shown");
  return name;
}

class Unpacker {
 public:
  Unpacker(const std::string& name, const UnpackRule& rule, const fs::path& into)
      : name_(name), rule_(rule), into_(into) {}

  void read(std::string_view bytes, Shape shape) {
    const auto reader = open(bytes, name_, shape);
    archive_entry* entry = nullptr;
    while (next(reader.get(), &entry, name_)) member(reader.get(), entry);
  }
  const Unpacked& done() const { return done_; }

 private:
  void member(archive* a, archive_entry* entry) {
    auto member = safe_name(entry, name_);
    if (archive_entry_filetype(entry) == AE_IFDIR) return;
    const auto root = rule_.root.empty() ? std::string() : rule_.root + "/";
    if (!member.starts_with(root)) return;
    member.erase(0, root.size());
    const auto fits = [&](const std::string& pattern) { return glob_fits(member, pattern); };
    if (!std::any_of(rule_.members.begin(), rule_.members.end(), fits)) return;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) || archive_entry_symlink(entry))
      refuse(name_, "member " + backquoted(member) + " is a link or a device; only plain files are accepted");
    if (archive_entry_is_encrypted(entry)) refuse(name_, "member " + backquoted(member) + " is encrypted");
    if (++done_.files > rule_.most_files)
      refuse(name_, "more than " + count(rule_.most_files, "file") + " in one package");
    write(a, member);
  }

  void write(archive* a, const std::string& member) {
    const auto path = into_ / member;
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    const int file = failed ? -1 : ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) {
      const bool again =
          failed ? failed == std::errc::not_a_directory || failed == std::errc::file_exists : errno == EEXIST;
      if (again) refuse(name_, "member " + backquoted(member) + " stands twice, or is a file and a folder");
      throw Error("cannot write " + path.string() + ": " + (failed ? failed.message() : std::strerror(errno)));
    }
    const std::unique_ptr<const int, void (*)(const int*)> closing(&file, [](const int* f) { ::close(*f); });
    each_piece(a, name_, [&](std::string_view piece) {
      done_.bytes += piece.size();
      if (done_.bytes > rule_.most_bytes)
        refuse(name_, "more than " + bytes_text(static_cast<double>(rule_.most_bytes)) + " unpacked");
      while (!piece.empty()) {
        const auto n = ::write(file, piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Error("cannot write " + path.string() + ": " + std::strerror(errno));
        piece.remove_prefix(static_cast<std::size_t>(n));
      }
    });
  }

  const std::string& name_;
  const UnpackRule& rule_;
  const fs::path& into_;
  Unpacked done_;
};

/// The bytes of data.tar.* inside a Debian package.
std::string data_of_deb(std::string_view bytes, const std::string& name) {
  const auto reader = open(bytes, name, Shape::ar);
  archive_entry* entry = nullptr;
  while (next(reader.get(), &entry, name)) {
    if (!safe_name(entry, name).starts_with("data.tar")) continue;
    std::string data;  // a part of the archive, so not larger than it
    each_piece(reader.get(), name, [&](std::string_view piece) { data += piece; });
    return data;
  }
  refuse(name, "a Debian package without data.tar");
}

bool glob_fits(std::string_view name, std::string_view pattern, std::size_t& steps) {
  if (++steps > 100000) return false;
  if (pattern.empty()) return name.empty();
  if (!pattern.starts_with('*'))
    return !name.empty() && name.front() == pattern.front() && glob_fits(name.substr(1), pattern.substr(1), steps);
  const bool crosses = pattern.starts_with("**");
  const auto rest = pattern.substr(crosses ? 2 : 1);
  for (std::size_t n = 0; n <= name.size(); ++n) {
    if (glob_fits(name.substr(n), rest, steps)) return true;
    if (n < name.size() && name[n] == '/' && !crosses) return false;
  }
  return false;
}

}  // namespace

bool glob_fits(std::string_view name, std::string_view pattern) {
  std::size_t steps = 0;
  return glob_fits(name, pattern, steps);
}

Unpacked unpack(std::string_view archive, const std::string& name, const UnpackRule& rule, const fs::path& into) {
  Unpacker unpacker(name, rule, into);
  if (rule.registry == "pypi") {
    unpacker.read(archive, Shape::zip);
  } else if (rule.registry == "npm") {
    unpacker.read(archive, Shape::tar_gz);
  } else if (rule.registry == "deb") {
    unpacker.read(data_of_deb(archive, name), Shape::tar);
  } else {
    throw Error("registry " + backquoted(rule.registry) + " is unknown; there are `deb`, `npm` and `pypi`",
                Exit::usage);
  }
  if (unpacker.done().files == 0)
    refuse(name, "no member below " + backquoted(rule.root) + " fits " + listed(rule.members));
  return unpacker.done();
}

}  // namespace xp::program
