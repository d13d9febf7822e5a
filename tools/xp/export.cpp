#include <cstdio>

#include "artifact_folder.h"
#include "base/text.h"
#include "engine_door.h"
#include "named_path.h"
#include "program.h"

namespace xp::program {
namespace {

struct ExportOptions {
  std::string model, tokenizer, out;
};

void export_it(const Program& program, const ExportOptions& options) {
  ExportRequest request{.model = artifact_folder(program, options.model, {"xp.json", "config.json"}),
                        .tokenizer = named_path(options.tokenizer),
                        .out = options.out};
  const auto lost = export_in_engine(request, program.catalogue());
  std::fprintf(stderr, "model %s\n", options.out.c_str());
  if (program.json) {
    List list;
    for (const auto& one : lost) list.emplace_back(one);
    return print(to_json(Value(Table{{"out", options.out}, {"lost", std::move(list)}})) + "\n");
  }
  for (const auto& one : lost) print("not carried over: " + one + "\n");
}

}  // namespace

void add_export(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("export", "Writes a model as a directory that transformers opens.");
  auto o = std::make_shared<ExportOptions>();
  verb->add_option("model", o->model,
                   "RECIPE:STAGE, a stage's checkpoint, a model directory, a file that is read, such as .gguf, or "
                   "package:NAME/MEMBER.")
      ->required();
  verb->add_option("--out", o->out, "The new directory; it must not be there yet.")->required();
  verb->add_option("--tokenizer", o->tokenizer, "A tokenizer's directory or file, for models that have none.");
  verb->footer(
      "Examples:\n  xp export model.gguf --out model\n  xp export R:pretrain --out model\nA model has to have the "
      "shape of a family that transformers knows; the message says what does not fit.");
  verb->callback([=, &program] { export_it(program, *o); });
}

}  // namespace xp::program
