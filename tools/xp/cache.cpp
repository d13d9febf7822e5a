#include "results/cache.h"
#include "base/text.h"
#include "program.h"
#include "run.h"

namespace xp::program {
namespace {

Value entry_value(const CacheEntry& entry) {
  return Table{{"digest", entry.digest},
               {"stage", entry.stage_name},
               {"type", entry.stage_type},
               {"recipe", entry.recipe},
               {"made", entry.made},
               {"seconds", entry.seconds},
               {"bytes", static_cast<std::int64_t>(entry.bytes)}};
}

void show(const Program& program, const std::vector<CacheEntry>& entries, std::string_view verb) {
  if (program.json) {
    List list;
    for (const auto& entry : entries) list.push_back(entry_value(entry));
    return print(to_json(Value(std::move(list))) + "\n");
  }
  double bytes = 0;
  std::string out;
  for (const auto& entry : entries) {
    bytes += static_cast<double>(entry.bytes);
    out += entry.digest.substr(0, 12) + "  " + entry.made + "  " + bytes_text(static_cast<double>(entry.bytes)) +
           "  " + duration_text(entry.seconds) + "  " + entry.recipe + " / " + entry.stage_name + " (" +
           entry.stage_type + ")\n";
  }
  print(out + count(entries.size(), "artifact") + " " + std::string(verb) + ", " + bytes_text(bytes) + "\n");
}

}  // namespace

void add_cache(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("cache", "Artifacts that stages made.");
  verb->require_subcommand(1);
  verb->add_subcommand("ls", "Lists them.")->callback([&program] {
    show(program, Cache(program.results_folder()).list(), "kept");
  });
  auto* gc = verb->add_subcommand("gc", "Removes what no result refers to, longest unused first.");
  auto most = std::make_shared<std::string>("0 bytes");
  auto dry = std::make_shared<bool>(false);
  gc->add_option("--max-size", *most, "What may stay of it, e.g. \"2 GB\" (default: nothing).");
  gc->add_flag("--dry-run", *dry, "Only list.");
  gc->footer("Example: xp cache gc --max-size \"5 GB\" --dry-run");
  gc->callback([=, &program] {
    const auto size = static_cast<std::uint64_t>(bytes_of(*most, "--max-size"));
    show(program, Cache(program.results_folder()).collect(size, *dry), *dry ? "would go" : "removed");
  });
}

void add_repair(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("repair", "Folds journals of runs whose process died into result files.");
  verb->callback([&program] {
    const auto files = repair(program.results_folder());
    for (const auto& file : files) print(file.string() + "\n");
    if (!program.quiet) std::fprintf(stderr, "%s folded\n", count(files.size(), "journal").c_str());
  });
}

}  // namespace xp::program
