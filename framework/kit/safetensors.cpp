#include "kit/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace xp {
namespace {

using nlohmann::json;

// Larger headers are no real model; a bound keeps a hostile length from costing memory.
constexpr std::uint64_t kMostHeader = 100'000'000;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw Error(file.string() + " is not a readable safetensors file: " + what, Exit::data);
}

TensorBytes read_entry(const std::filesystem::path& file, const std::string& name, const json& entry,
                       const std::byte* data, std::uint64_t room) {
  TensorBytes tensor;
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    refuse(file, "entry " + backquoted(name) + " has no dtype, shape and data_offsets");
  if (!entry["dtype"].is_string() || !entry["shape"].is_array() || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2)
    refuse(file, "entry " + backquoted(name) + " is malformed");
  tensor.dtype = entry["dtype"].get<std::string>();
  const auto one = dtype_size(tensor.dtype);
  if (one == 0) refuse(file, "entry " + backquoted(name) + " has the unknown dtype " + backquoted(tensor.dtype));
  std::uint64_t count = 1;
  for (const auto& axis : entry["shape"]) {
    if (!axis.is_number_unsigned())
      refuse(file, "entry " + backquoted(name) + " has a shape that is not whole numbers");
    const auto n = axis.get<std::uint64_t>();
    if (n > (std::uint64_t{1} << 40) || (n > 0 && count > std::numeric_limits<std::uint64_t>::max() / 16 / n))
      refuse(file, "entry " + backquoted(name) + " has a shape beyond any file");
    count *= n;
    tensor.shape.push_back(static_cast<std::int64_t>(n));
  }
  for (const auto& offset : entry["data_offsets"])
    if (!offset.is_number_unsigned())
      refuse(file, "entry " + backquoted(name) + " has offsets that are not whole numbers");
  const auto begin = entry["data_offsets"][0].get<std::uint64_t>(),
             end = entry["data_offsets"][1].get<std::uint64_t>();
  if (begin > end || end > room || end - begin != count * one)
    refuse(file, "entry " + backquoted(name) + " needs " + std::to_string(count * one) + " bytes and claims [" +
                     std::to_string(begin) + ", " + std::to_string(end) + ") of " + std::to_string(room));
  tensor.data = data + begin;
  tensor.size = end - begin;
  return tensor;
}

void write_all(int descriptor, const void* data, std::size_t size, const std::filesystem::path& file) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const auto n = ::write(descriptor, at, std::min<std::size_t>(size, std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error("cannot write " + file.string() + ": " + std::strerror(errno));
    at += n, size -= static_cast<std::size_t>(n);
  }
}

}  // namespace

std::size_t dtype_size(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::size_t>, 13> kSizes{{{"F64", 8},
                                                                             {"F32", 4},
                                                                             {"F16", 2},
                                                                             {"BF16", 2},
                                                                             {"I64", 8},
                                                                             {"I32", 4},
                                                                             {"I16", 2},
                                                                             {"I8", 1},
                                                                             {"U8", 1},
                                                                             {"BOOL", 1},
                                                                             {"U16", 2},
                                                                             {"U32", 4},
                                                                             {"U64", 8}}};
  for (const auto& [name, size] : kSizes)
    if (name == dtype) return size;
  return 0;
}

struct SafetensorsFile::Map {
  void* start = nullptr;
  std::size_t size = 0;
  ~Map() {
    if (start) ::munmap(start, size);
  }
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file) : map_(std::make_unique<Map>()), file_(file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw Error("cannot open " + file.string() + ": " + std::strerror(errno), Exit::data);
  struct stat about {};
  const bool known = ::fstat(descriptor, &about) == 0;
  map_->size = known ? static_cast<std::size_t>(about.st_size) : 0;
  if (map_->size >= 8) {
    void* start = ::mmap(nullptr, map_->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    map_->start = start == MAP_FAILED ? nullptr : start;
  }
  ::close(descriptor);
  if (!map_->start) refuse(file, "it has " + std::to_string(map_->size) + " bytes");
  const auto* bytes = static_cast<const std::byte*>(map_->start);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes, 8);
  if (length > kMostHeader || length + 8 > map_->size)
    refuse(file, "its header claims " + std::to_string(length) + " of " + std::to_string(map_->size) + " bytes");
  const auto* text = reinterpret_cast<const char*>(bytes + 8);
  const json header = json::parse(text, text + length, nullptr, false);
  if (!header.is_object()) refuse(file, "its header is not a JSON object");
  const auto room = map_->size - 8 - length;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) refuse(file, "its metadata are not an object");
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) metadata_[key] = value.get<std::string>();
      continue;
    }
    tensors_.emplace(name, read_entry(file, name, entry, bytes + 8 + length, room));
  }
}

SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;

const TensorBytes& SafetensorsFile::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, tensor] : tensors_) names.push_back(key);
  throw Error(file_.string() + " has no tensor " + backquoted(name) + "; there is " + listed(names), Exit::data);
}

void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorBytes>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.size}}};
    offset += tensor.size;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // numbers start at a multiple of 8
  const auto temporary = std::filesystem::path(file).concat(".partial");
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) throw Error("cannot write " + temporary.string() + ": " + std::strerror(errno));
  try {
    const std::uint64_t length = text.size();
    write_all(descriptor, &length, 8, temporary);
    write_all(descriptor, text.data(), text.size(), temporary);
    for (const auto& [name, tensor] : tensors) write_all(descriptor, tensor.data, tensor.size, temporary);
    if (::fsync(descriptor) != 0) throw Error("cannot sync " + temporary.string() + ": " + std::strerror(errno));
  } catch (...) {
    ::close(descriptor);
    ::unlink(temporary.c_str());
    throw;
  }
  ::close(descriptor);
  std::filesystem::rename(temporary, file);
  sync_path(file.parent_path().empty() ? "." : file.parent_path());
}

}  // namespace xp
