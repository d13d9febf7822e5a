// The program: one file per verb. Results go to stdout, everything else to stderr.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "base/text.h"
#include "plugin/build_stamp.h"
#include "program.h"

namespace {

// CLI11 only says that a verb is missing; a typo deserves the nearest one.
void refuse_unknown_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> verbs;
  for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    verbs.push_back(verb->get_name());
  if (std::find(verbs.begin(), verbs.end(), argv[1]) != verbs.end()) return;
  const auto near = xp::nearest(argv[1], verbs);
  throw xp::Error(
      "there is no verb " + xp::backquoted(xp::printable(argv[1])) +
          (near ? "; did you mean " + xp::backquoted(*near) + "?" : "; there is " + xp::listed(verbs, 30)),
      xp::Exit::usage);
}

// One sentence with the verb it is about, in place of the library's two lines.
std::string command_mistake(const CLI::App& app, const CLI::ParseError& wrong, int argc, char** argv) {
  const CLI::App* at = &app;
  std::string verb = "xp";
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front(), verb += " " + at->get_name();
  std::string what = wrong.what();
  while (!what.empty() && (what.back() == '\n' || what.back() == '.')) what.pop_back();
  std::replace(what.begin(), what.end(), '\n', ' ');
  if (wrong.get_name() == "RequiredError") {
    if (at == &app && argc > 1)
      what = xp::backquoted(xp::printable(argv[1])) + " is no option";
    else if (what == "A subcommand is required")
      what = "one of " + [&] {
        std::vector<std::string> verbs;
        for (const auto* one : at->get_subcommands([](const CLI::App*) { return true; }))
          verbs.push_back(one->get_name());
        return xp::listed(verbs, 30);
      }() + " must follow";
    else if (what.ends_with(" is required"))
      what = "wants " + what.substr(0, what.size() - 12);
  } else if (wrong.get_name() == "ConversionError") {
    what = "a value is of the wrong kind: " +
           what.substr(std::min(what.size(), what.find(": ") == std::string::npos ? 0 : what.find(": ") + 2));
  } else if (what.starts_with("The following argument")) {
    what = "unexpected " +
           what.substr(std::min(what.size(), what.find(": ") == std::string::npos ? 0 : what.find(": ") + 2));
  }
  return "error: " + verb + ": " + xp::printable(what) + "; " + xp::backquoted(verb + " --help") +
         " says what it takes";
}

int run(int argc, char** argv) {
  using namespace xp::program;
  Program program;
  program.command.assign(argv, argv + argc);
  CLI::App app{"Runs experiments on representations: recipes in, result files and tables out."};
  app.name("xp");
  app.footer(
      "Examples:\n"
      "  xp run recipes/quickstart.toml           run, print tables and verdicts\n"
      "  xp check recipes/quickstart.toml         find every mistake, start nothing\n"
      "  xp run R --arm ofa --seed 0 --smoke      one arm, one seed, in seconds\n"
      "  xp table quickstart --format latex       a table from result files alone\n"
      "  xp report quickstart                     one HTML page of a run, for any browser\n"
      "  xp inspect initializer ofa               parameters of a component\n"
      "Exit codes: 0 ok, 1 run failed, 2 usage or recipe, 3 plugin, 4 data, 5 verdict, 6 a sweep with failed trials, "
      "75 stopped with a "
      "checkpoint.\n"
      "XP_LOG=debug (info, warn, error, off) says more or less on standard error.");
  app.set_version_flag("--version,-V", "xp " XP_VERSION "\nbuild " XP_BUILD_STAMP,
                       "Version and build, and nothing else.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--plugin-path", program.plugin_path, "Folders to look for plugins in first.");
  app.add_option("--results", program.results,
                 "Where results go (default: XP_RESULTS, else results/ of the project).");
  app.add_flag("--json", program.json, "Machine-readable output.");
  app.add_flag("--quiet,-q", program.quiet, "No progress.");
  for (const AddVerb add :
       {add_run,    add_check,   add_prove,   add_sweep, add_worker, add_reproduce, add_verify_resume,
        add_show,   add_plugins, add_inspect, add_docs,  add_new,    add_schema,    add_table,
        add_diff,   add_plot,    add_report,  add_ls,    add_repair, add_tokenize,  add_adapt,
        add_export, add_data,    add_cache,   add_env})
    add(app, program);
  try {
    refuse_unknown_verb(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::Success& shown) {
    return app.exit(shown);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "%s\n", command_mistake(app, wrong, argc, argv).c_str());
    return static_cast<int>(xp::Exit::usage);
  } catch (const xp::Error& error) {
    const std::string text = error.what();
    std::fprintf(stderr, "%s%s%s",
                 text.starts_with("error[") || text.starts_with("warning[") ? "" : "error: ", text.c_str(),
                 text.ends_with('\n') ? "" : "\n");
    return static_cast<int>(error.exit());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(xp::Exit::failed);
  }
  return program.exit;
}

}  // namespace

int main(int argc, char** argv) {
  int exit = run(argc, argv);
  std::cout.flush();
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) && exit == 0) {
    std::fputs("error: cannot write to the standard output\n", stderr);
    exit = static_cast<int>(xp::Exit::failed);
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // LibTorch's static objects take a tenth of a second to give back memory that the system takes anyway.
  std::fflush(nullptr);
  std::_Exit(exit);
#endif
  return exit;
}
