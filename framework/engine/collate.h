#pragma once
// Examples to a batch, driven by declared fields and never by their names.
#include <vector>

#include "api/batch.h"
#include "api/transform.h"

namespace xp {

/// Fields of one axis are padded together to the longest item; `<axis>.mask` is added. Axis "": one value per item;
/// "strings": one text per item; "ragged": values and offsets. Throws Error naming field and item if lengths differ.
Batch collate(const std::vector<const Example*>& items, const std::vector<FieldSpec>& fields);

/// Tokens of an example along the axis "input".
std::int64_t length_of(const Example& example, const std::vector<FieldSpec>& fields);

}  // namespace xp
