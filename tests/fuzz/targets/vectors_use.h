#pragma once
// What is done with word vectors that could be read.
#include "kit/files/word_vectors.h"
#include "target.h"

namespace xp::fuzz {

inline void use(const WordVectors& vectors) {
  constexpr std::size_t kMost = 1000;
  std::vector<float> numbers(vectors.width());
  for (std::size_t i = 0; i < std::min(vectors.size(), kMost); ++i) {
    vectors.copy(i, numbers.data());
    if (!vectors.find(vectors.word(i))) finding("a word that is there and not found");
  }
  for (const std::string_view word : {"", "W\xC3\xB6rter", "a", "\xFF\xC3", "averyveryverylongwordthatisnowhere"})
    vectors.vector(word, numbers.data());
}

}  // namespace xp::fuzz
