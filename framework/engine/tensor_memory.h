#pragma once
// Memory of large tensors: kept from step to step, on huge pages.
#include <cstddef>

namespace xp {

/// Gives LibTorch the allocator, once for the process. A training step asks for the same sizes again and again: from
/// the system each time, their pages would be cleared anew; from malloc's heap, they would be cut up by what is
/// small.
void keep_tensor_memory();

/// Gives back to the system what no tensor holds, and what malloc has left over.
void return_free_memory();

}  // namespace xp
