#pragma once
// Learning which row belongs to a token's words.
#include "api/tokenizer.h"
#include "settings.h"

namespace xp::hyperofa {

using Words = std::vector<std::uint32_t>;

/// The words of each token of a vocabulary.
struct TokenWords {
  const Encoder& encoder;
  std::vector<Words> of;  ///< by id
};

class SetLearner {
 public:
  /// `vectors`: [words, dim] float, by word.
  SetLearner(const Settings& settings, at::Tensor vectors, const RandomStreams& random);

  /// Learns the rows `wanted` [tokens, width] double of `tokens`, each with at least one word. Throws Error
  /// (Exit::usage) if the loss stops being a number.
  void learn(const TokenWords& words, const std::vector<TokenId>& tokens, const at::Tensor& wanted);
  /// [tokens, width] float. Which of a token's many words are read is drawn by its text.
  at::Tensor predict(const TokenWords& words, const std::vector<TokenId>& tokens) const;

 private:
  struct Lesson {
    const TokenWords& words;
    const std::vector<TokenId>& tokens;
    at::Tensor wanted;                          // [tokens, width] float
    std::vector<std::int64_t> train, held_out;  // places in `tokens`
  };
  void split(Lesson& lesson) const;
  std::vector<std::vector<std::int64_t>> batches(const Lesson& lesson, std::int64_t epoch) const;
  at::Tensor loss(const Lesson& lesson, const std::vector<std::int64_t>& places, std::int64_t epoch) const;
  at::Tensor held_out(const Lesson& lesson) const;
  void tell(const Lesson& lesson, std::int64_t epoch) const;
  RandomStream stream(const TokenWords& words, TokenId token, std::string_view what, std::int64_t epoch) const;
  WordVectors word_vectors(const std::vector<Words>& sets, std::vector<std::int64_t>& order) const;

  Settings s_;
  at::Tensor vectors_;
  RandomStreams random_;
  std::optional<SetNetwork> network_;
  at::Tensor mean_, size_;  // of learnt rows by dimension, [width] float: the network speaks in these units
};

}  // namespace xp::hyperofa
