#include <algorithm>

#include "base/text.h"
#include "program.h"

namespace xp::program {
namespace {

std::string attribute(const Result& result, const std::string& key) {
  const auto found = result.attributes().find(key);
  return found == result.attributes().end() ? "" : found->second;
}

std::string status_of(const Result& result) {
  if (!result.open()) return attribute(result, "status");
  return result.alive() ? "running" : "dead";
}

}  // namespace

void add_ls(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("ls", "Lists runs, newest first; a run whose process died is shown as dead.");
  auto recipe = std::make_shared<std::string>();
  verb->add_option("recipe", *recipe, "Only runs of this recipe.");
  verb->callback([=, &program] {
    const auto folder = program.results_folder();
    const Cache cache(folder);
    List list;
    std::string out;
    for (const auto& file : find_results(folder, *recipe)) {
      std::string status, started;
      try {
        const auto result = read_result(file, &cache);
        status = status_of(*result), started = attribute(*result, "started");
      } catch (const Error& error) {
        status = std::string("unreadable: ") + error.what();
      }
      const auto name = file.parent_path().filename().string();
      list.push_back(Table{{"recipe", name},
                           {"run", file.stem().string()},
                           {"status", status},
                           {"started", started},
                           {"file", file.string()}});
      out += name + "  " + file.stem().string() + "  " + started + "  " + status + "\n";
    }
    if (list.empty() && !recipe->empty()) open_results(program, {*recipe});  // says what there is
    if (program.json) return print(to_json(Value(std::move(list))) + "\n");
    print(out.empty() ? "no runs in " + folder.string() + "\n" : out);
  });
}

}  // namespace xp::program
