// A plan for people, for result files and for Graphviz.
#include <algorithm>

#include "base/digest.h"
#include "base/text.h"
#include "recipe/arms.h"
#include "recipe/plan.h"
#include "recipe/toml_reader.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShort = 12;  // digits of a digest that are shown

using Datasets = std::map<std::string, std::pair<std::string, Table>>;

bool is_file(const Table& table) {
  return table.size() == 3 && table.contains("path") && table.contains("name") && table.contains("sha256");
}

// Artifacts with their content, files without their paths.
Value for_text(const Value& value, Datasets& datasets) {
  if (const auto* reference = value.as<Reference>()) {
    if (reference->component) {
      const auto name = reference->text.substr(0, reference->text.find_first_of(":#"));
      datasets.try_emplace(reference->digest, name, *reference->component);
    }
    std::string text = reference->text;
    if (!reference->split.empty() && text.find(':') == std::string::npos) {
      const auto column = text.find('#');
      text.insert(std::min(column, text.size()), ":" + reference->split);
    }
    return Value(text + " @" + reference->digest.substr(0, kShort));
  }
  if (const auto* list = value.as<List>()) {
    List out;
    for (const auto& one : *list) out.push_back(for_text(one, datasets));
    return out;
  }
  if (const auto* table = value.as<Table>()) {
    if (is_file(*table))
      return Value(*table->at("name").as<std::string>() + " @" +
                   table->at("sha256").as<std::string>()->substr(0, kShort));
    Table out;
    for (const auto& [key, one] : *table) out.emplace(key, for_text(one, datasets));
    return out;
  }
  return value;
}

// References without their datasets, which `datasets` gets by digest: one may list thousands of files, and every
// stage of every member names it.
Value for_results(const Value& value, Table& datasets) {
  if (const auto* reference = value.as<Reference>()) {
    if (!reference->component) return value;
    if (!datasets.contains(reference->digest))
      datasets.insert_or_assign(reference->digest, for_results(Value(*reference->component), datasets));
    Reference named = *reference;
    named.component.reset();
    return named;
  }
  if (const auto* list = value.as<List>()) {
    List out;
    for (const auto& one : *list) out.push_back(for_results(one, datasets));
    return out;
  }
  const auto* table = value.as<Table>();
  if (!table) return value;
  Table out;
  for (const auto& [key, one] : *table) out.emplace(key, for_results(one, datasets));
  return out;
}

void write_settings(const Table& settings, Datasets& datasets, std::string& out) {
  for (const auto& [key, value] : settings)
    if (key != "type") out += "  " + key + " = " + to_text(for_text(value, datasets)) + "\n";
}

template <class Spec>
void write_specs(const std::vector<Spec>& specs, const std::string& word, std::string& out) {
  for (const auto& spec : specs) {
    out += "\n" + word + " " + spec.id + "\n";
    const auto value = to_value(spec);
    for (const auto& [key, one] : *value.template as<Table>())
      if (key != "id") out += "  " + key + " = " + to_text(one) + "\n";
  }
}

void write_members(const Plan& plan, std::string& out) {
  for (std::size_t i = 0; i < plan.members.size();) {
    const auto& first = plan.members[i];
    out += "\narm " + first.arm + (first.label.empty() || first.label == first.arm ? "" : " (" + first.label + ")") +
           "\n";
    for (; i < plan.members.size() && plan.members[i].arm == first.arm; ++i) {
      out += "  seed " + std::to_string(plan.members[i].seed) + ":";
      for (const auto& [name, index] : plan.members[i].nodes)
        out += " " + name + "@" + plan.nodes[index].digest.substr(0, kShort);
      out += "\n";
    }
  }
}

template <class T>
List values(const std::vector<T>& specs) {
  List out;
  for (const auto& spec : specs) out.push_back(to_value(spec));
  return out;
}

std::string dot_text(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out;
}

void collect_origins(const Value& value, const std::string& path,
                     std::vector<std::pair<std::string, const Value*>>& out) {
  if (const auto* table = value.as<Table>(); table && !table->empty()) {
    for (const auto* one : recipe::in_source_order(*table))
      collect_origins(one->second, path.empty() ? one->first : path + "." + one->first, out);
    return;
  }
  const auto* list = value.as<List>();
  if (list && !list->empty() &&
      std::all_of(list->begin(), list->end(), [](const Value& v) { return v.as<Table>() != nullptr; })) {
    for (std::size_t i = 0; i < list->size(); ++i)
      collect_origins((*list)[i], path + "[" + std::to_string(i) + "]", out);
    return;
  }
  out.emplace_back(path, &value);
}

}  // namespace

std::string to_text(const Plan& plan) {
  std::string out = "recipe " + plan.name + "\n";
  if (!plan.summary.empty()) out += "  " + printable(plan.summary) + "\n";
  out += "device " + plan.setting.device + ", precision " + plan.setting.precision + ", determinism " +
         plan.setting.determinism + "\nseeds";
  for (const auto seed : plan.seeds) out += " " + std::to_string(seed);
  out += "\nplan " + plan.plan_id + "\n";
  write_members(plan, out);
  Datasets datasets;
  for (const auto& node : plan.nodes) {
    out += "\nstage " + node.name + " @" + node.digest.substr(0, kShort) + ": " + node.type;
    if (node.draws) out += ", seed " + std::to_string(node.seed);
    out += "\n";
    write_settings(node.settings, datasets, out);
  }
  std::string more;
  for (auto it = datasets.begin(); it != datasets.end(); ++it) {
    more += "\ndataset " + it->second.first + " @" + it->first.substr(0, kShort) + ": " +
            *it->second.second.at("type").as<std::string>() + "\n";
    const Table settings = it->second.second;  // a dataset made of others adds them behind
    write_settings(settings, datasets, more);
  }
  out += more;
  write_specs(plan.claims, "claim", out);
  write_specs(plan.tables, "table", out);
  write_specs(plan.figures, "figure", out);
  if (!plan.sweep.empty()) {
    out += "\nsweep\n";
    write_settings(plan.sweep, datasets, out);
  }
  for (const auto& axis : plan.axes) out += "\naxis " + to_text(axis) + "\n";
  return out;
}

Value to_value(const Plan& plan) {
  List arms, members;
  Table nodes, datasets;
  for (const auto& member : plan.members) {
    if (arms.empty() || *arms.back().as<Table>()->at("name").as<std::string>() != member.arm)
      arms.push_back(Table{{"name", Value(member.arm)}, {"label", Value(member.label)}});
    Table stages;
    for (const auto& [name, index] : member.nodes) stages.emplace(name, Value(plan.nodes[index].digest));
    members.push_back(
        Table{{"arm", Value(member.arm)}, {"seed", Value(member.seed)}, {"stages", Value(std::move(stages))}});
  }
  for (const auto& node : plan.nodes) {
    Table stored{{"name", Value(node.name)},
                 {"type", Value(node.type)},
                 {"settings", for_results(Value(node.settings), datasets)}};
    if (node.draws) stored.emplace("seed", Value(node.seed));
    nodes.emplace(node.digest, Value(std::move(stored)));
  }
  Table out{{"name", Value(plan.name)}, {"plan_id", Value(plan.plan_id)}, {"summary", Value(plan.summary)}};
  out.emplace("arms", Value(std::move(arms))), out.emplace("members", Value(std::move(members))),
      out.emplace("nodes", Value(std::move(nodes))), out.emplace("datasets", Value(std::move(datasets)));
  out.emplace("claims", Value(values(plan.claims))), out.emplace("tables", Value(values(plan.tables))),
      out.emplace("figures", Value(values(plan.figures)));
  out.emplace("axes", Value(List(plan.axes.begin(), plan.axes.end())));
  out.emplace("text", Value(to_text(plan)));
  return out;
}

std::string to_dot(const Plan& plan) {
  std::string out = "digraph \"" + dot_text(plan.name) + "\" {\n  rankdir = LR;\n  node [shape = box];\n";
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const auto& node = plan.nodes[i];
    out += "  n" + std::to_string(i) + " [label = \"" + dot_text(node.name) + "\\n" + dot_text(node.type) +
           (node.draws ? "\\nseed " + std::to_string(node.seed) : "") + "\"];\n";
  }
  for (std::size_t i = 0; i < plan.nodes.size(); ++i)
    for (const auto input : plan.nodes[i].inputs)
      out += "  n" + std::to_string(input) + " -> n" + std::to_string(i) + ";\n";
  return out + "}\n";
}

std::vector<Origin> origins(const fs::path& file, const ResolveOptions& options, Problems& problems) {
  recipe::Sources files;
  const auto document = recipe::load_files(file, recipe::root_of(file, options), options.stored, files, problems);
  if (!document) return {};
  const recipe::Overrides overrides(options, problems);
  Table outer = recipe::outer_document(*document, overrides, options, problems);
  std::vector<Origin> out;
  const auto add = [&](const Value& whole, const std::string& front) {
    std::vector<std::pair<std::string, const Value*>> all;
    collect_origins(whole, "", all);
    for (const auto& [path, value] : all) {
      const auto& source = value->span.source;
      std::string place =
          source ? source->name + (source->overlay ? "" : ":" + std::to_string(value->span.line)) : "";
      if (path == "seeds" && !options.seeds.empty()) continue;
      out.push_back({front + path, to_text(*value), std::move(place)});
    }
  };
  if (!options.seeds.empty()) {
    List seeds;
    for (const auto seed : options.seeds) seeds.emplace_back(seed);
    out.push_back({"seeds", to_text(Value(std::move(seeds))), "--seed"});
  }
  if (options.arms.empty()) {
    recipe::lay_all(outer, overrides, options, problems);
    add(Value(outer), "");
    return out;
  }
  for (const auto& arm : recipe::make_arms(outer, overrides, options, problems))
    add(Value(arm.document), "arm " + arm.name + ": ");
  return out;
}

std::string settings_digest(const PlanNode& node) { return sha256(to_text(Value(node.settings))).substr(0, 16); }

}  // namespace xp
