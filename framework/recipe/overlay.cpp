#include "recipe/overlay.h"

#include <algorithm>

#include "base/text.h"
#include "recipe/document.h"
#include "recipe/toml_reader.h"
#include "schema/schema.h"

namespace xp::recipe {
namespace {

const Table* group_of(const Table& document, std::string_view group) {
  const auto found = document.find(group);
  return found == document.end() ? nullptr : found->second.as<Table>();
}

/// An overlay as assignments in source order: one for each named table and for each dotted key.
class Flattener {
 public:
  Flattener(std::string owner, Problems& problems) : owner_(std::move(owner)), problems_(problems) {}

  std::vector<Assignment> run(const Table& overlay) {
    for (const auto* one : in_source_order(overlay)) {
      const auto& [key, value] = *one;
      if (is_path(key))
        dotted({}, key, value);
      else
        group(key, value);
    }
    return std::move(out_);
  }

 private:
  void group(const std::string& key, const Value& value) {
    if (!allowed(key, value)) return;
    const auto* table = value.as<Table>();
    if (!table) {
      problems_.error("wrong-type",
                      backquoted(key) + " of " + owner_ + " must be a table, not " + std::string(type_name(value)),
                      value.span);
      return;
    }
    for (const auto* one : in_source_order(*table)) {
      if (is_path(one->first))
        dotted({PathStep{key}}, one->first, one->second);
      else
        out_.push_back({{PathStep{key}, PathStep{one->first}}, one->second});
    }
  }

  void dotted(Path path, const std::string& key, const Value& value) {
    const auto rest = parse_path(key);
    if (!rest) {
      problems_.error("bad-path", backquoted(printable(key)) + " of " + owner_ + " is not a path", value.key,
                      "such as \"stage.finetune.stop\"");
      return;
    }
    path.insert(path.end(), rest->begin(), rest->end());
    if (allowed(path[0].key, value)) out_.push_back({std::move(path), value});
  }

  bool allowed(const std::string& key, const Value& value) {
    if (is_named_group(key)) return true;
    auto groups = recipe_kinds();
    groups.insert(groups.end(), {"tower", "stage"});
    const auto near = nearest(key, groups);
    problems_.error("unknown-key", backquoted(printable(key)) + " is not a key of " + owner_, value.key,
                    near
                        ? "did you mean " + backquoted(*near) + "?"
                        : "it changes components, towers, datasets and stages; other keys are the same for all arms");
    return false;
  }

  std::string owner_;
  Problems& problems_;
  std::vector<Assignment> out_;
};

void leaves(const Assignment& one, std::vector<Assignment>& out) {
  const auto* table = one.value.as<Table>();
  if (!table || table->empty() || table->contains("type")) {
    out.push_back(one);
    return;
  }
  for (const auto* item : in_source_order(*table)) {
    Path path = one.path;
    path.push_back(PathStep{item->first});
    leaves({std::move(path), item->second}, out);
  }
}

// An arm that put another component in a place has none of the old one's parameters.
bool type_changed(const Table& arm, const Table& original, const Path& path) {
  for (std::size_t n = 2; n < path.size(); ++n) {
    const Path prefix(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(n));
    const auto type = [&](const Table& document) -> std::string {
      const auto* value = value_at(document, prefix);
      if (value && value->as<std::string>()) return *value->as<std::string>();
      const auto* table = value ? value->as<Table>() : nullptr;
      const auto found = table ? table->find("type") : Table::const_iterator{};
      return table && found != table->end() && found->second.as<std::string>() ? *found->second.as<std::string>()
                                                                               : std::string();
    };
    if (type(arm) != type(original)) return true;
  }
  return false;
}

}  // namespace

std::string path_text(const Path& path) {
  std::string out;
  for (const auto& step : path) {
    if (!out.empty()) out += ".";
    out += step.key;
    for (const auto index : step.indices) out += "[" + std::to_string(index) + "]";
  }
  return printable(out);
}

bool is_path(std::string_view key) { return key.find_first_of(".[") != std::string_view::npos; }

std::vector<std::string> keys_of(const Table* table) {
  std::vector<std::string> keys;
  if (table)
    for (const auto& [key, value] : *table) keys.push_back(key);
  return keys;
}

bool there(const Table& document, const Path& path) {
  const auto* group = path.size() >= 2 ? group_of(document, path[0].key) : nullptr;
  return group && group->contains(path[1].key);
}

void unknown_path(const Table& document, const Path& path, const std::string& owner, const SourceSpan& span,
                  Problems& problems) {
  const auto* group = group_of(document, path[0].key);
  std::string hint;
  if (there(document, path)) {
    hint = "nothing is set there";
  } else if (path.size() >= 2) {
    const auto names = keys_of(group);
    const auto near = nearest(path[1].key, names);
    hint = near ? "did you mean " + backquoted(path[0].key + "." + *near) + "?"
                : (names.empty() ? "there is no " + path[0].key : "there is " + listed(names)) +
                      "; a new one states its `type`";
  }
  problems.error("unknown-path", backquoted(path_text(path)) + " of " + owner + " is not in the recipe", span, hint);
}

std::vector<Assignment> flatten(const Table& overlay, const std::string& owner, Problems& problems) {
  return Flattener(owner, problems).run(overlay);
}

bool creates(const Assignment& one) {
  const auto* table = one.path.size() == 2 ? one.value.as<Table>() : nullptr;
  return table && table->contains(one.path[0].key == "tower" ? "model" : "type");
}

void apply(Table& document, const std::vector<Assignment>& overlay, const std::string& owner, Problems& problems) {
  const Table before = document;
  for (const auto& one : overlay) {
    if (!there(before, one.path) && !creates(one)) {
      unknown_path(before, one.path, owner, one.value.key, problems);
    } else if (!put_at(document, one.path, one.value, before)) {
      problems.error("unknown-path", backquoted(path_text(one.path)) + " of " + owner + " is not in the recipe",
                     one.value.key, "a value that is no table, or a list that is shorter, stands in the way");
    }
  }
}

void apply_smoke(Table& arm, const Table& original, const std::vector<Assignment>& overlay, Problems& problems) {
  std::vector<Assignment> kept;
  for (const auto& whole : overlay) {
    std::vector<Assignment> parts;
    leaves(whole, parts);
    for (auto& one : parts) {
      const bool gone = !there(arm, one.path) && there(original, one.path);
      const bool other =
          !value_at(arm, one.path) && (value_at(original, one.path) || type_changed(arm, original, one.path));
      if (!gone && !other) kept.push_back(std::move(one));
    }
  }
  apply(arm, kept, "[smoke]", problems);
}

}  // namespace xp::recipe
