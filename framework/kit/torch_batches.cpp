#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"

namespace xp {

void check_pairs(const Batch& batch, std::string_view reader) {
  const auto groups = batch.group_id.contiguous(), samples = batch.sample_id.contiguous();
  const auto *group = groups.const_data_ptr<std::int64_t>(), *sample = samples.const_data_ptr<std::int64_t>();
  for (std::int64_t at = 0, size = 1; at < batch.items(); at += size) {
    for (size = 1; at + size < batch.items() && group[at + size] == group[at] && sample[at + size] != sample[at];)
      ++size;
    if (size != 2)
      throw Error(std::string(reader) + " reads pairs, and group " + std::to_string(group[at]) + " of the data has " +
                  count(static_cast<std::size_t>(size), "text"));
  }
}

at::Tensor segments_of(const Batch& batch) {
  const auto column = batch.columns().find("segment");
  const auto* dense = column == batch.columns().end() ? nullptr : std::get_if<at::Tensor>(&column->second);
  return dense ? *dense : at::Tensor();
}

at::Tensor first_of_words(const at::Tensor& word) {
  const auto before = ops::constant_pad_nd(word, {1, -1}, -1);
  return word.ge(0).logical_and(word.ne(before));
}

}  // namespace xp
