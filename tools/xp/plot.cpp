#include "base/file.h"
#include "base/text.h"
#include "draw.h"
#include "results/figures.h"

namespace xp::program {
namespace {

struct PlotOptions {
  std::vector<std::string> results;
  std::string x, y, id, out, format;
  double width = kFigureWidth;
};

/// The recipe's figures, one of them, or the one that --x and --y state.
std::vector<FigureSpec> wanted_figures(const Result& result, const PlotOptions& options) {
  if (options.x.empty() != options.y.empty()) throw Error("--x and --y go together", Exit::usage);
  if (!options.x.empty()) {
    FigureSpec own;
    own.id = options.id.empty() ? "figure" : options.id, own.x = options.x, own.y = options.y;
    return {own};
  }
  auto specs = figures_from(result.plan());
  if (specs.empty()) throw Error("the recipe states no [[figure]]; give --x and --y", Exit::usage);
  if (options.id.empty()) return specs;
  std::vector<std::string> ids;
  for (const auto& spec : specs) ids.push_back(spec.id);
  std::erase_if(specs, [&](const auto& spec) { return spec.id != options.id; });
  if (specs.empty())
    throw Error("the recipe states no figure " + backquoted(options.id) + "; it has " + listed(ids), Exit::usage);
  return specs;
}

/// The format that a file's name ends with; empty for a folder.
std::string format_of(const std::filesystem::path& file) {
  const auto ending = file.extension().string();
  for (const auto& format : picture_formats())
    if (ending == "." + format) return format;
  return {};
}

void plot(const Program& program, const PlotOptions& options) {
  const auto opened = open_results(program, options.results);
  const auto specs = wanted_figures(*opened.front(), options);
  const std::filesystem::path out = options.out;
  const auto named = format_of(out);
  const auto format = !options.format.empty() ? options.format : named.empty() ? "svg" : named;
  if (!named.empty() && named != format)
    throw Error("--format says " + format + ", but " + backquoted(options.out) + " ends with ." + named, Exit::usage);
  if (!named.empty() && specs.size() > 1)
    throw Error("the recipe states " + count(specs.size(), "figure") +
                    " and -o names one file; name a folder, or one "
                    "figure with --id",
                Exit::usage);
  const auto& first = opened.front()->path();
  const auto folder = !named.empty() ? out.parent_path() : out.empty() ? first.parent_path() / first.stem() : out;
  const auto study = study_of(pointers(opened));
  List files;
  for (const auto& spec : specs) {
    const auto picture = drawn(program, to_svg(build_figure(spec, study), options.width), format);
    if (!folder.empty()) std::filesystem::create_directories(folder);
    const auto file = named.empty() ? folder / (spec.id + "." + format) : out;
    write_file(file, picture);
    if (!program.json) print(file.string() + "\n");
    files.emplace_back(file.string());
  }
  if (program.json) print(to_json(Value(Table{{"files", std::move(files)}})) + "\n");
}

}  // namespace

void add_plot(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("plot", "Figures from result files alone: lines with bands over seeds.");
  auto options = std::make_shared<PlotOptions>();
  add_results_to(*verb, options->results);
  verb->add_option("--x", options->x, "Counter, e.g. adapt.bytes; with --y instead of the recipe's figures.");
  verb->add_option("--y", options->y, "Curve, e.g. adapt.bits_per_byte.bits.");
  verb->add_option("--id", options->id, "Only this figure of the recipe; with --x and --y the file's name.");
  verb->add_option("--out,-o", options->out,
                   "A file that ends with .svg, .png or .pdf, or a folder (default: beside the result).");
  verb->add_option("--format", options->format, "svg, png or pdf (default: by the ending of -o, else svg).")
      ->check(CLI::IsMember(picture_formats()));
  verb->add_option("--width", options->width, "Width in CSS pixels; a PNG has two for each, a PDF 0.75 points.")
      ->check(CLI::Range(100, 4000))
      ->capture_default_str();
  verb->footer(
      "Examples:\n"
      "  xp plot quickstart\n"
      "  xp plot quickstart --x adapt.bytes --y adapt.bits_per_byte.bits -o curves.pdf\n"
      "  xp plot quickstart --format png --width 1200 -o figures");
  verb->callback([=, &program] { plot(program, *options); });
}

}  // namespace xp::program
