#include "recipe/layers.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "recipe/toml_reader.h"
#include "schema/schema.h"

namespace xp::recipe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 64;

const std::string* text_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second.as<std::string>();
}

bool other_type(const Table& base, const Table& over) {
  const auto* was = text_at(base, "type");
  const auto* is = text_at(over, "type");
  return was && is && *was != *is;
}

bool all_have_id(const List& list) {
  return !list.empty() && std::all_of(list.begin(), list.end(), [](const Value& one) {
    return one.as<Table>() && text_at(*one.as<Table>(), "id");
  });
}

void lay(Value& place, const Value& over, const Table& names);

void lay_list(List& base, const List& over, const Table& names) {
  for (const auto& one : over) {
    const auto& id = *text_at(*one.as<Table>(), "id");
    const auto found =
        std::find_if(base.begin(), base.end(), [&](const Value& b) { return *text_at(*b.as<Table>(), "id") == id; });
    if (found == base.end())
      base.push_back(one);
    else
      lay(*found, one, names);
  }
}

// A name that a table is laid over becomes the component's own table.
void open_name(Value& place, const Table& names) {
  const auto* name = place.as<std::string>();
  const auto* component = name ? named_component(names, *name) : nullptr;
  if (component) place.data = *component;
}

void lay(Value& place, const Value& over, const Table& names) {
  const auto* over_table = over.as<Table>();
  if (over_table) open_name(place, names);
  if (auto* base = place.as<Table>(); base && over_table && !other_type(*base, *over_table)) {
    lay_over(*base, *over_table, names);
    return;
  }
  const auto* over_list = over.as<List>();
  if (auto* base = place.as<List>(); base && over_list && all_have_id(*base) && all_have_id(*over_list)) {
    lay_list(*base, *over_list, names);
    return;
  }
  place = over;
}

// Shown as the user would write it: below the working folder relative to it.
std::string shown(const fs::path& file) {
  std::error_code none;
  const auto near = fs::proximate(file, none);
  const auto text = (none ? file : near).lexically_normal().string();
  return text.starts_with("..") ? file.lexically_normal().string() : text;
}

class Loader {
 public:
  Loader(const fs::path& root, const std::vector<RecipeFile>& stored, Sources& files, Problems& problems)
      : root_(root), stored_(stored), files_(files), problems_(problems) {}

  std::optional<Table> load(const fs::path& file, const SourceSpan& asked) {
    std::error_code none;
    const auto real = stored_.empty() ? fs::weakly_canonical(file, none) : file;
    if (const auto at = std::find(open_.begin(), open_.end(), real); at != open_.end()) return cycle(at, asked);
    std::string text;
    try {
      text = stored_.empty() ? read_file(file, std::uint64_t{1} << 24) : stored(file)->text;
    } catch (const Error& error) {
      problems_.error("missing-file", error.what(), asked);
      return {};
    }
    if (++count_ > kMostFiles) {
      problems_.error("too-many", "the recipe extends more than " + std::to_string(kMostFiles) + " files", asked);
      return {};
    }
    auto source =
        std::make_shared<SourceText>(SourceText{stored_.empty() ? shown(file) : file.string(), std::move(text)});
    // The order of a layer is known once its bases are read; until then the text is only parsed.
    Problems own;
    auto table = read_toml(source, own);
    for (const auto& one : own.list()) problems_.add(one);
    if (!table || own.errors() > 0) return {};
    open_.push_back(real);
    auto merged = bases(file, *table);
    open_.pop_back();
    if (!merged) return {};
    source->order = ++order_;
    files_.texts.push_back(source);
    keep(file, source->text);
    if (!table->contains("recipe") && !open_.empty()) files_.parts.insert(source.get());
    table->erase("extends");
    lay_over(*merged, *table, named_ones(*merged, *table));
    return merged;
  }

 private:
  void keep(const fs::path& file, const std::string& text) {
    std::error_code none;
    const auto near = stored_.empty()
                          ? fs::absolute(file, none).lexically_normal().lexically_proximate(fs::absolute(root_, none))
                          : file;
    const auto path = near.generic_string();
    if (std::none_of(files_.files.begin(), files_.files.end(), [&](const auto& one) { return one.path == path; }))
      files_.files.push_back({path, text});
  }

  const RecipeFile* stored(const fs::path& file) const {
    const auto path = file.generic_string();
    const auto found =
        std::find_if(stored_.begin(), stored_.end(), [&](const auto& one) { return one.path == path; });
    return found == stored_.end() ? nullptr : &*found;
  }

  // Components that names may mean while two files are merged: those of the base first.
  static Table named_ones(const Table& base, const Table& over) {
    Table names = over;
    for (const auto& [key, value] : base) {
      auto* place = names.contains(key) ? names.at(key).as<Table>() : nullptr;
      const auto* table = value.as<Table>();
      if (!place || !table) {
        names.insert_or_assign(key, value);
        continue;
      }
      for (const auto& [name, component] : *table) place->insert_or_assign(name, component);
    }
    return names;
  }

  std::optional<Table> bases(const fs::path& file, const Table& table) {
    Table merged;
    const auto found = table.find("extends");
    if (found == table.end()) return merged;
    const Value& value = found->second;
    const List list = value.as<List>() ? *value.as<List>() : List{value};
    bool good = true;
    for (const auto& one : list) {
      const auto* name = one.as<std::string>();
      if (!name) {
        problems_.error("wrong-type", "`extends` must be text or a list of texts, not " + std::string(type_name(one)),
                        one.span, "such as \"base/tiny_encoder.toml\"");
        good = false;
        continue;
      }
      const auto path = search(file, *name, one.span);
      auto base = path ? load(*path, one.span) : std::nullopt;
      if (!base)
        good = false;
      else
        lay_over(merged, *base, named_ones(merged, *base));
    }
    return good ? std::optional(std::move(merged)) : std::nullopt;
  }

  std::optional<fs::path> search(const fs::path& file, const std::string& name, const SourceSpan& span) {
    const auto beside = (file.parent_path() / name).lexically_normal();
    const auto shared = ((stored_.empty() ? root_ : fs::path()) / "recipes" / name).lexically_normal();
    std::error_code none;
    for (const auto& path : {beside, shared})
      if (!name.empty() && (stored_.empty() ? fs::is_regular_file(path, none) : stored(path) != nullptr)) return path;
    const auto folder = [](const fs::path& path) {
      return backquoted(shown(path.parent_path().empty() ? "." : path.parent_path()));
    };
    problems_.error("missing-file", "there is no recipe " + backquoted(printable(name)), span,
                    "looked in " + folder(file) + " and " + folder(root_ / "recipes" / "x"));
    return {};
  }

  std::optional<Table> cycle(std::vector<fs::path>::const_iterator from, const SourceSpan& span) {
    std::vector<std::string> names;
    for (auto at = from; at != open_.cend(); ++at) names.push_back(backquoted(at->filename().string()));
    names.push_back(backquoted(from->filename().string()));
    problems_.error("cycle", "recipes extend each other: " + join(names, " -> "), span, "remove one of them");
    return {};
  }

  const fs::path& root_;
  const std::vector<RecipeFile>& stored_;
  Sources& files_;
  Problems& problems_;
  std::vector<fs::path> open_;
  std::size_t count_ = 0;
  int order_ = 0;
};

// The value one step below; `made` says that it was not there and is an empty table now.
Value* child(Value& place, const PathStep& step, const Table& names, bool& made) {
  open_name(place, names);
  auto* table = place.as<Table>();
  if (!table) return nullptr;
  auto found = table->find(step.key);
  made = found == table->end();
  if (made) {
    if (!step.indices.empty()) return nullptr;
    found = table->emplace(step.key, Value(Table{})).first;
  }
  Value* value = &found->second;
  for (const auto index : step.indices) {
    auto* list = value->as<List>();
    if (!list || index >= list->size()) return nullptr;
    value = &(*list)[index];
  }
  return value;
}

}  // namespace

std::optional<Table> load_files(const fs::path& file, const fs::path& root, const std::vector<RecipeFile>& stored,
                                Sources& files, Problems& problems) {
  return Loader(root, stored, files, problems).load(stored.empty() ? file : fs::path(stored.back().path), {});
}

void lay_over(Table& base, const Table& over, const Table& names) {
  for (const auto& [key, value] : over) {
    const auto found = base.find(key);
    if (found == base.end())
      base.emplace(key, value);
    else
      lay(found->second, value, names);
  }
}

std::optional<std::vector<PathStep>> parse_path(std::string_view text) {
  std::vector<PathStep> steps;
  std::size_t at = 0;
  while (at <= text.size()) {
    PathStep step;
    if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
      const auto end = text.find(text[at], at + 1);
      if (end == std::string_view::npos) return {};
      step.key = text.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      const auto end = std::min(text.find_first_of(".[", at), text.size());
      step.key = trim(text.substr(at, end - at));
      at = end;
    }
    if (step.key.empty()) return {};
    while (at < text.size() && text[at] == '[') {
      const auto close = text.find(']', at);
      if (close == std::string_view::npos) return {};
      std::size_t index = 0;
      const auto read = std::from_chars(text.data() + at + 1, text.data() + close, index);
      if (read.ec != std::errc() || read.ptr != text.data() + close) return {};
      step.indices.push_back(index);
      at = close + 1;
    }
    steps.push_back(std::move(step));
    if (steps.size() > 32) return {};
    if (at == text.size()) return steps;
    if (text[at] != '.') return {};
    ++at;
  }
  return {};
}

const Value* value_at(const Table& table, const std::vector<PathStep>& path) {
  const Table* at = &table;
  const Value* value = nullptr;
  for (const auto& step : path) {
    if (!at) return nullptr;
    const auto found = at->find(step.key);
    if (found == at->end()) return nullptr;
    value = &found->second;
    for (const auto index : step.indices) {
      const auto* list = value->as<List>();
      if (!list || index >= list->size()) return nullptr;
      value = &(*list)[index];
    }
    at = value->as<Table>();
  }
  return value;
}

bool put_at(Table& table, const std::vector<PathStep>& path, const Value& value, const Table& names) {
  Value root{std::move(table)};
  Value* place = &root;
  bool made = false;
  for (const auto& step : path) {
    place = child(*place, step, names, made);
    if (!place) break;
    if (made) place->key = value.key, place->span = value.span;
  }
  if (place) {
    if (made)
      *place = value;
    else
      lay(*place, value, names);
  }
  table = std::move(*root.as<Table>());
  return place != nullptr;
}

bool remove_at(Table& table, const std::vector<PathStep>& path) {
  if (path.empty() || !value_at(table, path)) return false;
  if (!path.back().indices.empty()) return false;
  Table* at = &table;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    Value* value = &at->find(path[i].key)->second;
    for (const auto index : path[i].indices) value = &(*value->as<List>())[index];
    at = value->as<Table>();
  }
  return at->erase(path.back().key) > 0;
}

const Table* named_component(const Table& document, std::string_view name) {
  for (const auto& kind : recipe_kinds()) {
    const auto group = document.find(kind);
    const auto* table = group == document.end() ? nullptr : group->second.as<Table>();
    if (!table) continue;
    if (const auto found = table->find(name); found != table->end()) return found->second.as<Table>();
  }
  return nullptr;
}

}  // namespace xp::recipe
