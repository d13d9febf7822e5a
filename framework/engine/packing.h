#pragma once
// Several texts in one row, none of which reads another: less padding where texts are short (Krell et al. 2021).
#include <vector>

#include "api/transform.h"
#include "engine/session.h"

namespace xp {

/// What packing adds to each row: which of its texts a token belongs to (-1: padding), and its place in that text.
inline constexpr const char* kPackedText = "packed.text";
inline constexpr const char* kPackedPosition = "packed.position";

/// The fields of rows that are packed of examples with `fields`: those of tokens and `bytes`, and what packing adds.
/// Throws Error for fields that belong to a whole example and are `read`, or that are no numbers of tokens.
std::vector<FieldSpec> packed_fields(const std::vector<FieldSpec>& fields, const Strings& read);

/// Rows of at most `length` tokens, each a group of its own; longer texts stand alone. Texts go into the first row
/// with room, longest first, so equal groups give equal rows. A row draws by its first text's sample id.
std::vector<std::vector<Example>> packed(const std::vector<std::vector<Example>>& groups,
                                         const std::vector<FieldSpec>& packed_fields, std::int64_t length);

/// The same pass where no text reads another and each begins at position 0. Throws Error if it is not over whole
/// rows, pools, or brings positions of its own.
ForwardInput within_texts(const ForwardInput& in, const ForwardRequest& want, const Batch& batch);

/// Throws Error unless the objective says that its loss stays within texts, gives("layout", "packed"), and the models
/// that are trained take masks and positions.
void check_packing(Session& session, const Objective& objective, const Registry& registry);

}  // namespace xp
