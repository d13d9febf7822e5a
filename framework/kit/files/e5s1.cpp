#include "kit/files/e5s1.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/byte_reader.h"
#include "kit/files/named.h"

namespace xp {
namespace {

constexpr std::int32_t kBlock = 32;

std::int32_t positive(ByteReader& reader, std::string_view what) {
  const auto n = reader.number<std::int32_t>(what);
  if (n <= 0) reader.refuse(std::string(what) + " is " + std::to_string(n));
  return n;
}

E5s1Header read_header(ByteReader& reader) {
  E5s1Header header;
  header.hidden = positive(reader, "the hidden size");
  header.layers = positive(reader, "the number of layers");
  header.heads = positive(reader, "the number of heads");
  header.feed_forward = positive(reader, "the size of the feed-forward layer");
  header.vocabulary = positive(reader, "the size of the vocabulary");
  header.positions = positive(reader, "the number of positions");
  header.types = positive(reader, "the number of types");
  if (header.hidden % header.heads != 0)
    reader.refuse("the hidden size " + std::to_string(header.hidden) + " is no multiple of its " +
                  std::to_string(header.heads) + " heads");
  header.layer_norm_epsilon = reader.number<float>("the epsilon");
  if (!std::isfinite(header.layer_norm_epsilon) || header.layer_norm_epsilon < 0)
    reader.refuse("the epsilon is no number >= 0");
  if (const auto block = positive(reader, "the block size"); block != kBlock)
    reader.refuse("its blocks have " + std::to_string(block) + " numbers instead of " + std::to_string(kBlock));
  return header;
}

// A map from code points to code points, which only approximates the tokenizer's own: read for its size only.
void skip_normalizer(ByteReader& reader) {
  const auto entries = reader.number<std::int32_t>("the number of normalizer entries");
  const auto bytes = reader.number<std::uint32_t>("the size of the normalizer");
  if (entries < 0 || static_cast<std::uint64_t>(entries) * 5 > bytes)
    reader.refuse("its normalizer claims " + std::to_string(entries) + " entries in " + std::to_string(bytes) +
                  " bytes");
  reader.take(bytes, "the normalizer");
}

E5s1Tensor read_tensor(ByteReader& reader, const std::string& name, std::span<const std::byte> file) {
  const auto quoted = "the tensor " + backquoted(printable(name));
  const auto type = reader.number<std::uint8_t>("the type of a tensor");
  if (type > 1) reader.refuse(quoted + " has the type " + std::to_string(type) + "; 0 is F32, 1 is Q4_0");
  E5s1Tensor tensor;
  tensor.type = type == 0 ? GgmlType::f32 : GgmlType::q4_0;
  tensor.count = reader.number<std::uint32_t>("the size of a tensor");
  const auto offset = reader.number<std::uint64_t>("the offset of a tensor"),
             bytes = reader.number<std::uint64_t>("the bytes of a tensor");
  const auto& layout = ggml_layout(tensor.type);
  if (tensor.count % layout.block != 0 || bytes != std::uint64_t{tensor.count} / layout.block * layout.bytes)
    reader.refuse(quoted + " claims " + std::to_string(bytes) + " bytes for " + std::to_string(tensor.count) +
                  " numbers of type " + std::string(layout.name));
  if (offset > file.size() || bytes > file.size() - offset)
    reader.refuse(quoted + " claims " + std::to_string(bytes) + " bytes from " + std::to_string(offset) + " of " +
                  std::to_string(file.size()));
  tensor.data = file.subspan(offset, bytes);
  return tensor;
}

void check_places(const ByteReader& reader, const std::map<std::string, E5s1Tensor>& tensors,
                  const std::byte* start) {
  std::vector<const std::pair<const std::string, E5s1Tensor>*> order;
  for (const auto& entry : tensors)
    if (!entry.second.data.empty()) order.push_back(&entry);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.data.data() < b->second.data.data(); });
  std::uint64_t end = reader.place();
  std::string before = "the header";
  for (const auto* entry : order) {
    const auto begin = static_cast<std::uint64_t>(entry->second.data.data() - start);
    if (begin < end) reader.refuse("the tensor " + backquoted(printable(entry->first)) + " overlaps " + before);
    end = begin + entry->second.data.size();
    before = backquoted(printable(entry->first));
  }
}

}  // namespace

E5s1File::E5s1File(const std::filesystem::path& file) : map_(file) {
  ByteReader reader(map_.bytes(), file.string() + " is not a readable E5S1 file");
  if (map_.size() < 4 || reader.text(4, "the mark") != "E5S1") reader.refuse("it does not start with E5S1");
  if (const auto version = reader.number<std::uint32_t>("the version"); version != 1)
    reader.refuse("its version is " + std::to_string(version) + "; version 1 can be read");
  header_ = read_header(reader);

  const auto count = static_cast<std::uint64_t>(positive(reader, "the number of pieces"));
  for (auto* id : {&header_.bos, &header_.eos, &header_.pad, &header_.unk}) {
    *id = reader.number<std::int32_t>("a reserved id");
    if (*id < 0 || static_cast<std::uint64_t>(*id) >= count)
      reader.refuse("a reserved id is " + std::to_string(*id) + " of " + std::to_string(count) + " pieces");
  }
  if (count > static_cast<std::uint64_t>(header_.vocabulary))
    reader.refuse("it has " + std::to_string(count) + " pieces for a vocabulary of " +
                  std::to_string(header_.vocabulary));
  const auto bytes = reader.number<std::uint64_t>("the size of all pieces");
  reader.possible(count, 8, "pieces");
  std::vector<std::uint32_t> offsets(count + 1);
  std::memcpy(offsets.data(), reader.take(offsets.size() * 4, "the offsets of pieces").data(), offsets.size() * 4);
  scores_.resize(count);
  std::memcpy(scores_.data(), reader.take(count * 4, "the scores of pieces").data(), count * 4);
  const auto text = reader.text(bytes, "the pieces");
  if (offsets.front() != 0 || offsets.back() != bytes || !std::is_sorted(offsets.begin(), offsets.end()))
    reader.refuse("the offsets of pieces do not ascend from 0 to " + std::to_string(bytes));
  pieces_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!std::isfinite(scores_[i])) reader.refuse("the score of piece " + std::to_string(i) + " is no number");
    pieces_.push_back(text.substr(offsets[i], offsets[i + 1] - offsets[i]));
  }

  skip_normalizer(reader);
  const auto tensors = static_cast<std::uint64_t>(positive(reader, "the number of tensors"));
  for (std::uint64_t i = 0, n = reader.possible(tensors, 23, "tensors"); i < n; ++i) {
    const std::string name(reader.text(reader.number<std::uint16_t>("the length of a name"), "the name of a tensor"));
    if (name.empty() || !is_utf8(name)) reader.refuse("the name of a tensor is empty or not UTF-8");
    if (!tensors_.emplace(name, read_tensor(reader, name, map_.bytes())).second)
      reader.refuse("it has the tensor " + backquoted(printable(name)) + " twice");
  }
  check_places(reader, tensors_, map_.bytes().data());
}

const E5s1Tensor& E5s1File::at(const std::string& name) const { return named_tensor(tensors_, name, map_.path()); }

}  // namespace xp
