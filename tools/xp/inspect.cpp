#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "engine_door.h"
#include "inspect_plan.h"
#include "kit/safetensors.h"
#include "named_path.h"
#include "program.h"

namespace xp::program {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> parts;
  for (const auto n : shape) parts.push_back(std::to_string(n));
  return "[" + join(parts, ", ") + "]";
}

/// Roles and ties of a checkpoint's tensors by name, from xp.json beside it.
std::map<std::string, std::string> roles_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> roles;
  if (!std::filesystem::exists(folder / "xp.json")) return roles;
  const auto about = nlohmann::json::parse(read_file(folder / "xp.json"), nullptr, false);
  if (!about.is_object() || !about.contains("parameters"))
    throw Error((folder / "xp.json").string() + " is not a checkpoint's description", Exit::data);
  for (const auto& one : about["parameters"])
    roles[one.value("name", "")] =
        one.value("role", "") + (one.contains("tied_to") ? ", tied to " + one.value("tied_to", "") : "");
  return roles;
}

void inspect_tensors(const Program& program, const std::filesystem::path& file) {
  const SafetensorsFile tensors(file);
  const auto roles = roles_of(file.parent_path());
  List list;
  std::string out;
  double numbers = 0;
  for (const auto& [name, tensor] : tensors.tensors()) {
    const auto role = roles.find(name);
    const std::string what = role == roles.end() ? "" : role->second;
    List shape;
    for (const auto n : tensor.shape) shape.push_back(n);
    list.push_back(Table{{"name", name}, {"dtype", tensor.dtype}, {"shape", std::move(shape)}, {"role", what}});
    out += name + "  " + tensor.dtype + " " + shape_text(tensor.shape) + (what.empty() ? "" : "  " + what) + "\n";
    numbers += static_cast<double>(tensor.size) / static_cast<double>(dtype_size(tensor.dtype));
  }
  if (program.json) return print(to_json(Value(std::move(list))) + "\n");
  print(out + count(tensors.tensors().size(), "tensor") + ", " + short_number(numbers) + " numbers\n");
}

void inspect_tokenizer(const std::filesystem::path& folder) {
  const auto about = nlohmann::json::parse(read_file(folder / "xp_tokenizer.json"), nullptr, false);
  if (!about.is_object())
    throw Error((folder / "xp_tokenizer.json").string() + " is not a tokenizer's description", Exit::data);
  print("tokenizer " + about.value("type", "?") + " " + about.value("settings", nlohmann::json::object()).dump() +
        "\nreserved " + about.value("purposes", nlohmann::json::object()).dump() + "\n");
}

void inspect_result(const Program& program, const std::filesystem::path& file) {
  const Cache cache(program.results_folder());
  const auto result = read_result(file, &cache);
  if (program.json) return print(to_json(result->plan()) + "\n");
  for (const auto& [key, value] : result->attributes()) {
    const auto line = value.substr(0, value.find('\n'));
    print(key + ": " + (line.size() > 100 ? line.substr(0, 100) + " ..." : line) +
          (line.size() < value.size() && line.size() <= 100 ? " ..." : "") + "\n");
  }
  const auto* members = find(*result->plan().as<Table>(), "members");
  for (const auto& member : members && members->as<List>() ? *members->as<List>() : List()) {
    const auto& table = *member.as<Table>();
    std::vector<std::string> stages;
    if (const auto* own = find(table, "stages"); own && own->as<Table>())
      for (const auto& [name, digest] : *own->as<Table>()) stages.push_back(name);
    print("/" + *table.at("arm").as<std::string>() + "/" + std::to_string(*table.at("seed").as<std::int64_t>()) +
          ": " + join(stages, ", ") + "\n");
  }
}

std::string text_of(const FormatReport& report, const std::filesystem::path& path) {
  std::string out = path.string() + ", read as " + report.format + "\n";
  if (!report.family.empty()) {
    out += "family " + report.family + "\n";
    for (const auto& [key, value] : report.settings) out += "  " + key + " = " + to_text(value) + "\n";
  }
  double numbers = 0;
  for (const auto& one : report.tensors) {
    double count = 1;
    for (const auto n : one.shape) count *= static_cast<double>(n);
    numbers += count;
    out += one.name + "  " + one.dtype + " " + shape_text(one.shape) +
           (one.ours.empty() ? "  not read" : "  " + one.role + ", here " + one.ours) + "\n";
  }
  if (!report.tensors.empty())
    out += count(report.tensors.size(), "tensor") + ", " + short_number(numbers) + " numbers\n";
  if (report.tokens) {
    out += "tokenizer of " + std::to_string(*report.tokens) + " tokens";
    for (const auto& [purpose, token] : report.special) out += ", " + purpose + " " + printable(token);
    out += "\n";
  }
  for (const auto& one : report.lost) out += "would be lost: " + one + "\n";
  return out;
}

Table table_of(const FormatReport& report) {
  List tensors, lost;
  for (const auto& one : report.tensors) {
    List shape;
    for (const auto n : one.shape) shape.push_back(n);
    tensors.push_back(Table{{"name", one.name},
                            {"dtype", one.dtype},
                            {"shape", std::move(shape)},
                            {"role", one.role},
                            {"here", one.ours}});
  }
  for (const auto& one : report.lost) lost.emplace_back(one);
  Table special, out{{"format", report.format}, {"family", report.family}, {"settings", Value(report.settings)}};
  for (const auto& [purpose, token] : report.special) special.insert_or_assign(purpose, printable(token));
  out.insert_or_assign("tensors", Value(std::move(tensors)));
  out.insert_or_assign("lost", Value(std::move(lost)));
  if (report.tokens) out.insert_or_assign("tokens", *report.tokens);
  out.insert_or_assign("special", Value(std::move(special)));
  return out;
}

/// Files and directories of other tools.
void inspect_foreign(const Program& program, const std::filesystem::path& path) {
  const auto report = report_in_engine(path, program.catalogue());
  print(program.json ? to_json(Value(table_of(report))) + "\n" : text_of(report, path));
}

/// Whether the path holds a mixing plan, which is shown then.
bool inspect_plan(const Program& program, const std::filesystem::path& path, const std::string& token) {
  const auto plan = read_plan(path);
  if (!plan) return false;
  const auto table = token.empty() ? summary_of(*plan) : rows_of(*plan, token);
  print(program.json ? to_json(Value(table)) + "\n" : token.empty() ? summary_text(table) : rows_text(table));
  return true;
}

bool is_ours(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "xp.json") || std::filesystem::exists(folder / "xp_tokenizer.json") ||
         std::filesystem::exists(folder / "state.safetensors");
}

bool inspect_file(const Program& program, const std::filesystem::path& path) {
  std::error_code none;
  if (!std::filesystem::exists(path, none)) return false;
  if (std::filesystem::is_directory(path)) {
    if (!is_ours(path)) return inspect_foreign(program, path), true;
    for (const char* file : {"model.safetensors", "state.safetensors"})
      if (std::filesystem::exists(path / file)) inspect_tensors(program, path / file);
    if (std::filesystem::exists(path / "xp_tokenizer.json")) inspect_tokenizer(path);
    return true;
  }
  if (path.extension() == ".safetensors")
    inspect_tensors(program, path);
  else if (path.extension() == ".h5" || path.extension() == ".journal")
    inspect_result(program, path);
  else
    inspect_foreign(program, path);
  return true;
}

void inspect_component(const Program& program, const std::string& kind, const std::string& type) {
  const auto catalogue = program.catalogue();
  auto interfaces = kind.empty() ? std::vector<std::string>{""} : interfaces_of_kind(kind);
  if (interfaces.empty()) interfaces = {kind};
  std::vector<std::string> known;
  bool any = false;
  for (const auto& interface : interfaces)
    for (const auto* info : catalogue.list(interface)) {
      known.push_back(info->type);
      if (info->type != type) continue;
      any = true;
      print(program.json ? to_json_schema(info->type, info->summary, info->schema) + "\n"
                         : to_markdown(info->interface, info->type, info->summary, info->schema) + "\nplugin " +
                               info->plugin + ", " + info->library + "\nsha256 " + info->hash + "\n");
    }
  if (any) return;
  if (known.empty() && !kind.empty())
    throw Error("no plugin offers a " + backquoted(printable(kind)) + "; `xp plugins` lists kinds and components",
                Exit::plugin);
  std::string text = (kind.empty() ? "no component and no file is called " : "there is no " + kind + " ") +
                     backquoted(printable(type));
  if (const auto near = nearest(type, known)) text += "; did you mean " + backquoted(*near) + "?";
  for (const auto& bad : catalogue.quarantined)
    if (bad.plugin == type) text += "\n" + bad.library + " is quarantined: " + bad.reason;
  throw Error(text + "\nsearched: " + join(catalogue.searched, ", "), Exit::plugin);
}

}  // namespace

void add_inspect(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("inspect", "Shows a component's parameters, or what a file or artifact holds.");
  auto names = std::make_shared<std::vector<std::string>>();
  auto token = std::make_shared<std::string>();
  verb->add_option(
          "what", *names,
          "TYPE, KIND TYPE, a result, an artifact's folder, the vocabulary.jsonl of `xp adapt`, or a model or "
          "tokenizer of another tool; files also as package:NAME/MEMBER.")
      ->required()
      ->expected(1, 2);
  verb->add_option("--token", *token,
                   "Of a vocabulary.jsonl or a mixing artifact: the old tokens of this new token's row.");
  verb->footer(
      "Examples:\n  xp inspect initializer ofa\n  xp inspect results/quickstart/RUN.h5\n  xp inspect MODEL_DIR\n  xp "
      "inspect model.gguf\n  xp inspect NEW_MODEL/vocabulary.jsonl --token ship");
  verb->callback([=, &program] {
    if (names->size() == 1) names->front() = named_path(names->front());
    if (names->size() == 1 && inspect_plan(program, names->front(), *token)) return;
    if (!token->empty())
      throw Error("--token asks a mixing plan: name the vocabulary.jsonl of `xp adapt` or a mixing artifact's folder",
                  Exit::usage);
    if (names->size() == 1 && inspect_file(program, names->front())) return;
    inspect_component(program, names->size() == 2 ? names->front() : "", names->back());
  });
}

}  // namespace xp::program
