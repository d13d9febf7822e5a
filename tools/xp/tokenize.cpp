#include <iostream>
#include <iterator>

#include "base/file.h"
#include "base/text.h"
#include "kit/tokenizer_files.h"
#include "plugin/loader.h"
#include "program.h"

namespace xp::program {
namespace {

struct Options {
  std::string from;
  std::vector<std::string> files;
  bool ids = false;
};

/// A folder with a tokenizer, or a stage of the newest result of a recipe: "quickstart:target_tokenizer".
std::filesystem::path folder_of(const Program& program, const std::string& from) {
  std::error_code none;
  if (std::filesystem::is_directory(from, none)) return from;
  const auto colon = from.find(':');
  if (colon == std::string::npos)
    throw Error(backquoted(printable(from)) +
                    " is no folder with a tokenizer, and no RECIPE:STAGE such as quickstart:target_tokenizer",
                Exit::usage);
  const auto results = open_results(program, {from.substr(0, colon)});
  const auto stage = from.substr(colon + 1);
  const auto* members = find(*results.front()->plan().as<Table>(), "members");
  for (const auto& member : members && members->as<List>() ? *members->as<List>() : List()) {
    const auto* digest = find(*member.as<Table>(), "stages." + stage);
    if (!digest || !digest->as<std::string>()) continue;
    const auto entry = Cache(program.results_folder()).find(*digest->as<std::string>());
    if (!entry)
      throw Error("the artifact of stage " + backquoted(stage) + " is not in the cache any more", Exit::data);
    for (const auto& inside : std::filesystem::directory_iterator(entry->folder))
      if (std::filesystem::exists(inside.path() / "tokenizer.json")) return inside.path();
    throw Error("stage " + backquoted(stage) + " made no tokenizer", Exit::data);
  }
  throw Error("the newest result of " + backquoted(from.substr(0, colon)) + " has no stage " + backquoted(stage),
              Exit::data);
}

std::string shown(const Encoder& encoder, std::string_view line, bool ids, bool json) {
  std::string out;
  if (json) {
    List numbers, pieces;
    for (const auto& token : encoder.encode(line))
      numbers.emplace_back(token.id), pieces.emplace_back(printable(encoder.text(token.id)));
    return to_json(Value(Table{{"ids", std::move(numbers)}, {"pieces", std::move(pieces)}})) + "\n";
  }
  for (const auto& token : encoder.encode(line)) {
    if (!out.empty()) out += ' ';
    out += ids ? std::to_string(token.id) : printable(encoder.text(token.id));
  }
  return out + "\n";
}

}  // namespace

void add_tokenize(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("tokenize", "Splits lines of text with a trained tokenizer.");
  auto options = std::make_shared<Options>();
  verb->add_option("tokenizer", options->from, "A folder with tokenizer.json, or RECIPE:STAGE.")->required();
  verb->add_option("files", options->files, "Text files (also .zst, .gz); none: standard input.");
  verb->add_flag("--ids", options->ids, "Ids instead of pieces.");
  verb->footer("Example: echo 'Zwölf Boxkämpfer' | xp tokenize quickstart:target_tokenizer");
  verb->callback([=, &program] {
    const auto catalogue = program.catalogue();
    Registry registry;
    std::vector<std::string> libraries;
    for (const auto* info : catalogue.list("tokenizer")) libraries.push_back(info->library);
    load_plugins(registry, catalogue, libraries);
    const auto encoder = load_tokenizer(folder_of(program, options->from), registry);
    if (!encoder)
      throw Error(backquoted(options->from) +
                      " holds no tokenizer that a stage made; name a folder with tokenizer.json and "
                      "xp_tokenizer.json, or RECIPE:STAGE",
                  Exit::data);
    std::vector<std::string> texts;
    for (const auto& file : options->files) texts.push_back(read_text_file(file));
    if (options->files.empty())
      texts.emplace_back(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    for (const auto& text : texts)
      for (const auto& line : split(text, '\n'))
        if (!line.empty()) print(shown(*encoder, line, options->ids, program.json));
  });
}

}  // namespace xp::program
