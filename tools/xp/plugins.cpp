#include <algorithm>

#include "base/text.h"
#include "plugin/loader.h"
#include "program.h"

namespace xp::program {
namespace {

std::string plugins_text(const Catalogue& catalogue) {
  std::string out, last;
  for (const auto* info : catalogue.list()) {
    if (info->interface != last) out += (last.empty() ? "" : "\n") + info->interface + "\n";
    last = info->interface;
    out += "  " + info->type + std::string(info->type.size() < 24 ? 24 - info->type.size() : 1, ' ') + info->summary +
           "\n";
  }
  if (!catalogue.quarantined.empty()) out += "\nquarantined\n";
  for (const auto& bad : catalogue.quarantined) out += "  " + bad.library + "\n    " + bad.reason + "\n";
  out += "\nsearched: " + join(catalogue.searched, ", ") + "\n";
  return out;
}

Value plugins_value(const Catalogue& catalogue) {
  List components, bad;
  for (const auto* info : catalogue.list())
    components.push_back(Table{{"interface", info->interface},
                               {"type", info->type},
                               {"summary", info->summary},
                               {"plugin", info->plugin},
                               {"library", info->library},
                               {"sha256", info->hash}});
  for (const auto& one : catalogue.quarantined)
    bad.push_back(Table{{"library", one.library}, {"reason", one.reason}});
  return Table{{"components", std::move(components)}, {"quarantined", std::move(bad)}};
}

// Interfaces of a recipe's kind or of its own name; an unknown one is refused with the nearest.
std::vector<std::string> interfaces_named(const Catalogue& catalogue, const std::string& kind) {
  if (kind.empty()) return {""};
  auto interfaces = interfaces_of_kind(kind);
  if (interfaces.empty()) interfaces = {kind};
  for (const auto& one : interfaces)
    if (!catalogue.list(one).empty()) return interfaces;
  auto known = recipe_kinds();
  for (const auto* info : catalogue.list())
    if (std::find(known.begin(), known.end(), info->interface) == known.end()) known.push_back(info->interface);
  if (std::find(known.begin(), known.end(), kind) != known.end())
    throw Error("no plugin offers a " + kind + "; searched: " + join(catalogue.searched, ", "), Exit::plugin);
  const auto near = nearest(kind, known);
  throw Error("there is no kind " + backquoted(printable(kind)) + "; " +
                  (near ? "did you mean " + backquoted(*near) + "?" : "there is " + listed(known, 40)),
              Exit::usage);
}

}  // namespace

void add_plugins(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("plugins", "Lists components, quarantined libraries, and where was looked.");
  verb->footer("Example: xp plugins --plugin-path my/build/plugins");
  verb->callback([&program] {
    const auto catalogue = program.catalogue();
    print(program.json ? to_json(plugins_value(catalogue)) + "\n" : plugins_text(catalogue));
  });
}

void add_docs(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("docs", "Prints the manual of all components as Markdown.");
  auto kind = std::make_shared<std::string>();
  verb->add_option("interface", *kind, "Only components of this interface or recipe kind.");
  verb->callback([=, &program] {
    const auto catalogue = program.catalogue();
    std::string out;
    List list;
    for (const auto& interface : interfaces_named(catalogue, *kind))
      for (const auto* info : catalogue.list(interface)) {
        const auto page = to_markdown(info->interface, info->type, info->summary, info->schema);
        out += page + "\n";
        list.push_back(Table{
            {"interface", info->interface}, {"type", info->type}, {"summary", info->summary}, {"markdown", page}});
      }
    print(program.json ? to_json(Value(std::move(list))) + "\n" : out);
  });
}

void add_schema(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("schema", "Prints the JSON Schema of a component, or of all, for editors.");
  auto kind = std::make_shared<std::string>(), type = std::make_shared<std::string>();
  verb->add_option("interface", *kind, "Interface or recipe kind, e.g. initializer.");
  verb->add_option("type", *type, "Component.");
  verb->footer("Example: xp schema initializer ofa");
  verb->callback([=, &program] {
    const auto catalogue = program.catalogue();
    const auto interfaces = interfaces_named(catalogue, *kind);
    std::vector<std::string> parts, known;
    for (const auto& interface : interfaces)
      for (const auto* info : catalogue.list(interface)) {
        known.push_back(info->type);
        if (type->empty() || info->type == *type)
          parts.push_back("\"" + info->interface + "." + info->type +
                          "\": " + to_json_schema(info->type, info->summary, info->schema));
      }
    if (parts.empty()) {
      const auto near = nearest(*type, known);
      throw Error("there is no " + *kind + " " + backquoted(printable(*type)) + "; " +
                      (near ? "did you mean " + backquoted(*near) + "?" : "there is " + listed(known, 40)),
                  Exit::plugin);
    }
    if (!type->empty() && parts.size() == 1) return print(parts.front().substr(parts.front().find(": ") + 2) + "\n");
    print("{\n" + join(parts, ",\n") + "\n}\n");
  });
}

}  // namespace xp::program
