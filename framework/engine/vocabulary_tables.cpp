#include "engine/vocabulary_tables.h"

#include <fstream>
#include <map>

#include "api/ops.h"
#include "base/error.h"
#include "kit/files/mapped_file.h"
#include "kit/mixing.h"
#include "kit/tensors.h"

namespace xp {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{8} << 20;

/// Rows [from, from + n) of a plan. The mean of all old rows is read once, not for every block: rows that are it are
/// filled in by the caller.
MixPlan part_of(const MixPlan& plan, std::int64_t from, std::int64_t n) {
  MixPlan out(plan.source_size(), n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& row = plan.rows()[static_cast<std::size_t>(from + i)];
    const auto id = static_cast<TokenId>(i);
    if (!row.dense.empty())
      for (const auto& [role, numbers] : row.dense) out.set_dense_row(id, role, numbers, row.rule);
    else
      out.set_row(id, row.uniform ? std::vector<MixPart>{{0, 1}} : row.parts, row.rule);
    for (const auto& [role, parts] : row.role_parts) out.set_role_parts(id, role, parts);
  }
  return out;
}

class TableFile {
 public:
  explicit TableFile(std::filesystem::path file) : file_(std::move(file)), out_(file_, std::ios::binary) { check(); }

  void add(const at::Tensor& rows) {
    const auto bytes = bytes_of(rows);
    out_.write(reinterpret_cast<const char*>(bytes.data), static_cast<std::streamsize>(bytes.size));
    check();
    drop_mapped_pages(bytes.data, bytes.size);
  }
  /// All that was added, as a tensor over the map of the file.
  at::Tensor finish(std::vector<std::int64_t> shape, at::ScalarType type) {
    out_.close();
    check();
    const auto map = std::make_shared<const MappedFile>(file_);
    std::filesystem::remove(file_);
    return view_of({dtype_name(type), std::move(shape), map->bytes().data(), map->size()}, map);
  }

 private:
  void check() const {
    if (!out_) throw Error("cannot write " + file_.string() + "; is there room for another table of the vocabulary?");
  }
  std::filesystem::path file_;
  std::ofstream out_;
};

at::Tensor new_table(const MixPlan& plan, const at::Tensor& table, const std::string& role,
                     const std::filesystem::path& file) {
  const auto old = table.detach().cpu().contiguous();
  const auto width = old.size(0) ? old.numel() / old.size(0) : 0;
  const auto rows = std::max<std::int64_t>(1, kBlockBytes / std::max<std::int64_t>(1, width * old.element_size()));
  at::Tensor mean;
  TableFile out(file);
  for (std::int64_t from = 0; from < plan.target_size(); from += rows) {
    const auto n = std::min(rows, plan.target_size() - from);
    const auto block = apply_plan(part_of(plan, from, n), old, role);
    for (std::int64_t i = 0; i < n; ++i) {
      if (!plan.rows()[static_cast<std::size_t>(from + i)].uniform) continue;
      if (!mean.defined()) {
        MixPlan one(plan.source_size(), 1);
        one.set_uniform_row(0, "mean");
        mean = apply_plan(one, old, role)[0];
      }
      block[i].copy_(mean);
    }
    out.add(block);
  }
  auto shape = old.sizes().vec();
  shape[0] = plan.target_size();
  if (plan.target_size() == plan.source_size() && old.size(0) > plan.source_size()) {
    out.add(old.narrow(0, plan.source_size(), old.size(0) - plan.source_size()));
    shape[0] = old.size(0);
  }
  drop_mapped_pages(old.const_data_ptr(), old.nbytes());
  return out.finish(std::move(shape), old.scalar_type());
}

}  // namespace

Parameters vocabulary_tables(const Parameters& old, const MixPlan& plan, const std::filesystem::path& folder) {
  Parameters out;
  std::map<const void*, at::Tensor> done;  // a tied table is mixed once
  for (Param i = 0; i < old.size(); ++i) {
    const auto& info = old.info[i];
    if (!info.role.starts_with("vocab.")) continue;
    auto& made = done[old.values[i].unsafeGetTensorImpl()];
    if (!made.defined()) made = new_table(plan, old.values[i], info.role, folder / std::to_string(i));
    out.info.push_back(info), out.values.push_back(made);
  }
  if (out.size() == 0) throw Error("the model has no table of a vocabulary");
  return out;
}

}  // namespace xp
