#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "base/text.h"
#include "plugin/loader.h"
#include "plugin/plugin.h"

// Boost.DLL's library_info reads the same tables but believes every size that the file states, so this reads them
// itself.

namespace xp {
namespace {

constexpr std::string_view kPrefix = "xp_plugin_abi";
// What libxp_engine brings into the process. A linker may leave the engine itself out of a plugin that calls LibTorch
// only.
constexpr std::array<std::string_view, 3> kTensorLibraries = {"libxp_engine", "libtorch", "libc10"};
constexpr std::uint64_t kMostTable = std::uint64_t{1} << 28;  ///< bytes of one symbol or string table

#if defined(__x86_64__)
constexpr std::optional<std::uint16_t> kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::optional<std::uint16_t> kMachine = EM_AARCH64;
#else
constexpr std::optional<std::uint16_t> kMachine;  // whatever dlopen accepts
#endif

/// Why a file is no library that can be tried.
struct Refusal {
  std::string reason;
};

/// Reads stretches of a file after checking that they lie within it.
class Bytes {
 public:
  explicit Bytes(const std::filesystem::path& file)
      : descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat s {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &s) != 0) {
      const int reason = errno;
      if (descriptor_ >= 0) ::close(descriptor_);
      throw Refusal{std::string("cannot be read: ") + std::strerror(reason)};
    }
    if (!S_ISREG(s.st_mode)) {
      ::close(descriptor_);
      throw Refusal{"is not a file"};
    }
    size_ = static_cast<std::uint64_t>(s.st_size);
  }
  ~Bytes() { ::close(descriptor_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  std::uint64_t size() const { return size_; }

  void read(std::uint64_t from, char* to, std::uint64_t n, std::string_view what) const {
    if (n > size_ || from > size_ - n)
      throw Refusal{"is cut short or damaged: its " + std::string(what) + " should lie at bytes " +
                    std::to_string(from) + " to " + std::to_string(from + n) + ", the file has " +
                    std::to_string(size_)};
    while (n > 0) {
      const auto got = ::pread(descriptor_, to, n, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        throw Refusal{"cannot be read: " + std::string(got < 0 ? std::strerror(errno) : "it became shorter")};
      to += got, from += static_cast<std::uint64_t>(got), n -= static_cast<std::uint64_t>(got);
    }
  }
  template <class T>
  std::vector<T> table(std::uint64_t from, std::uint64_t bytes, std::string_view what) const {
    if (bytes > kMostTable)
      throw Refusal{"is damaged: its " + std::string(what) + " claims " + std::to_string(bytes) + " bytes"};
    if (bytes > size_ || from > size_ - bytes) read(from, nullptr, bytes, what);  // throws before memory is asked for
    std::vector<T> out(bytes / sizeof(T));
    read(from, reinterpret_cast<char*>(out.data()), out.size() * sizeof(T), what);
    return out;
  }

 private:
  int descriptor_;
  std::uint64_t size_ = 0;
};

Elf64_Ehdr header_of(const Bytes& file) {
  Elf64_Ehdr head{};
  unsigned char magic[SELFMAG]{};
  if (file.size() < SELFMAG) throw Refusal{"is not a shared library: it has " + count(file.size(), "byte")};
  file.read(0, reinterpret_cast<char*>(magic), SELFMAG, "header");
  if (std::memcmp(magic, ELFMAG, SELFMAG) != 0)
    throw Refusal{"is not a shared library: it does not start with an ELF header"};
  file.read(0, reinterpret_cast<char*>(&head), sizeof head, "header");
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
      (kMachine && head.e_machine != *kMachine))
    throw Refusal{"is built for another kind of machine"};
  if (head.e_type != ET_DYN) throw Refusal{"is an ELF file but not a shared library"};
  if (head.e_shnum == 0 || head.e_shentsize != sizeof(Elf64_Shdr))
    throw Refusal{
        "has no table of sections, so its symbols cannot be read; was it stripped with `strip "
        "--strip-section-headers`?"};
  return head;
}

/// Loading a file whose segments end behind its last byte is a bus error, which no check after loading can catch.
void check_segments(const Bytes& file, const Elf64_Ehdr& head) {
  if (head.e_phentsize != sizeof(Elf64_Phdr)) throw Refusal{"is damaged: its program headers have an unknown size"};
  const std::uint64_t bytes = std::uint64_t{head.e_phnum} * sizeof(Elf64_Phdr);
  for (const auto& segment : file.table<Elf64_Phdr>(head.e_phoff, bytes, "table of segments"))
    if (segment.p_type == PT_LOAD &&
        (segment.p_filesz > file.size() || segment.p_offset > file.size() - segment.p_filesz))
      throw Refusal{"is cut short: a segment should end at byte " +
                    std::to_string(segment.p_offset + segment.p_filesz) + ", the file has " +
                    std::to_string(file.size())};
}

/// What a library offers and wants.
struct Names {
  std::vector<std::string> entries;  ///< defined symbols xp_plugin_abi*
  bool tensors = false;
};

/// The text at an offset of a table of strings; empty if the offset lies outside.
std::string_view text_at(const std::vector<char>& texts, std::uint64_t at) {
  if (at >= texts.size()) return {};
  const std::string_view rest(texts.data() + at, texts.size() - at);
  return rest.substr(0, rest.find('\0'));
}

bool is_of_tensors(std::string_view library) {
  return std::any_of(kTensorLibraries.begin(), kTensorLibraries.end(),
                     [&](std::string_view one) { return library.starts_with(one); });
}

Names names_of(const Bytes& file) {
  const auto head = header_of(file);
  const std::uint64_t bytes = std::uint64_t{head.e_shnum} * sizeof(Elf64_Shdr);
  const auto sections = file.table<Elf64_Shdr>(head.e_shoff, bytes, "table of sections");
  check_segments(file, head);
  Names found;
  for (const auto& section : sections) {
    if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC) continue;
    if (section.sh_link >= sections.size()) throw Refusal{"is damaged: its symbols name a section that is not there"};
    const auto& names = sections[section.sh_link];
    const auto texts = file.table<char>(names.sh_offset, names.sh_size, "names of symbols");
    if (section.sh_type == SHT_DYNAMIC) {
      for (const auto& entry : file.table<Elf64_Dyn>(section.sh_offset, section.sh_size, "dynamic section"))
        if (entry.d_tag == DT_NEEDED && is_of_tensors(text_at(texts, entry.d_un.d_val))) found.tensors = true;
      continue;
    }
    for (const auto& symbol : file.table<Elf64_Sym>(section.sh_offset, section.sh_size, "table of symbols"))
      if (const auto name = text_at(texts, symbol.st_name); symbol.st_shndx != SHN_UNDEF && name.starts_with(kPrefix))
        found.entries.emplace_back(name);
  }
  return found;
}

void read_entry(const std::string& symbol, LibraryLook& look) {
  const char* begin = symbol.data() + kPrefix.size();
  const char* end = symbol.data() + symbol.size();
  const auto [rest, failed] = std::from_chars(begin, end, look.abi);
  if (failed != std::errc() || rest == end || *rest != '_')
    throw Refusal{"has an entry of unknown form, " + backquoted(symbol)};
  look.plugin = true;
  look.name = std::string(rest + 1, end);
}

}  // namespace

LibraryLook look_at(const std::filesystem::path& library) {
  LibraryLook look;
  try {
    const auto [entries, tensors] = names_of(Bytes(library));
    look.tensors = tensors;
    if (entries.empty()) throw Refusal{"is not a plugin: it exports no symbol " + std::string(kPrefix) + "*"};
    read_entry(entries.front(), look);
    if (entries.size() > 1)
      throw Refusal{"has " + std::to_string(entries.size()) + " entries instead of one: " + listed(entries)};
    if (look.abi != XP_PLUGIN_ABI)
      throw Refusal{"was built for plugin ABI " + std::to_string(look.abi) + ", this program has ABI " +
                    std::to_string(XP_PLUGIN_ABI) + "; build it again against this version"};
    if (const auto stem = library.stem().string(); look.name != stem)
      throw Refusal{"names itself " + backquoted(look.name) + "; its file would have to be " +
                    backquoted(look.name + ".so") + ", not " + backquoted(library.filename().string())};
  } catch (const Refusal& refusal) {
    look.reason = refusal.reason;
  }
  return look;
}

}  // namespace xp
