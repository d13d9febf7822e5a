#pragma once
// What crosses from data to models and objectives: named columns over the same items.
#include <map>

#include "api/state.h"
#include "api/tensor.h"

namespace xp {

/// Rows of different length. Item i owns values[offsets[i] .. offsets[i + 1]).
struct Ragged {
  at::Tensor values;   // [total, ...]
  at::Tensor offsets;  // [items + 1], int64
};

/// One graph per item, joined block-diagonally. Node and edge features are Ragged columns over the same counts.
struct Graphs {
  at::Tensor row_start, column;  // CSR over all nodes: [nodes + 1], [edges]
  at::Tensor node_start;         // [items + 1]: item i owns nodes node_start[i] .. node_start[i + 1]
};

/// A table needs no alternative of its own: its cells are Ragged and Strings columns.
using Column = std::variant<at::Tensor, Ragged, Strings, Graphs>;

/// Field names are open. Per-token fields are dense [items, time]; fields of one axis share their time, and collation
/// adds `<axis>.mask`, bool [items, time], false at padding. Members of a group are adjacent and in their order.
class XP_API Batch {
 public:
  // Both [items], int64, on the CPU whatever the device of the columns.
  at::Tensor sample_id;  // stable over epochs and runs; random draws are keyed by it
  at::Tensor group_id;   // equal for what belongs together (pair, document, class)

  std::int64_t items() const { return sample_id.defined() ? sample_id.size(0) : 0; }
  bool has(std::string_view field) const { return columns_.contains(field); }
  void set(std::string name, Column column) { columns_.insert_or_assign(std::move(name), std::move(column)); }

  /// Each throws Error, naming the fields there are, if the field is missing or of another kind.
  const at::Tensor& dense(std::string_view field) const;
  const Ragged& ragged(std::string_view field) const;
  const Strings& strings(std::string_view field) const;
  const Graphs& graphs(std::string_view field) const;
  const std::map<std::string, Column, std::less<>>& columns() const { return columns_; }

  /// The items at `rows` ([n], int64) in that order; columns are copied.
  Batch select(const at::Tensor& rows) const;
  /// The same with its numbers on `device`; the ids stay.
  Batch on(at::Device device) const;

 private:
  std::map<std::string, Column, std::less<>> columns_;
};

}  // namespace xp
