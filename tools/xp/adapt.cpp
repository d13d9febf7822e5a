#include <cstdio>

#include "adapt_measures.h"
#include "base/text.h"
#include "engine_door.h"
#include "program.h"
#include "recipe/toml_reader.h"

namespace xp::program {
namespace {

struct AdaptOptions {
  std::string model, tokenizer, initializer, out, vectors;
  std::vector<std::string> copy{"exact"}, corpus, texts;
  std::int64_t seed = 0;
  int threads = 0;
  bool report = false;
};

/// "ofa:temperature=0.05,neighbours=5": a component with parameters, values as TOML, else as text.
Table component(const std::string& text) {
  const auto source = std::make_shared<const SourceText>(SourceText{"--initializer", text, true});
  const auto colon = text.find(':');
  Table out{{"type", Value(text.substr(0, colon))}};
  if (colon == std::string::npos) return out;
  for (const auto& part : split(text.substr(colon + 1), ',')) {
    const auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(
          "--initializer takes NAME or NAME:key=value,key=value; " + backquoted(printable(part)) + " is no key=value",
          Exit::usage);
    const auto at = static_cast<int>(text.find(part) + equals + 2);
    out.insert_or_assign(part.substr(0, equals), recipe::read_override(source, part.substr(equals + 1), at));
  }
  return out;
}

void check_initializer(const Catalogue& catalogue, const Table& table) {
  const auto& type = *table.at("type").as<std::string>();
  const auto* info = catalogue.find("vocab_initializer", type);
  if (!info) {
    const auto known = catalogue.types("vocab_initializer");
    const auto near = nearest(type, known);
    std::string text = "there is no initializer " + backquoted(printable(type)) +
                       (near            ? "; did you mean " + backquoted(*near) + "?"
                        : known.empty() ? "; looked in " + join(catalogue.searched, ", ")
                                        : "; there is " + listed(known));
    for (const auto& bad : catalogue.quarantined)
      if (bad.plugin == type) text += "; " + bad.library + " is quarantined: " + bad.reason;
    throw Error(text, Exit::plugin);
  }
  Problems problems;
  for (const auto& [key, value] : table) {
    if (key == "type") continue;
    if (const auto* field = info->schema.find(key))
      check_value(*field, value, "initializer " + backquoted(type), problems);
    else
      report_unknown_key(info->schema.fields, key, value.key, "initializer " + backquoted(type), problems);
  }
  problems.raise();
}

/// Paths where an initializer takes files or a model.
Table with_paths(const Catalogue& catalogue, Table table) {
  const auto& schema = catalogue.find("vocab_initializer", *table.at("type").as<std::string>())->schema;
  for (auto& [key, value] : table) {
    const auto* field = schema.find(key);
    const auto* text = value.as<std::string>();
    if (!field || !text) continue;
    if (field->kind == Kind::files) value.data = List{Value(*text)};
    if (field->kind == Kind::artifact)
      value.data = Reference{.text = *text, .kind = field->interface, .path = *text};
  }
  return table;
}

std::string share(std::int64_t part, std::int64_t all) {
  return short_number(100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(all, 1))) + " %";
}

Table table_of(const AdaptReport& report, const std::vector<Measure>& measures) {
  Table rules, out{{"source_tokens", report.source_tokens},
                   {"target_tokens", report.target_tokens},
                   {"rows", report.rows},
                   {"ledger", report.ledger.string()},
                   {"hubness", report.hubness}};
  for (const auto& [rule, rows] : report.rules) rules.insert_or_assign(rule, rows);
  out.insert_or_assign("rules", Value(std::move(rules)));
  if (report.leak_bound) out.insert_or_assign("leak_bound", *report.leak_bound);
  List lost;
  for (const auto& one : report.lost) lost.emplace_back(one);
  out.insert_or_assign("lost", Value(std::move(lost)));
  for (const auto& one : measures)
    out.insert_or_assign(one.key, Value(Table{{"before", one.before}, {"after", one.after}, {"unit", one.unit}}));
  return out;
}

std::string text_of(const AdaptReport& report, const std::vector<Measure>& measures) {
  std::string out = std::to_string(report.target_tokens) + " tokens in place of " +
                    std::to_string(report.source_tokens) + ", tables of " + std::to_string(report.rows) + " rows\n";
  for (const auto& [rule, rows] : report.rules)
    out += "  " + rule + ": " + std::to_string(rows) + " (" + share(rows, report.target_tokens) + ")\n";
  if (report.leak_bound)
    out += "loss on old tokens rises by " + short_number(*report.leak_bound) + " nats at most, through new rows\n";
  for (const auto& one : measures)
    out += one.name + ": " + short_number(one.before) + " before, " + short_number(one.after) + " after (" +
           one.unit + ")\n";
  for (const auto& one : report.lost) out += "not carried over: " + one + "\n";
  return out + "ledger " + report.ledger.string() + "\n";
}

void adapt_model(const Program& program, const AdaptOptions& options) {
  const auto catalogue = program.catalogue();
  AdaptRequest request;
  request.model = options.model, request.tokenizer = options.tokenizer, request.out = options.out;
  request.initializer = component(options.initializer);
  check_initializer(catalogue, request.initializer);
  request.initializer = with_paths(catalogue, std::move(request.initializer));
  request.copy = options.copy, request.seed = static_cast<std::uint64_t>(options.seed);
  request.threads = options.threads;
  if (!options.vectors.empty()) request.vectors = options.vectors;
  if (!options.corpus.empty()) {
    List files;
    for (const auto& file : options.corpus) files.emplace_back(file);
    request.corpus = Table{{"type", "text"}, {"files", Value(std::move(files))}, {"language", "und"}};
  }
  if (!program.quiet) std::fprintf(stderr, "adapting %s\n", options.model.c_str());
  const auto report = adapt_in_engine(request, catalogue);
  std::vector<Measure> measures;
  if (!options.texts.empty()) {
    if (!program.quiet) std::fprintf(stderr, "measuring both models on %zu files\n", options.texts.size());
    measures = measure(program, catalogue, {options.model, options.out}, options.texts, report.capabilities);
  }
  std::fprintf(stderr, "model %s\n", options.out.c_str());
  if (program.json) return print(to_json(Value(table_of(report, measures))) + "\n");
  if (options.report || !measures.empty()) print(text_of(report, measures));
}

}  // namespace

void add_adapt(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("adapt", "Gives a model the vocabulary of another tokenizer, from files to files.");
  auto o = std::make_shared<AdaptOptions>();
  verb->add_option("--model", o->model, "A model directory, or a .gguf file.")->required();
  verb->add_option("--tokenizer", o->tokenizer, "The new tokenizer: a directory, or a file such as tokenizer.json.")
      ->required();
  verb->add_option("--initializer", o->initializer,
                   "How rows that no old token stands for are made: NAME or NAME:key=value,key=value.")
      ->required();
  verb->add_option("--out", o->out, "The new model directory; it must not be there yet.")->required();
  verb->add_option("--copy", o->copy, "Which tokens count as the same: exact, word_start, casefold.")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--vectors", o->vectors, "Word vectors (.vec, .bin, GloVe), for initializers that compare words.");
  verb->add_option("--corpus", o->corpus, "Text files, for initializers that read text.");
  verb->add_flag("--report", o->report, "Print what became of the rows.");
  verb->add_option("--text", o->texts, "Text files on which the report compares both models.");
  verb->add_option("--seed", o->seed, "Of what is drawn.")->check(CLI::NonNegativeNumber);
  verb->add_option("--threads", o->threads, "0: one per core.")->check(CLI::Range(0, 1024));
  verb->footer(
      "Example:\n  xp adapt --model MODEL_DIR --tokenizer NEW/tokenizer.json --initializer mean_of_pieces --out "
      "NEW_MODEL --report --text sample.txt\nEvery row's origin stands in OUT/vocabulary.jsonl; `xp plugins --kind "
      "initializer` lists initializers, `xp inspect initializer NAME` their parameters.");
  verb->callback([=, &program] { adapt_model(program, *o); });
}

}  // namespace xp::program
