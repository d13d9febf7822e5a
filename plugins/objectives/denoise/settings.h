#pragma once
// What a recipe says about denoising, and what the tokenizer holds for it.
#include <vector>

#include "api/resources.h"
#include "schema/fields.h"

namespace xp::denoise {

using Ids = std::vector<std::int64_t>;

enum class Mode : std::uint8_t { R, S, X };

struct Settings {
  Mode mode = Mode::R;
  std::int64_t span = 3;
  double rate = 0.15;
  bool prefix = false;

  static void describe(Fields<Settings>& f);
};

struct Reserved {
  std::int64_t mode = 0, end = 0, begin = -1;  ///< begin: -1 without a tokenizer
  Ids sentinels;                               ///< all that there are

  Reserved() = default;
  Reserved(const Resources& resources, Mode which);
};

}  // namespace xp::denoise
