#pragma once
// Tokenizers whose fitting sees of a corpus only how often each word occurs.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kit/subword_encoder.h"
#include "kit/word_counts.h"

namespace xp {

/// The counts can be kept: vocabularies of several sizes are fitted to the same ones.
class XP_API CountingTokenizer : public Tokenizer {
 public:
  ~CountingTokenizer() override;
  /// Throws Error (Exit::usage) if no corpus can give a vocabulary of the size asked for.
  virtual void check(const Reserve& reserve) const = 0;
  /// The settings that decide what words are: tokenizers of one type with equal rules count the same.
  virtual std::string words_rule() const = 0;
  /// As count_words() gives them, which see for errors; their texts are words of the encoders that are fitted.
  virtual std::vector<WordCount> count(const DataSource& corpus) const = 0;
  virtual std::unique_ptr<const SubwordEncoder> fit(const std::vector<WordCount>& words,
                                                    const Reserve& reserve) const = 0;
  std::unique_ptr<const Encoder> fit(const DataSource& corpus, const Reserve& reserve,
                                     const RandomStreams&) const final {
    return fit(count(corpus), reserve);
  }
};

/// Counts of a whole corpus.
struct CountedCorpus {
  std::vector<WordCount> words;
  std::int64_t documents = 0, bytes = 0;  ///< of their texts
};

/// Writes words.safetensors into the folder: "text" (all words, one behind the other), "ends" and "counts" by word.
XP_API void write_counts(const std::filesystem::path& folder, const CountedCorpus& counted);
/// Reads it; throws Error (Exit::data) if it is not what write_counts() writes.
XP_API CountedCorpus read_counts(const std::filesystem::path& folder);

}  // namespace xp
