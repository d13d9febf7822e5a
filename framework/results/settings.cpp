#include "results/settings.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"

namespace xp::detail {
namespace {

constexpr std::size_t kShownDigits = 12;
constexpr std::size_t kShownFiles = 16;  // by name; more are told apart by a digest

const std::string* text_in(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second.as<std::string>();
}

// References and files lie in stored plans as tables (schema/value.h).
const Table* stored_reference(const Value& value) {
  const auto* table = value.as<Table>();
  return table && text_in(*table, "reference") && text_in(*table, "kind") ? table : nullptr;
}

bool stored_file(const Value& value) {
  const auto* table = value.as<Table>();
  return table && text_in(*table, "name") && text_in(*table, "sha256") &&
         table->size() == (text_in(*table, "path") ? 3 : 2);
}

bool all_are(const List& list, bool (*kind)(const Value&)) { return std::all_of(list.begin(), list.end(), kind); }

class Flattener {
 public:
  Flattener(NodeSettings& out, const DatasetByDigest& datasets, const SettingsThatCount& that_count)
      : out_(out), datasets_(datasets), that_count_(that_count) {}

  void table(const Table& table, const std::string& under, FlatSettings& into) {
    for (const auto& [key, value] : table) one(value, under.empty() ? key : under + "." + key, into);
  }

 private:
  void one(const Value& value, const std::string& key, FlatSettings& into) {
    if (const auto* artifact = stored_reference(value)) {
      into[key] = setting_text(value);
      return reference(*artifact);
    }
    if (const auto* inner = value.as<Table>(); inner && !inner->empty() && !stored_file(value))
      return table(*inner, key, into);
    const auto* list = value.as<List>();
    const bool tables = list && !list->empty() &&
                        all_are(*list, [](const Value& v) { return v.as<Table>() != nullptr && !stored_file(v); });
    if (!tables) {
      into[key] = setting_text(value);
      return;
    }
    for (std::size_t i = 0; i < list->size(); ++i) one((*list)[i], key + "[" + std::to_string(i) + "]", into);
  }

  void reference(const Table& reference) {
    if (const auto* node = text_in(reference, "node")) out_.inputs.insert(*node);
    const auto* inner = dataset_of(reference, datasets_);
    if (!inner) return;
    const auto* text = text_in(reference, "reference");
    table(that_count_ ? that_count_("dataset", *inner) : *inner,
          "dataset." + text->substr(0, text->find_first_of(":#")), out_.data);
  }

  NodeSettings& out_;
  const DatasetByDigest& datasets_;
  const SettingsThatCount& that_count_;
};

}  // namespace

std::string setting_text(const Value& value) {
  if (const auto* text = value.as<std::string>()) return *text;
  if (const auto* reference = stored_reference(value)) {
    std::string out = *text_in(*reference, "reference");
    const auto* split = text_in(*reference, "split");
    if (split && out.find(':') == std::string::npos) out.insert(std::min(out.find('#'), out.size()), ":" + *split);
    const auto* digest = text_in(*reference, "digest");
    return text_in(*reference, "path") && digest ? out + " @" + digest->substr(0, kShownDigits) : out;
  }
  if (stored_file(value))
    return *text_in(*value.as<Table>(), "name") + " @" +
           text_in(*value.as<Table>(), "sha256")->substr(0, kShownDigits);
  const auto* list = value.as<List>();
  if (!list || list->empty() || !all_are(*list, [](const Value& v) { return stored_file(v); })) return to_text(value);
  std::vector<std::string> files;
  for (const auto& one : *list) files.push_back(setting_text(one));
  const auto all = "[" + join(files, ", ") + "]";
  return files.size() <= kShownFiles
             ? all
             : std::to_string(files.size()) + " files @" + sha256(all).substr(0, kShownDigits);
}

const Table* planned(const Value& plan, std::string_view part, std::string_view digest) {
  const auto* whole = plan.as<Table>();
  const auto at = whole ? whole->find(part) : Table::const_iterator{};
  const auto* all = !whole || at == whole->end() ? nullptr : at->second.as<Table>();
  const auto found = all ? all->find(digest) : Table::const_iterator{};
  return !all || found == all->end() ? nullptr : found->second.as<Table>();
}

const Table* dataset_of(const Table& reference, const DatasetByDigest& by_digest) {
  if (const auto inside = reference.find("component"); inside != reference.end()) return inside->second.as<Table>();
  const auto* digest = text_in(reference, "digest");
  return digest && !text_in(reference, "node") ? by_digest(*digest) : nullptr;
}

NodeSettings flat_settings(const Table& settings, const DatasetByDigest& datasets,
                           const SettingsThatCount& that_count) {
  NodeSettings out;
  Flattener(out, datasets, that_count).table(that_count ? that_count("stage", settings) : settings, {}, out.settings);
  return out;
}

DatasetByDigest datasets_of(const StudyMember& member) {
  return [result = member.result](std::string_view digest) { return result ? result->dataset(digest) : nullptr; };
}

const NodeSettings* SettingsReader::node(const StudyMember& member, const std::string& stage) {
  const auto* table = node_of(member, stage);
  const auto* settings = table ? find(*table, "settings") : nullptr;
  if (!settings || !settings->as<Table>()) return nullptr;
  const auto [at, fresh] = known_.try_emplace(table);
  if (!fresh) return &at->second;
  at->second = flat_settings(*settings->as<Table>(), datasets_of(member));
  if (const auto* seed = find(*table, "seed")) at->second.settings.emplace("seed", setting_text(*seed));
  return &at->second;
}

FlatSettings SettingsReader::all(const StudyMember& member) {
  FlatSettings out;
  for (const auto& [stage, digest] : member.stages)
    if (const auto* of = node(member, stage)) {
      for (const auto& [key, text] : of->settings)
        if (key != "seed") out.emplace("stage." + stage + "." + key, text);
      out.insert(of->data.begin(), of->data.end());
    }
  return out;
}

}  // namespace xp::detail
