#pragma once
// What a recipe says about skip-gram.
#include "schema/fields.h"

namespace xp::skipgram {

struct Settings {
  std::int64_t dim = 128, epochs = 3, window = 5, negatives = 5, min_count = 3, min_n = 3, max_n = 6,
               buckets = 200000;
  std::int64_t threads = 1, parallel = 2, parallel_window = 2;
  double lr = 0.05, sample = 1e-4;

  static void describe(Fields<Settings>& f);
};

}  // namespace xp::skipgram
