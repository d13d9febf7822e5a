#include "kit/files/gguf.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/byte_reader.h"
#include "kit/files/named.h"

namespace xp {
namespace {

// As many as ggml has; arrays of arrays have no use in any known file.
constexpr std::uint32_t kMostAxes = 4;
constexpr int kMostDepth = 8;
constexpr std::uint64_t kDefaultAlignment = 32;

// 0 for text and array, which have no size of their own.
std::size_t size_of(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    default: return 0;
  }
}

template <class T>
T value_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::int64_t limited(std::uint64_t n) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(n, std::numeric_limits<std::int64_t>::max()));
}

GgufValue scalar(GgufType type, const std::byte* at) {
  switch (type) {
    case GgufType::u8: return std::uint64_t{value_at<std::uint8_t>(at)};
    case GgufType::i8: return std::int64_t{value_at<std::int8_t>(at)};
    case GgufType::u16: return std::uint64_t{value_at<std::uint16_t>(at)};
    case GgufType::i16: return std::int64_t{value_at<std::int16_t>(at)};
    case GgufType::u32: return std::uint64_t{value_at<std::uint32_t>(at)};
    case GgufType::i32: return std::int64_t{value_at<std::int32_t>(at)};
    case GgufType::f32: return double{value_at<float>(at)};
    case GgufType::boolean: return value_at<std::uint8_t>(at) != 0;
    case GgufType::u64: return value_at<std::uint64_t>(at);
    case GgufType::i64: return value_at<std::int64_t>(at);
    default: return value_at<double>(at);
  }
}

GgufType read_type(ByteReader& reader, std::string_view what) {
  const auto type = reader.number<std::uint32_t>(what);
  if (type > static_cast<std::uint32_t>(GgufType::f64))
    reader.refuse(std::string(what) + " is " + std::to_string(type) + "; types are 0 to 12");
  return static_cast<GgufType>(type);
}

std::string_view read_text(ByteReader& reader, std::string_view what) {
  return reader.text(reader.number<std::uint64_t>("the length of a text"), what);
}

std::string read_name(ByteReader& reader, std::string_view what) {
  const auto name = read_text(reader, what);
  if (name.empty() || !is_utf8(name)) reader.refuse(std::string(what) + " is empty or not UTF-8");
  return std::string(name);
}

void check_booleans(const ByteReader& reader, std::span<const std::byte> values) {
  for (const auto value : values)
    if (value > std::byte{1})
      reader.refuse("a true-or-false value is " + std::to_string(std::to_integer<int>(value)) + " instead of 0 or 1");
}

GgufArray read_array(ByteReader& reader, int depth) {
  if (depth > kMostDepth) reader.refuse("lists nest deeper than " + std::to_string(kMostDepth) + " levels");
  GgufArray array;
  array.of = read_type(reader, "the type of a list");
  array.count = reader.number<std::uint64_t>("the length of a list");
  if (array.of == GgufType::text) {
    array.texts.reserve(reader.possible(array.count, 8, "texts"));
    for (std::uint64_t i = 0; i < array.count; ++i) array.texts.push_back(read_text(reader, "a text of a list"));
  } else if (array.of == GgufType::array) {
    array.arrays.reserve(reader.possible(array.count, 12, "lists"));
    for (std::uint64_t i = 0; i < array.count; ++i) array.arrays.push_back(read_array(reader, depth + 1));
  } else {
    const auto one = size_of(array.of);
    array.numbers = reader.take(reader.possible(array.count, one, "numbers") * one, "a list");
    if (array.of == GgufType::boolean) check_booleans(reader, array.numbers);
  }
  return array;
}

GgufValue read_value(ByteReader& reader) {
  const auto type = read_type(reader, "the type of a value");
  if (type == GgufType::text) return read_text(reader, "a text");
  if (type == GgufType::array) return read_array(reader, 1);
  const auto bytes = reader.take(size_of(type), "a value");
  if (type == GgufType::boolean) check_booleans(reader, bytes);
  return scalar(type, bytes.data());
}

struct Claim {
  GgufTensor tensor;
  std::uint64_t offset = 0, bytes = 0;
};

Claim read_claim(ByteReader& reader, const std::string& name) {
  Claim claim;
  const auto quoted = "the tensor " + backquoted(printable(name));
  const auto axes = reader.number<std::uint32_t>("the number of axes");
  if (axes > kMostAxes)
    reader.refuse(quoted + " has " + std::to_string(axes) + " axes; at most " + std::to_string(kMostAxes) + " exist");
  std::uint64_t numbers = 1;
  for (std::uint32_t i = 0; i < axes; ++i) {
    const auto n = reader.number<std::uint64_t>("an axis");
    if (n > (std::uint64_t{1} << 40) || (n > 0 && numbers > (std::uint64_t{1} << 56) / n))
      reader.refuse(quoted + " has a shape beyond any file");
    numbers *= n;
    claim.tensor.shape.insert(claim.tensor.shape.begin(), static_cast<std::int64_t>(n));
  }
  const auto type = reader.number<std::uint32_t>("the type of a tensor");
  const auto* layout = ggml_layout(type);
  if (!layout) {
    const auto known = ggml_type_name(type);
    reader.refuse(quoted + " has the number type " + std::to_string(type) +
                  (known.empty() ? " that nobody knows" : " (" + std::string(known) + "), which cannot be read"));
  }
  const auto row = claim.tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(claim.tensor.shape.back());
  if (row % layout->block != 0)
    reader.refuse(quoted + " has rows of " + std::to_string(row) + " numbers, which are no whole blocks of " +
                  std::string(layout->name) + " (" + std::to_string(layout->block) + ")");
  claim.tensor.type = layout->type;
  claim.tensor.count = numbers;
  claim.offset = reader.number<std::uint64_t>("the offset of a tensor");
  claim.bytes = numbers / layout->block * layout->bytes;
  return claim;
}

template <class T>
const T* held(const GgufFile& file, std::string_view key, const GgufValue* value, const char* wanted) {
  if (!value) return nullptr;
  const auto* found = std::get_if<T>(value);
  if (!found) file.refuse("its metadata " + backquoted(key) + " are not " + wanted);
  return found;
}

}  // namespace

bool GgufArray::whole_numbers() const {
  return size_of(of) > 0 && of != GgufType::f32 && of != GgufType::f64 && of != GgufType::boolean;
}

std::int64_t GgufArray::integer(std::size_t i) const {
  const auto value = scalar(of, numbers.data() + i * size_of(of));
  if (const auto* n = std::get_if<std::uint64_t>(&value)) return limited(*n);
  return std::get<std::int64_t>(value);
}

double GgufArray::real(std::size_t i) const {
  const auto value = scalar(of, numbers.data() + i * size_of(of));
  if (const auto* n = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<std::int64_t>(&value)) return static_cast<double>(*n);
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? 1 : 0;
  return std::get<double>(value);
}

GgufFile::GgufFile(const std::filesystem::path& file) : map_(file) {
  ByteReader reader(map_.bytes(), file.string() + " is not a readable GGUF file");
  if (map_.size() < 4 || reader.text(4, "the mark") != "GGUF") reader.refuse("it does not start with GGUF");
  version_ = reader.number<std::uint32_t>("the version");
  if ((version_ & 0xFFFF) == 0 && version_ != 0)
    reader.refuse("it is big-endian; gguf-convert-endian of the Python package gguf makes it little-endian");
  if (version_ != 2 && version_ != 3)
    reader.refuse("its version is " + std::to_string(version_) + "; versions 2 and 3 can be read");
  const auto tensors = reader.number<std::uint64_t>("the number of tensors");
  const auto values = reader.number<std::uint64_t>("the number of metadata");
  read_metadata(reader, reader.possible(values, 13, "metadata"));
  read_tensors(reader, reader.possible(tensors, 24, "tensors"));
}

void GgufFile::read_metadata(ByteReader& reader, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto key = read_name(reader, "a key of the metadata");
    auto value = read_value(reader);
    if (!metadata_.emplace(key, std::move(value)).second)
      reader.refuse("its metadata have the key " + backquoted(printable(key)) + " twice");
  }
}

void GgufFile::read_tensors(ByteReader& reader, std::uint64_t count) {
  std::map<std::string, Claim> claims;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto name = read_name(reader, "the name of a tensor");
    if (!claims.emplace(name, read_claim(reader, name)).second)
      reader.refuse("it has the tensor " + backquoted(printable(name)) + " twice");
  }
  const auto alignment =
      static_cast<std::uint64_t>(integer("general.alignment").value_or(static_cast<std::int64_t>(kDefaultAlignment)));
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > (1u << 30))
    reader.refuse("its alignment is " + std::to_string(alignment) + " instead of a power of two");
  if (claims.empty()) return;
  const auto start = (reader.place() + alignment - 1) / alignment * alignment;
  const auto room = start > map_.size() ? 0 : map_.size() - start;
  std::vector<std::pair<std::uint64_t, const std::pair<const std::string, Claim>*>> order;
  for (auto& entry : claims) {
    auto& claim = entry.second;
    if (claim.offset % alignment != 0 || claim.offset > room || claim.bytes > room - claim.offset)
      reader.refuse("the tensor " + backquoted(printable(entry.first)) + " needs " + std::to_string(claim.bytes) +
                    " bytes from " + std::to_string(claim.offset) + " of the " + std::to_string(room) +
                    " that follow, at a multiple of " + std::to_string(alignment));
    if (claim.bytes > 0) claim.tensor.data = map_.bytes().subspan(start + claim.offset, claim.bytes);
    order.emplace_back(claim.offset, &entry);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->second.bytes) < std::pair(b.first, b.second->second.bytes);
  });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i - 1].first + order[i - 1].second->second.bytes > order[i].first)
      reader.refuse("the tensors " + backquoted(printable(order[i - 1].second->first)) + " and " +
                    backquoted(printable(order[i].second->first)) + " overlap");
  for (auto& [name, claim] : claims) tensors_.emplace(name, std::move(claim.tensor));
}

const GgufTensor& GgufFile::at(const std::string& name) const { return named_tensor(tensors_, name, path()); }

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

void GgufFile::refuse(const std::string& what) const {
  throw Error(map_.path().string() + " is not a readable GGUF file: " + what, Exit::data);
}

std::optional<std::string_view> GgufFile::text(std::string_view key) const {
  const auto* value = held<std::string_view>(*this, key, find(key), "a text");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* n = std::get_if<std::uint64_t>(value)) return limited(*n);
  return *held<std::int64_t>(*this, key, value, "a whole number");
}

std::optional<double> GgufFile::real(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* n = std::get_if<std::uint64_t>(value)) return static_cast<double>(*n);
  if (const auto* n = std::get_if<std::int64_t>(value)) return static_cast<double>(*n);
  return *held<double>(*this, key, value, "a number");
}

std::optional<bool> GgufFile::flag(std::string_view key) const {
  const auto* value = held<bool>(*this, key, find(key), "true or false");
  return value ? std::optional(*value) : std::nullopt;
}

const GgufArray* GgufFile::array(std::string_view key) const {
  return held<GgufArray>(*this, key, find(key), "a list");
}

}  // namespace xp
