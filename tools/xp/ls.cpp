#include <algorithm>

#include "base/text.h"
#include "program.h"
#include "sweep/folder.h"
#include "sweep/worker_file.h"

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

// "sweep running, 2 workers: 3 done, 1 running".
std::string sweep_status(const std::filesystem::path& folder, const sweep::Trials& trials) {
  using Phase = sweep::TrialState::Phase;
  const auto workers = sweep::workers_in(folder / "workers");
  const auto alive = std::count_if(workers.begin(), workers.end(), [](const auto& one) { return one.alive; });
  const std::string state = alive > 0 ? "running, " + count(static_cast<std::size_t>(alive), "worker")
                            : trials.count(Phase::running) > 0 ? "dead"
                            : trials.count(Phase::open) > 0    ? "stopped"
                                                               : "at rest";
  const auto counts = sweep::counts_text(trials);
  return "sweep " + state + ": " + (counts.empty() ? "no trial yet" : counts);
}

void list_sweeps(const std::filesystem::path& results, const std::string& recipe, List& list, std::string& out) {
  for (const auto& folder : sweep::find_sweeps(results, recipe)) {
    std::string status, started;
    try {
      const auto header = sweep::read_header(folder);
      started = header.started, status = sweep_status(folder, sweep::read_trials(folder, header));
    } catch (const Error& error) {
      status = std::string("unreadable: ") + error.what();
    }
    const auto name = folder.parent_path().filename().string(), run = folder.filename().string();
    list.push_back(
        Table{{"recipe", name}, {"run", run}, {"status", status}, {"started", started}, {"file", folder.string()}});
    out += name + "  " + run + "  " + started + "  " + status + "\n";
  }
}

}  // namespace

void add_ls(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "ls", "Lists runs and sweeps, newest first; what no living process works at is shown as dead.");
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
    list_sweeps(folder, *recipe, list, out);
    if (list.empty() && !recipe->empty()) open_results(program, {*recipe});  // says what there is
    if (program.json) return print(to_json(Value(std::move(list))) + "\n");
    print(out.empty() ? "no runs in " + folder.string() + "\n" : out);
  });
}

}  // namespace xp::program
