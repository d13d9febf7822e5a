#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/file.h"
#include "base/text.h"
#include "kit/pipeline/directory.h"
#include "kit/tokenizer_files.h"
#include "named_path.h"
#include "plugin/loader.h"
#include "program.h"
#include "tokenize_stream.h"

namespace xp::program {
namespace {

struct Options {
  std::string from, tokenizer, format = "lines";
  std::vector<std::string> files, inputs;
  bool ids = false, no_special = false, decode = false;
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

/// A tokenizer that a stage made, with the plugin that made it.
std::shared_ptr<const Encoder> stage_tokenizer(const Program& program, const std::filesystem::path& folder) {
  const auto catalogue = program.catalogue();
  Registry registry;
  std::vector<std::string> libraries;
  for (const auto* info : catalogue.list("tokenizer")) libraries.push_back(info->library);
  load_plugins(registry, catalogue, libraries);
  return load_tokenizer(folder, registry);
}

void show_pieces(const Program& program, const Encoder& encoder, const Options& options) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& file : options.files) texts.emplace_back(file, read_text_file(file));
  if (options.files.empty())
    texts.emplace_back("standard input",
                       std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()));
  for (const auto& [name, text] : texts) {
    std::int64_t number = 0;
    for (const auto& line : split(text, '\n')) {
      ++number;
      if (line.empty()) continue;
      print(shown(encoder, line, options.ids, program.json));
      const auto warning = invalid_utf8_warning(line, name + ":" + std::to_string(number));
      std::fwrite(warning.data(), 1, warning.size(), stderr);
    }
  }
}

void refuse_without_json(bool given, const char* option) {
  if (given) throw Error(std::string(option) + " is for --json with a tokenizer.json (--tokenizer)", Exit::usage);
}

void tokenize(const Program& program, Options options) {
  options.from = named_path(options.from), options.tokenizer = named_path(options.tokenizer);
  options.files.insert(options.files.end(), options.inputs.begin(), options.inputs.end());
  if (options.tokenizer.empty()) {
    if (options.from.empty()) throw CLI::RequiredError("tokenizer");
    std::error_code none;
    const std::filesystem::path path = options.from;
    const bool is_other = std::filesystem::is_regular_file(path, none) ||
                          (std::filesystem::is_directory(path, none) && !exists(path / "xp_tokenizer.json", none));
    if (is_other) options.tokenizer = options.from;
  } else if (!options.from.empty()) {
    options.files.insert(options.files.begin(), options.from);
  }
  const bool stream = program.json && !options.tokenizer.empty();
  if (!stream) {
    refuse_without_json(options.no_special, "--no-special-tokens");
    refuse_without_json(options.decode, "--decode");
    refuse_without_json(options.format != "lines", "--input-format jsonl");
  }
  if (options.tokenizer.empty()) {
    const auto encoder = stage_tokenizer(program, folder_of(program, options.from));
    if (!encoder) throw Error(backquoted(options.from) + " holds no tokenizer that a stage made", Exit::data);
    return show_pieces(program, *encoder, options);
  }
  const auto pipeline = pipeline::read_pipeline_path(options.tokenizer);
  if (!stream) return show_pieces(program, *pipeline, options);
  StreamOptions how;
  how.jsonl = options.format == "jsonl", how.special = !options.no_special, how.decode = options.decode;
  tokenize_stream(*pipeline, options.files, how);
}

}  // namespace

void add_tokenize(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("tokenize", "Splits lines of text with a tokenizer.");
  auto options = std::make_shared<Options>();
  verb->add_option("tokenizer", options->from,
                   "A tokenizer.json or a folder with one, or RECIPE:STAGE. Left out with --tokenizer.");
  verb->add_option("files", options->files, "Text files (also .zst, .gz); none: standard input.");
  verb->add_option("--tokenizer", options->tokenizer,
                   "A tokenizer.json of any tool, or a folder with one, with vocab.txt, or with vocab.json and "
                   "merges.txt.");
  verb->add_option("--input", options->inputs, "A file as in FILES; may be repeated.");
  verb->add_option(
          "--input-format", options->format,
          "With --json: lines (each an input, split at \\n only), or jsonl (each a JSON text or a table with "
          "`text`).")
      ->check(CLI::IsMember({"lines", "jsonl"}));
  verb->add_flag("--ids", options->ids, "Ids instead of pieces.");
  verb->add_flag("--no-special-tokens", options->no_special,
                 "With --json: without the tokens that post-processing adds.");
  verb->add_flag(
      "--decode", options->decode,
      "With --json: also the text of the ids, without (`decoded`) and with special tokens (`decoded_raw`).");
  verb->footer(
      "With --json and a tokenizer.json, each input gives an object with ids, offsets (bytes of the input), and\n"
      "special_tokens_mask; truncation and padding of the file apply, to each input alone. Broken UTF-8 is read as\n"
      "U+FFFD, reported, and listed in invalid_utf8 (bytes).\n"
      "Examples:\n"
      "  echo 'Zwölf Boxkämpfer' | xp tokenize quickstart:target_tokenizer\n"
      "  xp tokenize --tokenizer tokenizer.json --input text.txt --input-format lines --json\n"
      "  xp tokenize --tokenizer bert-base-uncased/ --input texts.jsonl --input-format jsonl --json --decode");
  verb->callback([=, &program] { tokenize(program, *options); });
}

}  // namespace xp::program
