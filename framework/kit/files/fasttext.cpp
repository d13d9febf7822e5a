#include "kit/files/fasttext.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/byte_reader.h"

namespace xp {
namespace {

constexpr std::string_view kEndOfLine = "</s>";  // a word without n-grams
constexpr std::int32_t kSupervised = 3;
constexpr std::int64_t kMostSide = std::int64_t{1} << 40;
constexpr std::size_t kCentroids = 256;

float float_at(const std::byte* at, std::size_t i) {
  float value;
  std::memcpy(&value, at + i * sizeof value, sizeof value);
  return value;
}

/// Codes of vectors: parts of a few dimensions, each one of 256 centroids.
struct ProductQuantiser {
  std::size_t width = 0, parts = 0, part_width = 0, last_width = 0;
  const std::byte* centroids = nullptr;

  void read(ByteReader& reader) {
    const auto side = [&](const char* what) {
      const auto n = reader.number<std::int32_t>(what);
      if (n <= 0) reader.refuse(std::string(what) + " is " + std::to_string(n));
      return static_cast<std::size_t>(n);
    };
    width = side("the width of quantised vectors");
    parts = side("the number of their parts");
    part_width = side("the width of a part");
    last_width = side("the width of the last part");
    if (last_width > part_width || parts > width || (parts - 1) * part_width + last_width != width)
      reader.refuse("parts of " + std::to_string(part_width) + " make no vectors of " + std::to_string(width));
    const auto bytes = reader.possible(width, kCentroids * 4, "dimensions of centroids") * kCentroids * 4;
    centroids = reader.take(bytes, "the centroids").data();
  }

  std::size_t start_of(std::size_t part, std::size_t code) const {
    if (part + 1 == parts) return part * kCentroids * part_width + code * last_width;
    return (part * kCentroids + code) * part_width;
  }
};

class FasttextTable : public VectorTable {
 public:
  explicit FasttextTable(const MappedFile& map) {
    ByteReader reader(map.bytes(), map.path().string() + " is no readable fastText model");
    if (reader.number<std::int32_t>("the mark") != kFasttextMark) reader.refuse("it does not start with the mark");
    const auto version = reader.number<std::int32_t>("the version");
    if (version != 11 && version != 12)
      reader.refuse("its version is " + std::to_string(version) + "; versions 11 and 12 can be read");
    read_settings(reader, version);
    read_words(reader);
    quantised_ = reader.number<std::uint8_t>("whether it is quantised") != 0;
    if (quantised_)
      read_quantised(reader);
    else
      read_floats(reader);
    const auto grams = most_ == 0 ? 0 : pruned_ >= 0 ? static_cast<std::int64_t>(kept_rows_) : buckets_;
    if (rows_ < static_cast<std::int64_t>(words.size()) + grams)
      reader.refuse("its matrix has " + std::to_string(rows_) + " rows for " + std::to_string(words.size()) +
                    " words and " + std::to_string(grams) + " n-grams");
  }

  void copy(std::size_t i, float* out) const override {
    std::fill_n(out, width, 0.0f);
    add_row(i, out);
    std::size_t rows = 1;
    if (words[i] != kEndOfLine) rows += add_grams(words[i], out);
    scale(rows, out);
  }

  bool compose(std::string_view word, float* out) const override {
    const auto rows = word == kEndOfLine ? 0 : add_grams(word, out);
    if (rows > 0) scale(rows, out);
    return rows > 0;
  }

 private:
  void read_settings(ByteReader& reader, std::int32_t version) {
    const auto dimensions = reader.number<std::int32_t>("the number of dimensions");
    reader.take(5 * 4, "settings of the training");
    reader.take(4, "the loss");
    const auto model = reader.number<std::int32_t>("the kind of model");
    buckets_ = reader.number<std::int32_t>("the number of buckets");
    least_ = reader.number<std::int32_t>("the shortest n-gram");
    most_ = reader.number<std::int32_t>("the longest n-gram");
    reader.take(4 + 8, "settings of the training");
    if (version == 11 && model == kSupervised) most_ = 0;  // it stated them and did not use them
    if (dimensions <= 0 || dimensions > (1 << 20))
      reader.refuse("its vectors have " + std::to_string(dimensions) + " dimensions");
    if (least_ < 0 || most_ < 0 || most_ > 1000 || buckets_ < 0 || (most_ > 0 && buckets_ == 0))
      reader.refuse("n-grams of " + std::to_string(least_) + " to " + std::to_string(most_) + " characters in " +
                    std::to_string(buckets_) + " buckets");
    width = static_cast<std::size_t>(dimensions);
  }

  void read_words(ByteReader& reader) {
    const auto entries = reader.number<std::int32_t>("the number of entries"),
               count = reader.number<std::int32_t>("the number of words");
    const auto labels = reader.number<std::int32_t>("the number of labels");
    reader.take(8, "the number of tokens");
    pruned_ = reader.number<std::int64_t>("the number of n-grams kept");
    if (count <= 0 || labels < 0 || std::int64_t{count} + labels != entries || pruned_ < -1)
      reader.refuse("it has " + std::to_string(count) + " words and " + std::to_string(labels) + " labels in " +
                    std::to_string(entries) + " entries");
    words.reserve(reader.possible(static_cast<std::uint64_t>(count), 10, "words"));
    for (std::int32_t i = 0; i < entries; ++i) {
      const auto word = reader.text_until('\0', "a word");
      reader.take(8, "a count");
      const auto type = reader.number<std::uint8_t>("the type of an entry");
      if (type != (i < count ? 0 : 1))
        reader.refuse("entry " + std::to_string(i) + " has the type " + std::to_string(type) +
                      "; words come before labels");
      if (i < count) words.push_back(word);
    }
    if (pruned_ <= 0) return;
    kept_.reserve(reader.possible(static_cast<std::uint64_t>(pruned_), 8, "n-grams kept"));
    for (std::int64_t i = 0; i < pruned_; ++i) {
      const auto gram = reader.number<std::int32_t>("an n-gram kept"), row = reader.number<std::int32_t>("its row");
      if (gram < 0 || row < 0) reader.refuse("an n-gram kept has a negative number");
      kept_.emplace(gram, row);
      kept_rows_ = std::max(kept_rows_, static_cast<std::size_t>(row) + 1);
    }
  }

  void check_sides(const ByteReader& reader, std::int64_t columns) {
    if (rows_ <= 0 || rows_ > kMostSide || columns != static_cast<std::int64_t>(width))
      reader.refuse("its matrix is " + std::to_string(rows_) + " x " + std::to_string(columns) + " for vectors of " +
                    std::to_string(width));
  }

  void read_floats(ByteReader& reader) {
    rows_ = reader.number<std::int64_t>("the rows of the matrix");
    check_sides(reader, reader.number<std::int64_t>("the columns of the matrix"));
    const auto rows = reader.possible(static_cast<std::uint64_t>(rows_), 4 * width, "rows of the matrix");
    numbers_ = reader.take(rows * 4 * width, "the matrix").data();
  }

  void read_quantised(ByteReader& reader) {
    const bool norms = reader.number<std::uint8_t>("whether norms are apart") != 0;
    rows_ = reader.number<std::int64_t>("the rows of the matrix");
    check_sides(reader, reader.number<std::int64_t>("the columns of the matrix"));
    const auto size = reader.number<std::int32_t>("the number of codes");
    if (size < 0) reader.refuse("it has " + std::to_string(size) + " codes");
    codes_ = reader.take(static_cast<std::uint64_t>(size), "the codes").data();
    parts_.read(reader);
    if (parts_.width != width || static_cast<std::int64_t>(size) / static_cast<std::int64_t>(parts_.parts) != rows_ ||
        size % static_cast<std::int64_t>(parts_.parts) != 0)
      reader.refuse(std::to_string(size) + " codes are not " + std::to_string(parts_.parts) + " a row");
    if (!norms) return;
    norm_codes_ = reader.take(static_cast<std::uint64_t>(rows_), "the codes of norms").data();
    norms_.read(reader);
    if (norms_.width != 1) reader.refuse("its norms have " + std::to_string(norms_.width) + " dimensions");
  }

  void add_row(std::size_t row, float* out) const {
    if (!quantised_) {
      for (std::size_t j = 0; j < width; ++j) out[j] += float_at(numbers_, row * width + j);
      return;
    }
    const float norm =
        norm_codes_ ? float_at(norms_.centroids, std::to_integer<std::size_t>(norm_codes_[row])) : 1.0f;
    for (std::size_t part = 0; part < parts_.parts; ++part) {
      const auto code = std::to_integer<std::size_t>(codes_[row * parts_.parts + part]);
      const auto start = parts_.start_of(part, code);
      const auto count = part + 1 == parts_.parts ? parts_.last_width : parts_.part_width;
      for (std::size_t j = 0; j < count; ++j)
        out[part * parts_.part_width + j] += norm * float_at(parts_.centroids, start + j);
    }
  }

  /// FNV-1a over signed bytes, as fastText has it.
  static std::uint32_t hash_step(std::uint32_t hash, char byte) {
    return (hash ^ static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<signed char>(byte)))) * 16777619u;
  }

  /// Adds the rows of the n-grams of `<word>` in their order; how many.
  std::size_t add_grams(std::string_view word, float* out) const {
    const auto size = word.size() + 2;
    const auto at = [&](std::size_t i) { return i == 0 ? '<' : i + 1 == size ? '>' : word[i - 1]; };
    const auto continues = [&](std::size_t i) { return (static_cast<unsigned char>(at(i)) & 0xC0) == 0x80; };
    std::size_t rows = 0;
    for (std::size_t i = 0; i < size; ++i) {
      if (continues(i)) continue;
      std::uint32_t hash = 2166136261u;
      std::size_t j = i;
      for (std::int32_t n = 1; j < size && n <= most_; ++n) {
        do hash = hash_step(hash, at(j++));
        while (j < size && continues(j));
        if (n < least_ || (n == 1 && (i == 0 || j == size))) continue;
        const auto bucket = static_cast<std::int32_t>(hash % static_cast<std::uint32_t>(buckets_));
        if (const auto row = row_of(bucket); row >= 0) {
          add_row(words.size() + static_cast<std::size_t>(row), out);
          ++rows;
        }
      }
    }
    return rows;
  }

  /// -1 if the n-gram was pruned.
  std::int64_t row_of(std::int32_t bucket) const {
    if (pruned_ < 0) return bucket;
    const auto found = kept_.find(bucket);
    return found == kept_.end() ? -1 : found->second;
  }

  void scale(std::size_t rows, float* out) const {
    const auto factor = static_cast<float>(1.0 / static_cast<double>(rows));
    for (std::size_t j = 0; j < width; ++j) out[j] *= factor;
  }

  std::int32_t buckets_ = 0, least_ = 0, most_ = 0;
  std::int64_t pruned_ = -1, rows_ = 0;
  std::unordered_map<std::int32_t, std::int32_t> kept_;
  std::size_t kept_rows_ = 0;
  bool quantised_ = false;
  const std::byte *numbers_ = nullptr, *codes_ = nullptr, *norm_codes_ = nullptr;
  ProductQuantiser parts_, norms_;
};

}  // namespace

std::unique_ptr<VectorTable> read_fasttext(const MappedFile& map) { return std::make_unique<FasttextTable>(map); }

}  // namespace xp
