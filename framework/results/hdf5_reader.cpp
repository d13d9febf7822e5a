#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "results/hdf5.h"
#include "results/hdf5_handle.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using namespace detail;

constexpr std::uint64_t kBestDeflate = 1100;  // deflate reaches 1032:1 at most
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 36;

}  // namespace

struct Hdf5Reader::Impl {
  fs::path path;
  Handle file;

  [[noreturn]] void fail(const std::string& place, const std::string& why) const {
    throw Error("result file " + backquoted(path.string()) + ", " + backquoted(printable(place)) + ": " + why,
                Exit::data);
  }

  // A file is replaced whole and never changed, so what was found once holds; thousands of small data sets lie side
  // by side, and each search from the root would cost more than reading them.
  mutable std::set<std::string> found;  ///< places that hard links lead to
  mutable std::string open_folder;
  mutable Handle open_group;

  /// The group that a place lies in, which must be a found one, and its name there; not ok if it is no group.
  std::pair<hid_t, std::string> within(const std::string& place) const {
    const auto slash = place.find_last_of('/');
    auto folder = place.substr(0, slash);
    if (folder.empty()) return {file, place};
    if (folder != open_folder) {
      open_group = Handle(H5Gopen2(file, folder.c_str(), H5P_DEFAULT), H5Gclose);
      open_folder = open_group.ok() ? std::move(folder) : std::string();
    }
    return {open_group, place.substr(slash + 1)};
  }

  // True if each link on the way is a hard link; other kinds lead out of the file.
  bool exists(const std::string& place) const {
    for (std::size_t at = 1; at < place.size();) {
      auto end = place.find('/', at);
      if (end == std::string::npos) end = place.size();
      at = end + 1;
      const auto part = place.substr(0, end);
      if (found.contains(part)) continue;
      const auto [group, name] = within(part);
      if (group < 0 || H5Lexists(group, name.c_str(), H5P_DEFAULT) <= 0) return false;
      H5L_info_t info;
      if (H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT) < 0) fail(part, reason());
      if (info.type != H5L_TYPE_HARD) fail(part, "it is a link to elsewhere; results have hard links only");
      found.insert(part);
    }
    return true;
  }

  struct Data {
    Handle set, type;
    std::size_t n = 0;
  };

  Data open(const std::string& place, H5T_class_t wanted, std::string_view right, int rank) const {
    if (!exists(place)) fail(place, "it is missing");
    Data out;
    const auto [group, name] = within(place);
    out.set = Handle(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!out.set.ok()) fail(place, reason());
    out.type = Handle(H5Dget_type(out.set), H5Tclose);
    const Handle space(H5Dget_space(out.set), H5Sclose);
    const Handle layout(H5Dget_create_plist(out.set), H5Pclose);
    if (!out.type.ok() || !space.ok() || !layout.ok()) fail(place, reason());
    if (H5Tget_class(out.type) != wanted || H5Sget_simple_extent_ndims(space) != rank)
      fail(place, "it is not " + std::string(right));
    const auto n = H5Sget_simple_extent_npoints(space);
    const auto kind = H5Pget_layout(layout);
    if (n < 0 || (kind != H5D_COMPACT && kind != H5D_CONTIGUOUS && kind != H5D_CHUNKED) ||
        (kind == H5D_CONTIGUOUS && H5Pget_external_count(layout) != 0))
      fail(place, "its data does not lie in the file");
    out.n = static_cast<std::size_t>(n);
    check_size(place, out, kind == H5D_CHUNKED);
    return out;
  }

  void check_size(const std::string& place, const Data& data, bool packed) const {
    const std::uint64_t one = H5Tget_size(data.type), stored = H5Dget_storage_size(data.set);
    const std::uint64_t most = packed ? stored * kBestDeflate : stored;
    std::error_code failed;
    if (one == 0 || data.n > kMostBytes / one || stored > fs::file_size(path, failed) || data.n * one > most)
      fail(place, "it states " + std::to_string(data.n) + " values, which its " + std::to_string(stored) +
                      " bytes cannot hold");
  }

  template <class T>
  std::vector<T> numbers(const std::string& place, H5T_class_t kind, hid_t memory, std::string_view right,
                         int rank) const {
    const auto data = open(place, kind, right, rank);
    std::vector<T> out(data.n);
    if (data.n > 0 && H5Dread(data.set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0) fail(place, reason());
    return out;
  }

  std::vector<std::string> texts(const std::string& place, int rank,
                                 std::size_t most = std::numeric_limits<std::size_t>::max()) const {
    const auto data = open(place, H5T_STRING, "text", rank);
    const hsize_t n = std::min(data.n, most), start = 0;
    std::vector<std::string> out(n);
    if (n == 0) return out;
    Handle memory, part;
    if (n < data.n) {
      memory = Handle(H5Screate_simple(1, &n, nullptr), H5Sclose), part = Handle(H5Dget_space(data.set), H5Sclose);
      if (!memory.ok() || !part.ok() || H5Sselect_hyperslab(part, H5S_SELECT_SET, &start, nullptr, &n, nullptr) < 0)
        fail(place, reason());
    }
    const auto read = [&](hid_t type, void* cells) {
      const hid_t to = memory.ok() ? hid_t(memory) : H5S_ALL, from = part.ok() ? hid_t(part) : H5S_ALL;
      if (H5Dread(data.set, type, to, from, H5P_DEFAULT, cells) < 0) fail(place, reason());
    };
    if (H5Tis_variable_str(data.type) > 0) {
      std::vector<char*> cells(n, nullptr);
      read(text_type(H5T_VARIABLE), cells.data());
      for (std::size_t i = 0; i < n; ++i) {
        if (cells[i]) out[i] = cells[i];
        H5free_memory(cells[i]);
      }
    } else {
      const auto size = H5Tget_size(data.type);
      std::string cells(size * n, '\0');
      read(data.type, cells.data());
      for (std::size_t i = 0; i < n; ++i) {
        out[i] = cells.substr(i * size, size);
        out[i].resize(out[i].find_last_not_of('\0') + 1);
      }
    }
    if (H5Aexists(data.set, "coding") > 0)
      for (auto& one : out) one = hdf5_name_back(one);
    return out;
  }

  Handle attribute_space_checked(hid_t attribute, const std::string& place) const {
    Handle space(H5Aget_space(attribute), H5Sclose);
    if (!space.ok() || H5Sget_simple_extent_npoints(space) != 1) fail(place, "it is not one value");
    return space;
  }
};

Hdf5Reader::Hdf5Reader(const fs::path& file) : impl_(std::make_unique<Impl>()) {
  const Lock lock(library());
  quiet();
  impl_->path = file;
  std::error_code failed;
  if (!fs::is_regular_file(file, failed))
    throw Error("cannot read " + backquoted(file.string()) + ": " + (failed ? failed.message() : "it is no file"),
                Exit::data);
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);  // files are replaced whole; network file systems may have no locks
#endif
  impl_->file = Handle(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!impl_->file.ok())
    throw Error(backquoted(file.string()) + " is damaged or no HDF5 file: " + reason(), Exit::data);
}

Hdf5Reader::~Hdf5Reader() {
  const Lock lock(library());
  impl_.reset();
}

bool Hdf5Reader::has(const std::string& path) const {
  const Lock lock(library());
  return impl_->exists(path);
}

std::vector<std::string> Hdf5Reader::children(const std::string& path) const {
  const Lock lock(library());
  if (!impl_->exists(path)) impl_->fail(path, "it is missing");
  const Handle group(H5Gopen2(impl_->file, path.c_str(), H5P_DEFAULT), H5Gclose);
  H5G_info_t info;
  if (!group.ok() || H5Gget_info(group, &info) < 0) impl_->fail(path, reason());
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto size = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (size < 0) impl_->fail(path, reason());
    std::string name(static_cast<std::size_t>(size) + 1, '\0');
    if (H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT) < 0)
      impl_->fail(path, reason());
    name.pop_back();
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<double> Hdf5Reader::reals(const std::string& path) const {
  const Lock lock(library());
  return impl_->numbers<double>(path, H5T_FLOAT, H5T_NATIVE_DOUBLE, "a list of reals", 1);
}

std::vector<std::int64_t> Hdf5Reader::integers(const std::string& path) const {
  const Lock lock(library());
  return impl_->numbers<std::int64_t>(path, H5T_INTEGER, H5T_NATIVE_INT64, "a list of integers", 1);
}

std::vector<std::string> Hdf5Reader::texts(const std::string& path) const {
  const Lock lock(library());
  return impl_->texts(path, 1);
}

std::vector<std::string> Hdf5Reader::texts(const std::string& path, std::size_t most) const {
  const Lock lock(library());
  return impl_->texts(path, 1, most);
}

double Hdf5Reader::real(const std::string& path) const {
  const Lock lock(library());
  return impl_->numbers<double>(path, H5T_FLOAT, H5T_NATIVE_DOUBLE, "a real", 0).at(0);
}

std::int64_t Hdf5Reader::integer(const std::string& path) const {
  const Lock lock(library());
  return impl_->numbers<std::int64_t>(path, H5T_INTEGER, H5T_NATIVE_INT64, "an integer", 0).at(0);
}

std::string Hdf5Reader::text(const std::string& path) const {
  const Lock lock(library());
  return impl_->texts(path, 0).at(0);
}

std::map<std::string, std::string> Hdf5Reader::text_attributes(const std::string& path) const {
  const Lock lock(library());
  if (!impl_->exists(path)) impl_->fail(path, "it is missing");
  const auto [group, own] = impl_->within(path);
  const Handle object(H5Oopen(group, own.c_str(), H5P_DEFAULT), H5Oclose);
  H5O_info_t info;
  if (!object.ok() || H5Oget_info(object, &info) < 0) impl_->fail(path, reason());
  std::map<std::string, std::string> out;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Handle one(H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    const Handle type(one.ok() ? H5Aget_type(one) : -1, H5Tclose);
    if (!type.ok()) impl_->fail(path, reason());
    const auto size = H5Aget_name(one, 0, nullptr);
    std::string name(static_cast<std::size_t>(std::max<ssize_t>(size, 0)) + 1, '\0');
    if (H5Aget_name(one, name.size(), name.data()) < 0) impl_->fail(path, reason());
    name.pop_back();
    if (H5Tis_variable_str(type) <= 0) continue;
    impl_->attribute_space_checked(one, path + "@" + name);
    char* value = nullptr;
    if (H5Aread(one, text_type(H5T_VARIABLE), &value) < 0) impl_->fail(path + "@" + name, reason());
    out[name] = value ? value : "";
    H5free_memory(value);
  }
  return out;
}

std::int64_t Hdf5Reader::integer_attribute(const std::string& path, const std::string& name) const {
  const Lock lock(library());
  if (!impl_->exists(path)) impl_->fail(path, "it is missing");
  const Handle one(H5Aopen_by_name(impl_->file, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const Handle type(one.ok() ? H5Aget_type(one) : -1, H5Tclose);
  if (!type.ok() || H5Tget_class(type) != H5T_INTEGER) impl_->fail(path, "it has no integer " + backquoted(name));
  impl_->attribute_space_checked(one, path + "@" + name);
  std::int64_t value = 0;
  if (H5Aread(one, H5T_NATIVE_INT64, &value) < 0) impl_->fail(path + "@" + name, reason());
  return value;
}

std::uint64_t Hdf5Reader::address(const std::string& path) const {
  const Lock lock(library());
  H5O_info_t info;
  if (!impl_->exists(path) || H5Oget_info_by_name(impl_->file, path.c_str(), &info, H5P_DEFAULT) < 0)
    impl_->fail(path, "it is missing");
  return info.addr;
}

}  // namespace xp
