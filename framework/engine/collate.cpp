#include "engine/collate.h"

#include <algorithm>
#include <span>

#include "api/ops.h"
#include "base/text.h"
#include "kit/tensors.h"

namespace xp {
namespace {

std::int64_t length(const Values& values) {
  return std::visit(
      [](const auto& v) -> std::int64_t {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, Strings>)
          return std::ssize(v);
        else
          return std::ssize(v.data);
      },
      values);
}

const Values& field_of(const Example& example, const std::string& name) {
  const auto found = example.fields.find(name);
  if (found != example.fields.end()) return found->second;
  Strings names;
  for (const auto& [key, values] : example.fields) names.push_back(key);
  throw Error("example " + std::to_string(example.sample_id) + " has no field " + backquoted(name) + "; it has " +
              listed(names));
}

template <class T>
void put(const std::vector<T>& data, at::Tensor& column, std::int64_t row, std::int64_t time) {
  std::copy(data.begin(), data.end(), column.mutable_data_ptr<T>() + row * time);
}

at::Tensor padded(const std::vector<const Example*>& items, const FieldSpec& spec, std::int64_t time) {
  const auto n = std::ssize(items);
  const bool real = std::holds_alternative<Floats>(field_of(*items.front(), spec.name));
  auto column = ops::full({n, time}, spec.pad, real ? at::kFloat : at::kLong);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& values = field_of(*items[static_cast<std::size_t>(i)], spec.name);
    if (length(values) > time)
      throw Error("field " + backquoted(spec.name) + " has " + std::to_string(length(values)) + " values where " +
                  std::to_string(time) + " fit");
    if (const auto* ints = std::get_if<Ints>(&values); ints && !real)
      put(ints->data, column, i, time);
    else if (const auto* floats = std::get_if<Floats>(&values); floats && real)
      put(floats->data, column, i, time);
    else
      throw Error("field " + backquoted(spec.name) + " holds different kinds of values in one batch");
  }
  return column;
}

Column ragged(const std::vector<const Example*>& items, const std::string& name) {
  std::vector<std::int64_t> values, offsets{0};
  for (const auto* item : items) {
    const auto& data = item->ints(name).data;
    values.insert(values.end(), data.begin(), data.end());
    offsets.push_back(std::ssize(values));
  }
  return Ragged{tensor_of(values), tensor_of(offsets)};
}

Strings texts(const std::vector<const Example*>& items, const std::string& name) {
  Strings out;
  for (const auto* item : items) {
    const auto& values = item->strings(name);
    if (values.size() != 1) throw Error("field " + backquoted(name) + " wants one text per item");
    out.push_back(values.front());
  }
  return out;
}

}  // namespace

std::int64_t length_of(const Example& example, const std::vector<FieldSpec>& fields) {
  std::int64_t longest = 0;
  for (const auto& spec : fields)
    if (spec.axis == "input") longest = std::max(longest, length(field_of(example, spec.name)));
  return longest;
}

Batch collate(const std::vector<const Example*>& items, const std::vector<FieldSpec>& fields) {
  if (items.empty()) throw Error("a batch needs items");
  Batch batch;
  const auto n = std::ssize(items);
  batch.sample_id = ops::empty({n}, at::kLong), batch.group_id = ops::empty({n}, at::kLong);
  Strings sources;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& item = *items[static_cast<std::size_t>(i)];
    batch.sample_id.mutable_data_ptr<std::int64_t>()[i] = item.sample_id;
    batch.group_id.mutable_data_ptr<std::int64_t>()[i] = item.group_id;
    sources.push_back(item.source);
  }
  batch.set("source", std::move(sources));
  std::map<std::string, std::vector<std::int64_t>> lengths;  // of each axis, per item
  for (const auto& spec : fields) {
    if (spec.axis == "strings") {
      batch.set(spec.name, texts(items, spec.name));
    } else if (spec.axis == "ragged") {
      batch.set(spec.name, ragged(items, spec.name));
    } else if (spec.axis.empty()) {
      batch.set(spec.name, padded(items, spec, 1).squeeze(1));
    } else {
      std::vector<std::int64_t> own;
      for (const auto* item : items) own.push_back(length(field_of(*item, spec.name)));
      const auto [known, fresh] = lengths.emplace(spec.axis, own);
      if (!fresh && known->second != own)
        throw Error("field " + backquoted(spec.name) + " has another length than the other fields of axis " +
                    backquoted(spec.axis));
      batch.set(spec.name, padded(items, spec, *std::max_element(own.begin(), own.end())));
    }
  }
  for (const auto& [axis, own] : lengths) {
    const auto time = *std::max_element(own.begin(), own.end());
    auto mask = ops::full({n, time}, false, at::kBool);
    for (std::int64_t i = 0; i < n; ++i)
      std::fill_n(mask.mutable_data_ptr<bool>() + i * time, own[static_cast<std::size_t>(i)], true);
    batch.set(axis + ".mask", mask);
  }
  return batch;
}

}  // namespace xp
