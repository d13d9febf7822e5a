#include "kit/files/word_vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/byte_reader.h"
#include "kit/files/fasttext.h"

namespace xp {
namespace {

// More dimensions than any table has; a bound for what a first line may claim.
constexpr std::size_t kMostWidth = 1 << 20;

std::string_view without_end(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}

struct Sizes {
  std::size_t words = 0, width = 0;
};

std::optional<Sizes> sizes_of(std::string_view line) {
  line = without_end(line);
  const auto space = line.find(' ');
  Sizes sizes;
  if (space == line.npos || !parse_number(line.substr(0, space), sizes.words) ||
      !parse_number(line.substr(space + 1), sizes.width))
    return std::nullopt;
  return sizes;
}

// The last `width` fields of a line from the right, since words may hold spaces; nothing if there are fewer.
std::optional<std::string_view> word_of(std::string_view line, std::size_t width,
                                        std::vector<std::string_view>& numbers) {
  numbers.resize(width);
  for (std::size_t i = width; i-- > 0;) {
    const auto space = line.rfind(' ');
    if (space == line.npos || space == 0) return std::nullopt;
    numbers[i] = line.substr(space + 1);
    line = line.substr(0, space);
  }
  return line;
}

class TextTable : public VectorTable {
 public:
  TextTable(const MappedFile& map, bool headed) : where_(map.path().string() + " is no readable table of vectors") {
    auto rest = map.text();
    std::size_t number = 0;
    std::optional<Sizes> sizes;
    if (headed) {
      sizes = sizes_of(next(rest));
      ++number;
      if (!sizes) refuse(1, "is not the numbers of words and of dimensions");
    } else {
      const auto first = without_end(rest.substr(0, rest.find('\n')));
      sizes = Sizes{0, static_cast<std::size_t>(std::count(first.begin(), first.end(), ' '))};
    }
    width = sizes->width;
    // Every number and every word takes two bytes at least.
    if (width == 0 || width > map.size() / 2 || sizes->words > map.size() / (2 * width + 1))
      refuse(1, "tells of " + std::to_string(sizes->words) + " words of " + std::to_string(width) +
                    " dimensions in " + std::to_string(map.size()) + " bytes");
    words.reserve(sizes->words);
    numbers_.reserve(sizes->words * width);
    std::vector<std::string_view> fields;
    while (!rest.empty()) {
      const auto line = without_end(next(rest));
      ++number;
      if (line.empty()) continue;
      add(line, number, fields);
    }
    if (headed && words.size() != sizes->words)
      refuse(1, "tells of " + std::to_string(sizes->words) + " words, there are " + std::to_string(words.size()));
    if (words.empty()) refuse(1, "is empty");
  }

  void copy(std::size_t i, float* out) const override {
    std::memcpy(out, numbers_.data() + i * width, width * sizeof(float));
  }

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& what) const {
    throw Error(where_ + ": line " + std::to_string(line) + " " + what, Exit::data);
  }

  static std::string_view next(std::string_view& rest) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  }

  void add(std::string_view line, std::size_t number, std::vector<std::string_view>& fields) {
    const auto word = word_of(line, width, fields);
    if (!word) refuse(number, "has not a word and " + std::to_string(width) + " numbers");
    for (const auto field : fields) {
      double value = 0;
      if (!parse_number(field, value) || !(std::abs(value) <= std::numeric_limits<float>::max()))
        refuse(number, "has " + backquoted(printable(field.substr(0, 100))) + " where a number is expected");
      numbers_.push_back(static_cast<float>(value));
    }
    words.push_back(*word);
  }

  std::string where_;
  std::vector<float> numbers_;
};

class BinaryTable : public VectorTable {
 public:
  explicit BinaryTable(const MappedFile& map) {
    ByteReader reader(map.bytes(), map.path().string() + " is no readable word2vec file");
    const auto sizes = sizes_of(reader.text_until('\n', "the first line"));
    if (!sizes || sizes->width == 0 || sizes->width > kMostWidth)
      reader.refuse("the first line is not the numbers of words and of dimensions");
    width = sizes->width;
    words.reserve(reader.possible(sizes->words, 1 + 4 * width, "words"));
    rows_.reserve(sizes->words);
    for (std::size_t i = 0; i < sizes->words; ++i) {
      auto word = reader.text_until(' ', "a word");
      // Some writers end each vector with a line.
      while (!word.empty() && word.front() == '\n') word.remove_prefix(1);
      words.push_back(word);
      rows_.push_back(reader.take(4 * width, "a vector").data());
    }
    if (reader.remaining() > 1) reader.refuse("there is more than its first line tells of");
    if (words.empty()) reader.refuse("it has no word");
  }

  void copy(std::size_t i, float* out) const override { std::memcpy(out, rows_[i], 4 * width); }

 private:
  std::vector<const std::byte*> rows_;
};

VectorFormat format_of(const MappedFile& map) {
  std::int32_t mark = 0;
  if (map.size() >= 4) std::memcpy(&mark, map.bytes().data(), 4);
  if (mark == kFasttextMark) return VectorFormat::fasttext;
  const auto text = map.text();
  const auto end = text.find('\n');
  const auto sizes = sizes_of(text.substr(0, end));
  if (!sizes || end == text.npos) return VectorFormat::glove;
  const auto second = without_end(text.substr(end + 1, text.find('\n', end + 1) - end - 1));
  std::vector<std::string_view> fields;
  double value = 0;
  const bool numbers =
      sizes->width <= second.size() / 2 && word_of(second, sizes->width, fields) &&
      std::all_of(fields.begin(), fields.end(), [&](auto field) { return parse_number(field, value); });
  return numbers ? VectorFormat::word2vec_text : VectorFormat::word2vec_binary;
}

std::unique_ptr<VectorTable> read_table(const MappedFile& map, VectorFormat format) {
  switch (format) {
    case VectorFormat::fasttext: return read_fasttext(map);
    case VectorFormat::word2vec_binary: return std::make_unique<BinaryTable>(map);
    case VectorFormat::word2vec_text: return std::make_unique<TextTable>(map, true);
    default: return std::make_unique<TextTable>(map, false);
  }
}

}  // namespace

VectorTable::~VectorTable() = default;
bool VectorTable::compose(std::string_view, float*) const { return false; }

WordVectors::WordVectors(const std::filesystem::path& file) : WordVectors(file, vector_format_of(file)) {}

WordVectors::WordVectors(const std::filesystem::path& file, VectorFormat format)
    : map_(file), table_(read_table(map_, format)), places_(table_->words.size()) {
  for (std::size_t i = 0; i < table_->words.size(); ++i) places_.emplace(table_->words[i], i);
}

std::optional<std::size_t> WordVectors::find(std::string_view word) const {
  const auto found = places_.find(word);
  return found == places_.end() ? std::nullopt : std::optional(found->second);
}

bool WordVectors::vector(std::string_view word, float* out) const {
  if (const auto found = find(word)) {
    table_->copy(*found, out);
    return true;
  }
  std::fill_n(out, width(), 0.0f);
  return table_->compose(word, out);
}

VectorFormat vector_format_of(const std::filesystem::path& file) { return format_of(MappedFile(file)); }

}  // namespace xp
