#include "kit/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/files/named.h"
#include "kit/files/strict_json.h"

namespace xp {
namespace {

using nlohmann::json;

// Larger headers are no real model; a bound keeps a hostile length from costing memory.
constexpr std::uint64_t kMostHeader = 100'000'000;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw Error(file.string() + " is not a readable safetensors file: " + what, Exit::data);
}

std::string entry_text(const std::string& name) { return "entry " + backquoted(printable(name)); }

// Nothing if the product does not fit or an axis is no length.
std::optional<std::uint64_t> numbers_in(const std::vector<std::int64_t>& shape) {
  std::uint64_t numbers = 1;
  for (const auto n : shape) {
    const auto axis = static_cast<std::uint64_t>(n);
    if (n < 0 || axis > (std::uint64_t{1} << 40)) return std::nullopt;
    if (axis > 0 && numbers > std::numeric_limits<std::uint64_t>::max() / 16 / axis) return std::nullopt;
    numbers *= axis;
  }
  return numbers;
}

TensorBytes read_entry(const std::filesystem::path& file, const std::string& name, const json& entry,
                       const std::byte* data, std::uint64_t room) {
  TensorBytes tensor;
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    refuse(file, entry_text(name) + " has no dtype, shape and data_offsets");
  if (!entry["dtype"].is_string() || !entry["shape"].is_array() || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2)
    refuse(file, entry_text(name) + " is malformed");
  tensor.dtype = entry["dtype"].get<std::string>();
  const auto one = dtype_size(tensor.dtype);
  if (one == 0) refuse(file, entry_text(name) + " has the unknown dtype " + backquoted(printable(tensor.dtype)));
  for (const auto& axis : entry["shape"]) {
    if (!axis.is_number_unsigned()) refuse(file, entry_text(name) + " has a shape that is not whole numbers");
    const auto n = axis.get<std::uint64_t>();
    tensor.shape.push_back(n > (std::uint64_t{1} << 40) ? -1 : static_cast<std::int64_t>(n));
  }
  const auto numbers = numbers_in(tensor.shape);
  if (!numbers) refuse(file, entry_text(name) + " has a shape beyond any file");
  for (const auto& offset : entry["data_offsets"])
    if (!offset.is_number_unsigned()) refuse(file, entry_text(name) + " has offsets that are not whole numbers");
  const auto begin = entry["data_offsets"][0].get<std::uint64_t>(),
             end = entry["data_offsets"][1].get<std::uint64_t>();
  if (begin > end || end > room || end - begin != *numbers * one)
    refuse(file, entry_text(name) + " needs " + std::to_string(*numbers * one) + " bytes and claims [" +
                     std::to_string(begin) + ", " + std::to_string(end) + ") of " + std::to_string(room));
  tensor.data = data + begin;
  tensor.size = end - begin;
  return tensor;
}

// The format has every byte belong to exactly one tensor: nothing hides between them, none is another's part.
void check_layout(const std::filesystem::path& file, const std::map<std::string, TensorBytes>& tensors,
                  const std::byte* data, std::uint64_t room) {
  std::vector<const std::pair<const std::string, TensorBytes>*> order;
  order.reserve(tensors.size());
  for (const auto& entry : tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.data, a->second.size) < std::pair(b->second.data, b->second.size);
  });
  std::uint64_t end = 0;
  for (const auto* entry : order) {
    const auto begin = static_cast<std::uint64_t>(entry->second.data - data);
    if (begin != end)
      refuse(file, entry_text(entry->first) + " starts at " + std::to_string(begin) +
                       " where the tensors before it " + "end at " + std::to_string(end) +
                       (begin < end ? ": they overlap" : ": bytes between are lost"));
    end = begin + entry->second.size;
  }
  if (end != room)
    refuse(file, "its tensors end at " + std::to_string(end) + " of " + std::to_string(room) + " bytes");
}

TensorBytes bytes_to_write(const std::string& name, const TensorBytes& tensor, const ReadTensor& read) {
  if (tensor.data || tensor.size == 0) return tensor;
  if (!read) throw Error("the tensor " + backquoted(name) + " has no bytes, and nothing reads them");
  auto out = read(name);
  if (out.dtype != tensor.dtype || out.shape != tensor.shape || out.size != tensor.size || !out.data)
    throw Error("the tensor " + backquoted(name) + " was read as " + out.dtype + " in " + std::to_string(out.size) +
                " bytes; the header says " + tensor.dtype + " in " + std::to_string(tensor.size));
  return out;
}

void check_tensor(const std::string& name, const TensorBytes& tensor) {
  const auto one = dtype_size(tensor.dtype);
  const auto numbers = numbers_in(tensor.shape);
  if (name == "__metadata__" || !is_utf8(name))
    throw Error("safetensors has no tensor of the name " + backquoted(printable(name)));
  if (one == 0) throw Error("safetensors has no number type " + backquoted(tensor.dtype) + " of " + backquoted(name));
  if (!numbers || *numbers * one != tensor.size)
    throw Error("the tensor " + backquoted(name) + " has " + std::to_string(tensor.size) +
                " bytes, which are not those of its shape");
}

}  // namespace

std::size_t dtype_size(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::size_t>, 15> kSizes{{{"F64", 8},
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
                                                                             {"U64", 8},
                                                                             {"F8_E4M3", 1},
                                                                             {"F8_E5M2", 1}}};
  for (const auto& [name, size] : kSizes)
    if (name == dtype) return size;
  return 0;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file, Pages pages) : map_(file, pages) {
  const auto bytes = map_.bytes();
  if (bytes.size() < 8) refuse(file, "it has " + count(bytes.size(), "byte"));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMostHeader || length > bytes.size() - 8)
    refuse(file, "its header claims " + std::to_string(length) + " of " + std::to_string(bytes.size()) + " bytes");
  const auto header = parse_strict_json(map_.text().substr(8, length),
                                        "the header of " + file.string() + " is not that of a safetensors file", 8);
  if (!header.is_object()) refuse(file, "its header is not a JSON object");
  const auto* data = bytes.data() + 8 + length;
  const auto room = bytes.size() - 8 - length;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) refuse(file, "its metadata are not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) refuse(file, "its metadata " + backquoted(printable(key)) + " are not a text");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    tensors_.emplace(name, read_entry(file, name, entry, data, room));
  }
  check_layout(file, tensors_, data, room);
}

const TensorBytes& SafetensorsFile::at(const std::string& name) const {
  return named_tensor(tensors_, name, map_.path());
}

void write_safetensors(PendingFile& file, const std::map<std::string, TensorBytes>& tensors,
                       const std::map<std::string, std::string>& metadata, const ReadTensor& read) {
  std::vector<const std::pair<const std::string, TensorBytes>*> order;
  for (const auto& entry : tensors) {
    check_tensor(entry.first, entry.second);
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->second.dtype) > dtype_size(b->second.dtype);
  });
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto* entry : order) {
    const auto& tensor = entry->second;
    header[entry->first] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.size}}};
    offset += tensor.size;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // numbers start at a multiple of 8
  const std::uint64_t length = text.size();
  file.write(&length, 8);
  file.write(text.data(), text.size());
  for (const auto* entry : order) {
    const auto bytes = bytes_to_write(entry->first, entry->second, read);
    file.write(bytes.data, bytes.size);
  }
}

void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorBytes>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  PendingFile pending(file);
  write_safetensors(pending, tensors, metadata);
  pending.sync();
  pending.publish();
  sync_path(file.parent_path().empty() ? "." : file.parent_path());
}

}  // namespace xp
