#pragma once
#include "kit/vocab_factors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "set_network.h"

namespace xp::hyperofa {

struct Settings {
  Network network = Network::bilstm;
  std::int64_t rank = 0, layers = 2, width = 128, max_words = 256, batch = 256, epochs = 30;
  double dropout = 0.4, lr = 1e-4, contrast = 0.1, temperature = 0.25, validation = 0.025, augment = 0.5,
         penalty = 0.01;
  bool shuffle_vectors = false;
  Fallback fallback = Fallback::random;
  TokenMatch match = TokenMatch::as_told;
  FactorScale scale = FactorScale::primitives;
  static void describe(Fields<Settings>& f);
};

}  // namespace xp::hyperofa
