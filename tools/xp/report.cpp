#include "base/file.h"
#include "base/text.h"
#include "program.h"
#include "results/report_html.h"

namespace xp::program {
namespace {

void report(const Program& program, const std::vector<std::string>& names, const std::string& out) {
  const auto opened = open_results(program, names);
  std::filesystem::path file = out;
  if (file.empty()) {
    file = opened.front()->path();
    file.replace_filename(file.stem().string() + (opened.size() > 1 ? "-compared" : "") + ".html");
  }
  std::error_code none;
  if (std::filesystem::is_directory(file, none))
    throw Error(backquoted(out) + " is a folder; name a file, e.g. " + backquoted((file / "report.html").string()),
                Exit::usage);
  write_file(file, report_html(pointers(opened)));
  print(program.json ? to_json(Value(Table{{"file", file.string()}})) + "\n" : file.string() + "\n");
}

}  // namespace

void add_report(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "report", "One HTML file with all that results say, for any browser, without a network or a script.");
  auto results = std::make_shared<std::vector<std::string>>();
  auto out = std::make_shared<std::string>();
  add_results_to(*verb, *results);
  verb->add_option("--out,-o", *out, "The file (default: beside the first result, with its name).");
  verb->footer(
      "Examples:\n"
      "  xp report quickstart\n"
      "  xp report results/quickstart/RUN_A.h5 results/quickstart/RUN_B.h5 -o compared.html\n"
      "Runs that are still at work, or were killed, can be read too.");
  verb->callback([=, &program] { report(program, *results, *out); });
}

}  // namespace xp::program
