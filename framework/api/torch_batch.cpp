#include <ATen/ops/from_blob.h>

#include <span>

#include "api/batch.h"
#include "api/ops.h"
#include "base/text.h"

namespace xp {
namespace {

template <class T>
const T& column(const Batch& batch, std::string_view field, const char* kind) {
  const auto found = batch.columns().find(field);
  if (found == batch.columns().end()) {
    Strings names;
    for (const auto& [name, value] : batch.columns()) names.push_back(name);
    throw Error("no field " + backquoted(field) + " in the batch; there is " + listed(names));
  }
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error("field " + backquoted(field) + " of the batch is not " + kind);
}

}  // namespace

const at::Tensor& Batch::dense(std::string_view f) const { return column<at::Tensor>(*this, f, "dense"); }
const Ragged& Batch::ragged(std::string_view f) const { return column<Ragged>(*this, f, "ragged"); }
const Strings& Batch::strings(std::string_view f) const { return column<Strings>(*this, f, "strings"); }
const Graphs& Batch::graphs(std::string_view f) const { return column<Graphs>(*this, f, "graphs"); }

Batch Batch::select(const at::Tensor& rows) const {
  Batch out;
  const auto pick = rows.to(at::kCPU).contiguous();
  out.sample_id = sample_id.index_select(0, pick);
  out.group_id = group_id.index_select(0, pick);
  const std::span<const std::int64_t> wanted(pick.const_data_ptr<std::int64_t>(),
                                             static_cast<std::size_t>(pick.numel()));
  for (const auto& [name, column] : columns_) {
    if (const auto* tensor = std::get_if<at::Tensor>(&column))
      out.set(name, tensor->index_select(0, pick.to(tensor->device())));
    if (const auto* strings = std::get_if<Strings>(&column)) {
      Strings some;
      for (const auto row : wanted) some.push_back(strings->at(static_cast<std::size_t>(row)));
      out.set(name, std::move(some));
    }
    if (const auto* ragged = std::get_if<Ragged>(&column)) {
      std::vector<at::Tensor> parts{ragged->values.narrow(0, 0, 0)};
      std::vector<std::int64_t> offsets{0};
      for (const auto row : wanted) {
        const auto begin = ragged->offsets[row].item<std::int64_t>(),
                   end = ragged->offsets[row + 1].item<std::int64_t>();
        parts.push_back(ragged->values.narrow(0, begin, end - begin));
        offsets.push_back(offsets.back() + end - begin);
      }
      out.set(name, Ragged{ops::cat(parts), ops::tensor(offsets, at::kLong).to(ragged->offsets.device())});
    }
    if (std::holds_alternative<Graphs>(column)) throw Error("items of a batch of graphs cannot be selected");
  }
  return out;
}

Batch Batch::on(at::Device device) const {
  Batch out;
  out.sample_id = sample_id, out.group_id = group_id;
  for (const auto& [name, column] : columns_) {
    if (const auto* tensor = std::get_if<at::Tensor>(&column))
      out.set(name, tensor->to(device));
    else if (const auto* ragged = std::get_if<Ragged>(&column))
      out.set(name, Ragged{ragged->values.to(device), ragged->offsets.to(device)});
    else if (const auto* graphs = std::get_if<Graphs>(&column))
      out.set(name, Graphs{graphs->row_start.to(device), graphs->column.to(device), graphs->node_start.to(device)});
    else
      out.set(name, column);
  }
  return out;
}

}  // namespace xp
