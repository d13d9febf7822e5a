#include "kit/counting_tokenizer.h"

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "kit/safetensors.h"

namespace xp {
namespace {

constexpr const char* kFile = "words.safetensors";

TensorBytes bytes_of(const char* dtype, const void* data, std::size_t n, std::size_t size) {
  return {dtype, {static_cast<std::int64_t>(n)}, static_cast<const std::byte*>(data), n * size};
}

// One number for each word.
std::vector<std::int64_t> numbers(const SafetensorsFile& file, const std::string& name) {
  const auto& tensor = file.at(name);
  if (tensor.dtype != "I64" || tensor.shape.size() != 1)
    throw Error("`" + name + "` is no list of integers", Exit::data);
  std::vector<std::int64_t> out(tensor.size / sizeof(std::int64_t));
  if (!out.empty()) std::memcpy(out.data(), tensor.data, tensor.size);
  return out;
}

std::int64_t number(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.metadata().find(name);
  std::int64_t out = -1;
  if (found != file.metadata().end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), out);
  if (out < 0) throw Error("its head has no number `" + name + "`", Exit::data);
  return out;
}

CountedCorpus counts_in(const SafetensorsFile& file) {
  CountedCorpus out;
  out.documents = number(file, "documents"), out.bytes = number(file, "bytes");
  const auto& text = file.at("text");
  const auto ends = numbers(file, "ends"), counts = numbers(file, "counts");
  if (text.dtype != "U8" || counts.size() != ends.size()) throw Error("its tensors do not fit together", Exit::data);
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < ends.size(); begin = ends[i++]) {
    if (ends[i] <= begin || ends[i] > static_cast<std::int64_t>(text.size) || counts[i] < 1)
      throw Error("word " + std::to_string(i) + " is damaged", Exit::data);
    out.words.push_back(
        {std::string(reinterpret_cast<const char*>(text.data) + begin, static_cast<std::size_t>(ends[i] - begin)),
         counts[i]});
  }
  return out;
}

}  // namespace

CountingTokenizer::~CountingTokenizer() = default;

void write_counts(const std::filesystem::path& folder, const CountedCorpus& counted) {
  std::string text;
  std::vector<std::int64_t> ends, counts;
  for (const auto& [word, n] : counted.words) {
    text += word;
    ends.push_back(static_cast<std::int64_t>(text.size())), counts.push_back(n);
  }
  write_safetensors(folder / kFile,
                    {{"text", bytes_of("U8", text.data(), text.size(), 1)},
                     {"ends", bytes_of("I64", ends.data(), ends.size(), sizeof(std::int64_t))},
                     {"counts", bytes_of("I64", counts.data(), counts.size(), sizeof(std::int64_t))}},
                    {{"documents", std::to_string(counted.documents)}, {"bytes", std::to_string(counted.bytes)}});
}

CountedCorpus read_counts(const std::filesystem::path& folder) {
  const auto path = folder / kFile;
  const SafetensorsFile file(path);
  try {
    return counts_in(file);
  } catch (const Error& error) {
    throw Error(backquoted(path.string()) + " holds no counts of words: " + error.what(), Exit::data);
  }
}

}  // namespace xp
