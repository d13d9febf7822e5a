#pragma once
// What one resolve() shares: catalogue, project root, problems, hashed files, pinned packages.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/export.h"
#include "plugin/registry.h"
#include "schema/value.h"

namespace xp::recipe {

/// A file that a recipe names, with its content.
struct FoundFile {
  std::filesystem::path path;
  std::string name;  ///< file name, part of identities; the path is none
  std::string sha256;
};

/// Stands for the digest of what is in a package that is not on this machine: marks plans that cannot run yet.
inline constexpr std::string_view kNotFetched = "not fetched: ";

/// A pinned package that a recipe names and that is not on this machine.
struct NotFetched {
  std::string digest;  ///< of what it holds; begins with kNotFetched
  std::string message;
  SourceSpan span;
  std::string hint;
};

/// Finds and hashes files and packages.
class XP_API Files {
 public:
  Files(std::filesystem::path root, const Table& document, Problems& problems);

  /// The same files and packages, mistakes going elsewhere.
  Files with(Problems& problems) const { return {*this, problems}; }

  /// Files that fit a pattern below the root or "package:NAME/member"; mistakes become problems at `span`.
  std::vector<FoundFile> matching(const std::string& pattern, const SourceSpan& span);
  /// Identity of an outside artifact, a file or a folder; and its path. Nothing, and a problem, if there is none.
  struct Outside {
    std::filesystem::path path;
    std::string digest;
  };
  std::optional<Outside> outside(const std::string& scheme, const std::string& rest, const SourceSpan& span);
  /// No mistake of the recipe until it runs.
  const std::vector<NotFetched>& not_fetched() const { return not_fetched_; }

 private:
  Files(const Files& other, Problems& problems)
      : root_(other.root_),
        sources_(other.sources_),
        shipped_read_(other.shipped_read_),
        problems_(problems),
        hashes_(other.hashes_) {}
  struct Member {
    std::filesystem::path path;
    std::string not_fetched;  ///< the digest that stands for it; empty: the file is there
  };
  std::vector<Member> in_package(const std::string& rest, const SourceSpan& span);
  std::string pinned(const std::string& package, const std::string& key);
  std::vector<std::string> packages();
  const std::string& hash(const std::filesystem::path& file);
  void read_shipped();

  std::filesystem::path root_;
  Table sources_;
  bool shipped_read_ = false;
  Problems& problems_;
  std::map<std::string, std::string> hashes_;
  std::vector<NotFetched> not_fetched_;
};

struct World {
  const Catalogue& catalogue;
  Files& files;
  Problems& problems;

  /// The component of a recipe's kind or interface, and under which interface; null if there is none.
  const ComponentInfo* find(const std::vector<std::string>& interfaces, std::string_view type) const;
  /// Reports an unknown type with the nearest, the folders that were searched and what is quarantined.
  void unknown_type(const std::vector<std::string>& interfaces, std::string_view word, const Value& type) const;
};

}  // namespace xp::recipe
