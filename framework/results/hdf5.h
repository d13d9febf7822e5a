#pragma once
// HDF5 files by path: the only place that calls the HDF5 library. Every mistake is an Error that names file and
// place.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// One link of a path: `/` and `%`, control characters, and names that mean something else here become %XX.
XP_API std::string hdf5_name(std::string_view name, std::span<const std::string_view> taken = {});
XP_API std::string hdf5_name_back(std::string_view link);

/// A file made in memory and put in place whole by save(). Groups on the way to a path are made.
class XP_API Hdf5Writer {
 public:
  Hdf5Writer();
  ~Hdf5Writer();
  void group(const std::string& path);
  void reals(const std::string& path, std::span<const double> values);           ///< (n), compressed if large
  void integers(const std::string& path, std::span<const std::int64_t> values);  ///< (n), compressed if large
  void texts(const std::string& path, std::span<const std::string> values);      ///< (n), UTF-8 as h5py reads it
  void real(const std::string& path, double value);
  void integer(const std::string& path, std::int64_t value);
  void text(const std::string& path, std::string_view value);
  void text_attribute(const std::string& path, const std::string& name, std::string_view value);
  void integer_attribute(const std::string& path, const std::string& name, std::int64_t value);
  void link(const std::string& target, const std::string& path);  ///< a hard link: a second path to the same object
  void save(const std::filesystem::path& file);                   ///< temporary name, synced, renamed

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads what is there; follows hard links only, and believes no size that the file's bytes could not fill.
class XP_API Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::filesystem::path& file);  ///< throws Error (Exit::data), as everything here does
  ~Hdf5Reader();
  bool has(const std::string& path) const;
  std::vector<std::string> children(const std::string& path) const;  ///< links of a group, sorted
  std::vector<double> reals(const std::string& path) const;
  std::vector<std::int64_t> integers(const std::string& path) const;
  std::vector<std::string> texts(const std::string& path) const;
  std::vector<std::string> texts(const std::string& path, std::size_t most) const;  ///< the first `most` of them
  double real(const std::string& path) const;
  std::int64_t integer(const std::string& path) const;
  std::string text(const std::string& path) const;
  std::map<std::string, std::string> text_attributes(const std::string& path) const;
  std::int64_t integer_attribute(const std::string& path, const std::string& name) const;
  std::uint64_t address(const std::string& path) const;  ///< equal for paths to the same object

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xp
