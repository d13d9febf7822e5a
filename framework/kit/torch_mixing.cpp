
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "api/ops.h"
#include "base/text.h"
#include "kit/mixing.h"
#include "kit/tensors.h"

namespace xp {
namespace {

/// Rows of a table of any number type; only those that are asked for are read.
class Rows {
 public:
  explicit Rows(const at::Tensor& table) : table_(table), width_(table.size(0) ? table.numel() / table.size(0) : 0) {}

  std::int64_t width() const { return width_; }
  void add(std::int64_t row, double weight, std::vector<double>& out) const {
    switch (table_.scalar_type()) {
      case at::kFloat: return add<float>(row, weight, out);
      case at::kDouble: return add<double>(row, weight, out);
      case at::kBFloat16: return add<at::BFloat16>(row, weight, out);
      case at::kHalf: return add<at::Half>(row, weight, out);
      default: throw Error("a vocabulary table holds no floating-point numbers");
    }
  }
  void put(const std::vector<double>& numbers, std::int64_t row) {
    switch (table_.scalar_type()) {
      case at::kFloat: return put<float>(numbers, row);
      case at::kDouble: return put<double>(numbers, row);
      case at::kBFloat16: return put<at::BFloat16>(numbers, row);
      case at::kHalf: return put<at::Half>(numbers, row);
      default: throw Error("a vocabulary table holds no floating-point numbers");
    }
  }
  /// The row as it stands, to the bit.
  void copy_from(const Rows& other, std::int64_t from, std::int64_t to) {
    const auto size = static_cast<std::size_t>(width_) * table_.element_size();
    std::memcpy(static_cast<char*>(table_.mutable_data_ptr()) + static_cast<std::size_t>(to) * size,
                static_cast<const char*>(other.table_.const_data_ptr()) + static_cast<std::size_t>(from) * size,
                size);
  }

 private:
  template <class T>
  void add(std::int64_t row, double weight, std::vector<double>& out) const {
    const auto* from = table_.const_data_ptr<T>() + row * width_;
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += weight * static_cast<double>(static_cast<Wide>(from[d]));
  }
  template <class T>
  void put(const std::vector<double>& numbers, std::int64_t row) {
    auto* to = table_.mutable_data_ptr<T>() + row * width_;
    for (std::size_t d = 0; d < numbers.size(); ++d) to[d] = static_cast<T>(numbers[d]);
  }

  at::Tensor table_;
  std::int64_t width_;
};

std::vector<double> mean_of(const Rows& rows, std::int64_t n) {
  std::vector<double> mean(static_cast<std::size_t>(rows.width()));
  for (std::int64_t j = 0; j < n; ++j) rows.add(j, 1 / static_cast<double>(n), mean);
  return mean;
}

}  // namespace

MixedRows::MixedRows(const MixPlan& plan, const at::Tensor& table, std::string_view role)
    : plan_(plan), table_(table.detach().cpu().contiguous()), role_(role) {
  if (table.size(0) < plan.source_size())
    throw Error("a table of role " + backquoted(role) + " has " + std::to_string(table.size(0)) +
                " rows, the source vocabulary " + std::to_string(plan.source_size()) + " tokens");
}

at::Tensor MixedRows::rows(std::int64_t from, std::int64_t n) {
  const Rows old(table_);
  auto shape = table_.sizes().vec();
  shape[0] = n;
  auto out = ops::empty(shape, table_.scalar_type());
  Rows to(out);
  const auto width = static_cast<std::size_t>(old.width());
  std::vector<double> numbers(width);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& row = plan_.rows()[static_cast<std::size_t>(from + i)];
    const auto name = "row " + std::to_string(from + i);
    const auto& parts = row.parts_for(role_);
    if (const auto dense = row.dense.find(role_); dense != row.dense.end()) {
      if (dense->second.size() != width)
        throw Error(name + " has " + std::to_string(dense->second.size()) + " numbers for role " + backquoted(role_) +
                    ", the table " + std::to_string(width));
      numbers.assign(dense->second.begin(), dense->second.end());
    } else if (row.uniform == 0 && parts.size() == 1 && parts.front().weight == 1) {
      to.copy_from(old, parts.front().source, i);
      continue;
    } else if (row.uniform == 0 && parts.empty()) {
      throw Error(name + " of the plan says nothing for role " + backquoted(role_));
    } else {
      numbers.assign(width, 0.0);
      if (row.uniform != 0) {
        if (mean_.empty()) mean_ = mean_of(old, plan_.source_size());
        for (std::size_t d = 0; d < width; ++d) numbers[d] = row.uniform * mean_[d];
      }
      for (const auto& part : parts) old.add(part.source, part.weight, numbers);
    }
    to.put(numbers, i);
  }
  return out;
}

at::Tensor apply_plan(const MixPlan& plan, const at::Tensor& table, std::string_view role) {
  return MixedRows(plan, table, role).rows(0, plan.target_size());
}

bool has_own_output(const Parameters& weights) {
  const auto inputs = weights.select("role:vocab.input"), outputs = weights.select("role:vocab.output");
  if (outputs.empty()) return false;
  return inputs.empty() || weights.values[outputs.front()].unsafeGetTensorImpl() !=
                               weights.values[inputs.front()].unsafeGetTensorImpl();
}

void set_output_parts(MixPlan& plan, TokenId row, const std::vector<MixPart>& parts) {
  for (const auto* role : {"vocab.output", "vocab.bias"}) plan.set_role_parts(row, role, parts);
}

namespace {

/// The new rows' mass on each source in the table that scores tokens, and whether every new row is convex.
struct Mass {
  std::vector<double> of;
  bool convex = true;
};

Mass mass_of(const MixPlan& plan, const std::vector<std::string>& copy_rules, std::string_view role) {
  Mass out{std::vector<double>(static_cast<std::size_t>(plan.source_size())), true};
  double uniform = 0;
  for (const auto& row : plan.rows()) {
    if (std::find(copy_rules.begin(), copy_rules.end(), row.rule) != copy_rules.end()) continue;
    double sum = row.uniform;
    uniform += row.uniform;
    out.convex = out.convex && row.uniform >= 0;
    for (const auto& part : row.parts_for(role)) {
      out.convex = out.convex && part.weight >= 0;
      sum += part.weight, out.of[static_cast<std::size_t>(part.source)] += part.weight;
    }
    out.convex = out.convex && row.dense.empty() && std::abs(sum - 1) < 1e-6;
  }
  for (auto& m : out.of) m += uniform / static_cast<double>(plan.source_size());
  return out;
}

/// Rows of a role as compressed sparse rows.
void put_parts(State& state, const MixPlan& plan, std::string_view role, const std::string& suffix) {
  std::vector<std::int64_t> start{0}, source;
  std::vector<float> weight;
  for (const auto& row : plan.rows()) {
    for (const auto& part : row.parts_for(role))
      source.push_back(part.source), weight.push_back(static_cast<float>(part.weight));
    start.push_back(std::ssize(source));
  }
  state.set("row_start" + suffix, Ints{start}), state.set("source" + suffix, Ints{source}),
      state.set("weight" + suffix, Floats{weight});
}

/// Rows given as numbers: their ids and, one after the other, their numbers.
void put_dense(State& state, const MixPlan& plan, const std::string& role) {
  std::vector<std::int64_t> ids;
  Floats numbers{{}, {0, 0}};
  for (std::int64_t id = 0; id < plan.target_size(); ++id) {
    const auto& row = plan.rows()[static_cast<std::size_t>(id)];
    const auto found = row.dense.find(role);
    if (found == row.dense.end()) continue;
    ids.push_back(id);
    numbers.data.insert(numbers.data.end(), found->second.begin(), found->second.end());
    numbers.shape = {std::ssize(ids), std::ssize(found->second)};
  }
  state.set("dense_row." + role, Ints{ids}), state.set("dense." + role, std::move(numbers));
}

}  // namespace

PlanReport report(const MixPlan& plan, const std::vector<std::string>& copy_rules, std::string_view scored_by) {
  PlanReport out;
  for (const auto& row : plan.rows()) {
    ++out.rules[row.rule];
    const bool copied = std::find(copy_rules.begin(), copy_rules.end(), row.rule) != copy_rules.end();
    ++(copied ? out.copied : out.made);
  }
  auto [mass, convex] = mass_of(plan, copy_rules, scored_by);
  if (convex) out.leak_bound = std::log1p(mass.empty() ? 0.0 : *std::max_element(mass.begin(), mass.end()));
  const double all = std::accumulate(mass.begin(), mass.end(), 0.0);
  const auto top = std::min<std::ptrdiff_t>(10, std::ssize(mass));
  std::partial_sort(mass.begin(), mass.begin() + top, mass.end(), std::greater<>());
  if (all > 0) out.hubness = std::accumulate(mass.begin(), mass.begin() + top, 0.0) / all;
  return out;
}

State plan_state(const MixPlan& plan) {
  State state;
  put_parts(state, plan, "", "");
  std::set<std::string> mixed, dense;
  std::vector<float> uniform;
  Strings rules, notes;
  for (const auto& row : plan.rows()) {
    for (const auto& [role, parts] : row.role_parts) mixed.insert(role);
    for (const auto& [role, numbers] : row.dense) dense.insert(role);
    uniform.push_back(static_cast<float>(row.uniform));
    rules.push_back(row.rule), notes.push_back(row.note);
  }
  for (const auto& role : mixed) put_parts(state, plan, role, "." + role);
  for (const auto& role : dense) put_dense(state, plan, role);
  state.set("rule", rules), state.set("note", notes), state.set("uniform", Floats{uniform});
  return state;
}

}  // namespace xp
