#pragma once
// Which hidden state stands for an item.
#include "api/model.h"
#include "params.h"

namespace xp::transformer {

/// What a request pools by, the model's own way resolved.
Pool pool_of(const ForwardRequest& want, const Params& params);

/// Where the pooled state of each item stands, [items] into items * time; undefined: it is a mean. `end` is the token
/// that Pool::end looks for; an item without one has its last position. Throws Error if that needs ids and there are
/// none.
at::Tensor pooled_positions(const ForwardInput& in, Pool pool, std::int64_t end, std::int64_t items,
                            std::int64_t time);

}  // namespace xp::transformer
