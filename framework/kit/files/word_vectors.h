#pragma once
// Vectors of words in the files of fastText, word2vec and GloVe.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kit/files/mapped_file.h"

namespace xp {

enum class VectorFormat {
  fasttext,         ///< `.bin` and `.ftz`: words and n-grams, in floats or quantised
  word2vec_binary,  ///< a line with the numbers of words and of dimensions, then words and little-endian floats
  word2vec_text,    ///< such a line, then a line a word; also fastText's `.vec`
  glove,            ///< a line a word
};

/// Where the vectors come from: one for each format.
class XP_API VectorTable {
 public:
  virtual ~VectorTable();
  virtual void copy(std::size_t i, float* out) const = 0;
  /// The vector of a word that is not in the table; false if there is none.
  virtual bool compose(std::string_view word, float* out) const;

  std::vector<std::string_view> words;
  std::size_t width = 0;
};

class XP_API WordVectors {
 public:
  /// By what the file begins with.
  explicit WordVectors(const std::filesystem::path& file);
  /// Binary files stay mapped and are read when asked, texts are read at once. Throws Error (Exit::data) that names
  /// the file and the line or byte: numbers that are none, lines of other lengths, sizes that do not fit.
  WordVectors(const std::filesystem::path& file, VectorFormat format);

  std::size_t size() const { return table_->words.size(); }
  std::size_t width() const { return table_->width; }
  std::string_view word(std::size_t i) const { return table_->words[i]; }
  /// Of words that are there twice the first.
  std::optional<std::size_t> find(std::string_view word) const;
  /// The `width()` numbers of word `i`.
  void copy(std::size_t i, float* out) const { table_->copy(i, out); }
  /// The vector of any word; false and zeros if there is none. With fastText every word that has an n-gram has one:
  /// the mean over its n-grams and, if it is in the table, itself.
  bool vector(std::string_view word, float* out) const;

 private:
  MappedFile map_;
  std::unique_ptr<VectorTable> table_;
  std::unordered_map<std::string_view, std::size_t> places_;
};

/// What the file seems to be; throws Error (Exit::data) if it cannot be opened.
XP_API VectorFormat vector_format_of(const std::filesystem::path& file);

}  // namespace xp
