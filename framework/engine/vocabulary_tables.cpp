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

/// How many rows beyond its tokens a table keeps.
std::int64_t kept_rows(const MixPlan& plan, const at::Tensor& old) {
  return plan.target_size() == plan.source_size() ? old.size(0) - plan.source_size() : 0;
}

at::Tensor new_table(const MixPlan& plan, const at::Tensor& table, const std::string& role,
                     const std::filesystem::path& file) {
  const auto old = table.detach().cpu().contiguous();
  const auto width = old.size(0) ? old.numel() / old.size(0) : 0;
  const auto rows = std::max<std::int64_t>(1, kBlockBytes / std::max<std::int64_t>(1, width * old.element_size()));
  MixedRows mixed(plan, old, role);
  TableFile out(file);
  for (std::int64_t from = 0; from < plan.target_size(); from += rows)
    out.add(mixed.rows(from, std::min(rows, plan.target_size() - from)));
  auto shape = old.sizes().vec();
  shape[0] = plan.target_size();
  if (const auto more = kept_rows(plan, old); more > 0) {
    out.add(old.narrow(0, plan.source_size(), more));
    shape[0] = old.size(0);
  }
  drop_mapped_pages(old.const_data_ptr(), old.nbytes());
  return out.finish(std::move(shape), old.scalar_type());
}

/// Each table with role "vocab.*" by `make`, tied ones once.
template <class Make>
Parameters each_table(const Parameters& old, const Make& make) {
  Parameters out;
  std::map<const void*, at::Tensor> done;
  for (Param i = 0; i < old.size(); ++i) {
    if (!old.info[i].role.starts_with("vocab.")) continue;
    auto& made = done[old.values[i].unsafeGetTensorImpl()];
    if (!made.defined()) made = make(i);
    out.info.push_back(old.info[i]), out.values.push_back(made);
  }
  if (out.size() == 0) throw Error("the model has no table of a vocabulary");
  return out;
}

}  // namespace

Parameters vocabulary_tables(const Parameters& old, const MixPlan& plan, const std::filesystem::path& folder) {
  return each_table(
      old, [&](Param i) { return new_table(plan, old.values[i], old.info[i].role, folder / std::to_string(i)); });
}

Parameters folded_tables(const Parameters& old, const MixPlan& plan, const Factorisation& factors) {
  const auto matrix = [&](const std::vector<float>& numbers, std::int64_t rows) {
    return tensor_of(numbers, {rows, std::ssize(numbers) / rows});
  };
  const auto primitives = matrix(factors.primitives, factors.rank);
  return each_table(old, [&](Param i) {
    const auto& table = old.values[i];
    if (table.dim() != 2) return apply_plan(plan, table, old.info[i].role);
    const auto coordinates = matrix(factors.coordinates, std::ssize(factors.coordinates) / factors.rank);
    const auto made = apply_plan(plan, coordinates, old.info[i].role).matmul(primitives).to(table.scalar_type());
    const auto more = kept_rows(plan, table);
    return more > 0 ? ops::cat({made, table.detach().narrow(0, plan.source_size(), more)}) : made;
  });
}

}  // namespace xp
