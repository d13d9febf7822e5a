#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {

FastIds::~FastIds() = default;

std::unique_ptr<const FastIds> make_fast_ids(const FastParts& parts) {
  for (const auto make : {make_fast_byte_level, make_fast_bert, make_fast_joint, make_fast_metaspace})
    if (auto out = make(parts)) return out;
  return nullptr;
}

}  // namespace xp::pipeline
