#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "results/hdf5.h"
#include "results/hdf5_handle.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using namespace detail;

constexpr hsize_t kChunk = 16384;     // elements: 128 kB of numbers
constexpr std::size_t kSmall = 4096;  // bytes that lie beside the description of the data
constexpr unsigned kDeflate = 4;

}  // namespace

std::string hdf5_name(std::string_view name, std::span<const std::string_view> taken) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  const bool whole = name == "." || name == ".." || std::find(taken.begin(), taken.end(), name) != taken.end();
  if (name.empty()) return "%";
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if ((whole && i == 0) || byte == '/' || byte == '%' || byte < 0x20 || byte == 0x7F) {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += name[i];
    }
  }
  return out;
}

std::string hdf5_name_back(std::string_view link) {
  if (link == "%") return {};
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < link.size(); ++i) {
    const bool coded = link[i] == '%' && i + 2 < link.size() && digit(link[i + 1]) >= 0 && digit(link[i + 2]) >= 0;
    out += coded ? static_cast<char>(digit(link[i + 1]) * 16 + digit(link[i + 2])) : link[i];
    if (coded) i += 2;
  }
  return out;
}

struct Hdf5Writer::Impl {
  Handle file, intermediate, scalar, varying;

  Impl() {
    quiet();
    // The oldest format: for newer ones H5Fget_file_image of HDF5 1.10 gives a superblock with a wrong checksum.
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access, std::size_t{1} << 16, false);  // it zeroes what it grows by, and most files are small
    file = Handle(H5Fcreate("result.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    if (!file.ok()) throw Error("cannot make a result file in memory: " + reason());
    intermediate = Handle(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(intermediate, 1);
    H5Pset_char_encoding(intermediate, H5T_CSET_UTF8);
    scalar = Handle(H5Screate(H5S_SCALAR), H5Sclose);
    varying = text_type(H5T_VARIABLE);
  }

  [[noreturn]] void fail(const std::string& path) const {
    throw Error("cannot put " + backquoted(path) + " into a result file: " + reason());
  }

  void put(const std::string& path, hid_t type, std::size_t size, std::size_t n, const void* data) const {
    const hsize_t extent = n;
    const Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
    const Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(layout, false);  // equal results, equal bytes
    if (n * size <= kSmall) {
      H5Pset_layout(layout, H5D_COMPACT);
    } else if (H5Tis_variable_str(type) <= 0) {
      const hsize_t chunk = std::clamp<hsize_t>(kChunk * 8 / size, 1, extent);
      H5Pset_chunk(layout, 1, &chunk);
      if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
        H5Pset_shuffle(layout);
        H5Pset_deflate(layout, kDeflate);
      }
    }
    const Handle set(H5Dcreate2(file, path.c_str(), type, space, intermediate, layout, H5P_DEFAULT), H5Dclose);
    if (!set.ok()) fail(path);
    if (n > 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) fail(path);
  }

  void put_one(const std::string& path, hid_t type, const void* data) const {
    const Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(layout, false);
    const Handle set(H5Dcreate2(file, path.c_str(), type, scalar, intermediate, layout, H5P_DEFAULT), H5Dclose);
    if (!set.ok() || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) fail(path);
  }

  void attribute(const std::string& path, const std::string& name, hid_t type, const void* data) const {
    const Handle object(H5Oopen(file, path.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.ok()) fail(path);
    const Handle made(H5Acreate2(object, name.c_str(), type, scalar, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (!made.ok() || H5Awrite(made, type, data) < 0) fail(path + "@" + name);
  }
};

Hdf5Writer::Hdf5Writer() {
  const Lock lock(library());
  impl_ = std::make_unique<Impl>();
}

Hdf5Writer::~Hdf5Writer() {
  const Lock lock(library());
  impl_.reset();
}

void Hdf5Writer::group(const std::string& path) {
  const Lock lock(library());
  const Handle made(H5Gcreate2(impl_->file, path.c_str(), impl_->intermediate, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!made.ok()) impl_->fail(path);
}

void Hdf5Writer::reals(const std::string& path, std::span<const double> values) {
  const Lock lock(library());
  impl_->put(path, H5T_NATIVE_DOUBLE, sizeof(double), values.size(), values.data());
}

void Hdf5Writer::integers(const std::string& path, std::span<const std::int64_t> values) {
  const Lock lock(library());
  impl_->put(path, H5T_NATIVE_INT64, sizeof(std::int64_t), values.size(), values.data());
}

void Hdf5Writer::texts(const std::string& path, std::span<const std::string> values) {
  const Lock lock(library());
  std::size_t longest = 1, sum = 0;
  bool zeros = false;
  for (const auto& one : values) {
    longest = std::max(longest, one.size());
    sum += one.size();
    zeros = zeros || one.find('\0') != std::string::npos;
  }
  // Texts with a zero byte, which C strings cannot hold, are coded as names of links are.
  std::vector<std::string> coded;
  if (zeros) {
    for (const auto& one : values) coded.push_back(hdf5_name(one));
    longest = 1, sum = 0;
    for (const auto& one : coded) longest = std::max(longest, one.size()), sum += one.size();
    values = coded;
  }
  if (values.empty() || longest * values.size() <= 4 * sum + kSmall) {
    std::string cells(longest * values.size(), '\0');
    for (std::size_t i = 0; i < values.size(); ++i) values[i].copy(&cells[i * longest], longest);
    impl_->put(path, text_type(longest), longest, values.size(), cells.data());
  } else {
    std::vector<const char*> cells;
    for (const auto& one : values) cells.push_back(one.c_str());
    impl_->put(path, impl_->varying, sizeof(hvl_t), cells.size(), cells.data());
  }
  if (zeros) text_attribute(path, "coding", "percent");
}

void Hdf5Writer::real(const std::string& path, double value) {
  const Lock lock(library());
  impl_->put_one(path, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::integer(const std::string& path, std::int64_t value) {
  const Lock lock(library());
  impl_->put_one(path, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::text(const std::string& path, std::string_view value) {
  const Lock lock(library());
  const std::string copy(value);
  if (copy.find('\0') != std::string::npos) throw Error("a text for " + backquoted(path) + " holds a zero byte");
  const char* pointer = copy.c_str();
  impl_->put_one(path, impl_->varying, &pointer);
}

void Hdf5Writer::text_attribute(const std::string& path, const std::string& name, std::string_view value) {
  const Lock lock(library());
  const std::string copy(value);
  if (copy.find('\0') != std::string::npos) throw Error("attribute " + backquoted(name) + " holds a zero byte");
  const char* pointer = copy.c_str();
  impl_->attribute(path, name, impl_->varying, &pointer);
}

void Hdf5Writer::integer_attribute(const std::string& path, const std::string& name, std::int64_t value) {
  const Lock lock(library());
  impl_->attribute(path, name, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::link(const std::string& target, const std::string& path) {
  const Lock lock(library());
  if (H5Lcreate_hard(impl_->file, target.c_str(), impl_->file, path.c_str(), impl_->intermediate, H5P_DEFAULT) < 0)
    impl_->fail(path);
}

void Hdf5Writer::save(const fs::path& file) {
  std::string image;
  {
    const Lock lock(library());
    if (H5Fflush(impl_->file, H5F_SCOPE_LOCAL) < 0) impl_->fail(file.string());
    const auto size = H5Fget_file_image(impl_->file, nullptr, 0);
    if (size < 0) impl_->fail(file.string());
    image.resize(static_cast<std::size_t>(size));
    if (H5Fget_file_image(impl_->file, image.data(), image.size()) < 0) impl_->fail(file.string());
  }
  write_file(file, image);
}

}  // namespace xp
