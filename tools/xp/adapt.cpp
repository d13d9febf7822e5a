#include <cstdio>
#include <filesystem>

#include "adapt_measures.h"
#include "artifact_folder.h"
#include "base/text.h"
#include "engine_door.h"
#include "named_path.h"
#include "program.h"
#include "recipe/toml_reader.h"

namespace xp::program {
namespace {

struct AdaptOptions {
  std::string model, tokenizer, initializer, out, vectors, figure;
  std::vector<std::string> copy{"exact"}, corpus, texts;
  std::int64_t seed = 0;
  int threads = 0;
  bool report = false;
};

/// Parts between commas that stand in no bracket and no quotes.
std::vector<std::string> settings_in(const std::string& text) {
  std::vector<std::string> out(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      quote = c == quote ? '\0' : quote;
    } else {
      if (c == '\'' || c == '"') quote = c;
      depth += (c == '[' || c == '{') - (c == ']' || c == '}');
      if (c == ',' && depth == 0) {
        out.emplace_back();
        continue;
      }
    }
    out.back() += c;
  }
  return out;
}

/// "ofa:temperature=0.05,neighbours=5": a component with parameters, values as TOML, else as text.
Table component(const std::string& text) {
  const auto source = std::make_shared<const SourceText>(SourceText{"--initializer", text, true});
  const auto colon = text.find(':');
  Table out{{"type", Value(text.substr(0, colon))}};
  if (colon == std::string::npos) return out;
  for (const auto& part : settings_in(text.substr(colon + 1))) {
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

const ComponentInfo& known_initializer(const Catalogue& catalogue, const Table& table) {
  const auto found = table.find("type");
  const auto* named = found == table.end() ? nullptr : found->second.as<std::string>();
  if (!named) throw Error("an initializer inside another is a table with `type`", Exit::usage);
  const auto& type = *named;
  const auto* info = catalogue.find("vocab_initializer", type);
  if (info) return *info;
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

/// The checkpoint of RECIPE:STAGE; what names no stage stays as it is, for whoever reads it to say what is wrong.
std::string model_folder(const Program& program, const std::string& named) {
  const bool stage = named.find(':') != std::string::npos && !std::filesystem::exists(named);
  return stage ? artifact_folder(program, named, {"xp.json"}).string() : named;
}

/// Checks an initializer and those inside it; texts become the files and models that they name.
Table resolved(const Program& program, const Catalogue& catalogue, Table table) {
  const auto& info = known_initializer(catalogue, table);
  const auto owner = "initializer " + backquoted(info.type);
  Problems problems;
  for (auto& [key, value] : table) {
    if (key == "type") continue;
    const auto* field = info.schema.find(key);
    if (!field) {
      report_unknown_key(info.schema.fields, key, value.key, owner, problems);
      continue;
    }
    if (!check_value(*field, value, owner, problems)) continue;
    const auto part = [&](Value& one) {
      if (const auto* name = one.as<std::string>()) one.data = Table{{"type", Value(*name)}};
      if (auto* inner = one.as<Table>()) one.data = resolved(program, catalogue, std::move(*inner));
    };
    const auto* text = value.as<std::string>();
    const bool parts = field->kind == Kind::list && field->fields.front().kind == Kind::part;
    if (field->kind == Kind::files && text) {
      value.data = List{Value(named_path(*text))};
    } else if (field->kind == Kind::artifact && text) {
      value.data = Reference{.text = *text, .kind = field->interface, .path = model_folder(program, *text)};
    } else if (field->kind == Kind::part) {
      part(value);
    } else if (auto* list = value.as<List>(); list && parts) {
      for (auto& one : *list) part(one);
    }
  }
  problems.raise();
  for (const auto& field : info.schema.fields)
    if (field.required && !table.contains(field.name))
      throw Error(owner + " needs " + backquoted(field.name) + ": " + field.doc, Exit::usage);
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
  request.model = model_folder(program, options.model), request.tokenizer = named_path(options.tokenizer);
  request.out = options.out;
  request.initializer = resolved(program, catalogue, component(options.initializer));
  request.copy = options.copy, request.seed = static_cast<std::uint64_t>(options.seed);
  request.threads = options.threads;
  if (!options.figure.empty()) request.figure = options.figure;
  if (!options.vectors.empty()) request.vectors = named_path(options.vectors);
  if (!options.corpus.empty()) {
    List files;
    for (const auto& file : options.corpus) files.emplace_back(named_path(file));
    request.corpus = Table{{"type", "text"}, {"files", Value(std::move(files))}, {"language", "und"}};
  }
  if (!program.quiet)
    request.progress = [&](std::string_view what) {
      std::fprintf(stderr, "adapting %s: %.*s\n", options.model.c_str(), static_cast<int>(what.size()), what.data());
    };
  const auto report = adapt_in_engine(request, catalogue);
  std::vector<Measure> measures;
  if (!options.texts.empty()) {
    if (!program.quiet)
      std::fprintf(stderr, "adapting %s: measuring both models on %zu files\n", options.model.c_str(),
                   options.texts.size());
    measures = measure(program, catalogue, {request.model, options.out}, options.texts, report.capabilities);
  }
  std::fprintf(stderr, "model %s\n", options.out.c_str());
  if (program.json) return print(to_json(Value(table_of(report, measures))) + "\n");
  if (options.report || !measures.empty()) print(text_of(report, measures));
}

}  // namespace

void add_adapt(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("adapt", "Gives a model the vocabulary of another tokenizer, from files to files.");
  auto o = std::make_shared<AdaptOptions>();
  verb->add_option("--model", o->model, "A model directory, a .gguf file, package:NAME/MEMBER, or RECIPE:STAGE.")
      ->required();
  verb->add_option("--tokenizer", o->tokenizer,
                   "The new tokenizer: a directory, a file such as tokenizer.json, or package:NAME/MEMBER.")
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
  verb->add_option(
      "--figure", o->figure,
      "Where to draw (SVG) old and new input rows on the two directions in which the old ones spread most.");
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
