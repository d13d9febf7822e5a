#pragma once
// What reader and writer of HDF5 files share. Included by results/hdf5_*.cpp only.
#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

namespace xp::detail {

/// The library keeps global state and may have been built without locks.
inline std::recursive_mutex& library() {
  static std::recursive_mutex one;
  return one;
}
using Lock = std::lock_guard<std::recursive_mutex>;

/// What the library says of its last failure, innermost first.
inline std::string reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* to) -> herr_t {
        if (n == 0 && error->desc) *static_cast<std::string*>(to) = error->desc;
        return 0;
      },
      &text);
  return text.empty() ? "the HDF5 library failed" : text;
}

/// An identifier of the library that closes itself.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// UTF-8 of `size` bytes, or of any size if H5T_VARIABLE.
inline Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  if (size != H5T_VARIABLE) H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

/// Failures become Errors; the library prints nothing itself.
inline void quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

}  // namespace xp::detail
