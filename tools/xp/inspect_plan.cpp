#include "inspect_plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/safetensors.h"
#include "kit/vocab_transfer.h"

namespace xp::program {
namespace {

using nlohmann::json;

constexpr std::size_t kShown = 10;

[[noreturn]] void broken(const std::filesystem::path& path, const std::string& what) {
  throw Error(path.string() + ": " + what + "; it is no ledger or mixing artifact as xp writes them", Exit::data);
}

PlanRow row_of(const json& line, PlanView& plan) {
  PlanRow out{line.at("token").get<std::string>(), line.at("rule").get<std::string>(),
              line.at("note").get<std::string>(), line.at("kept").get<bool>(), line.value("mean", 0.0)};
  for (const auto& source : line.at("sources")) {
    out.sources.push_back({source.at("id").get<std::int64_t>(), source.at("weight").get<double>()});
    plan.names.emplace(out.sources.back().id, source.at("token").get<std::string>());
  }
  return out;
}

PlanView read_ledger(const std::filesystem::path& file) {
  std::ifstream in(file);
  PlanView out;
  for (std::string line; std::getline(in, line);) {
    try {
      out.rows.push_back(row_of(json::parse(line), out));
    } catch (const json::exception& error) {
      broken(file, "line " + std::to_string(out.rows.size() + 1) + " cannot be read");
    }
  }
  return out;
}

/// Numbers of a one-dimensional tensor.
template <class T>
std::vector<T> numbers(const SafetensorsFile& file, const std::string& name, const char* dtype,
                       const std::filesystem::path& path) {
  const auto& tensor = file.at(name);
  if (tensor.dtype != dtype || tensor.shape.size() != 1) broken(path, backquoted(name) + " is no list of " + dtype);
  std::vector<T> out(tensor.size / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), tensor.data, tensor.size);
  return out;
}

PlanView read_artifact(const std::filesystem::path& folder) {
  const auto path = folder / "state.json";
  const auto about = json::parse(read_file(path), nullptr, false);
  std::vector<std::string> rules, notes, tokens, sources;
  try {
    const auto& strings = about.at("strings");
    const auto take = [&](const char* name, std::vector<std::string>& out) { strings.at(name).get_to(out); };
    take("rule", rules), take("note", notes), take("target_token", tokens), take("source_token", sources);
  } catch (const json::exception&) {
    broken(path, "tokens and rules cannot be read");
  }
  const SafetensorsFile file(folder / "state.safetensors");
  const auto start = numbers<std::int64_t>(file, "row_start", "I64", path),
             source = numbers<std::int64_t>(file, "source", "I64", path);
  const auto weight = numbers<float>(file, "weight", "F32", path),
             mean = numbers<float>(file, "uniform", "F32", path);
  const auto n = rules.size();
  if (notes.size() != n || tokens.size() != n || mean.size() != n || start.size() != n + 1 ||
      weight.size() != source.size() || start.front() != 0 || start.back() != std::ssize(source) ||
      !std::is_sorted(start.begin(), start.end()))
    broken(path, "rows and weights do not fit each other");
  PlanView out;
  for (std::size_t i = 0; i < n; ++i) {
    PlanRow row{tokens[i], rules[i], notes[i], rules[i] == kCopyRule, mean[i]};
    for (auto k = static_cast<std::size_t>(start[i]); k < static_cast<std::size_t>(start[i + 1]); ++k) {
      if (source[k] < 0 || source[k] >= std::ssize(sources)) broken(path, "a source is no token");
      row.sources.push_back({source[k], weight[k]});
      out.names.emplace(source[k], sources[static_cast<std::size_t>(source[k])]);
    }
    out.rows.push_back(std::move(row));
  }
  return out;
}

/// Of a row's weights as shares of their absolute sum; the mean of all rows counts as one source.
double entropy_of(const PlanRow& row) {
  double sum = std::abs(row.mean), out = 0;
  for (const auto& one : row.sources) sum += std::abs(one.weight);
  const auto add = [&](double weight) {
    if (weight != 0) out -= std::abs(weight) / sum * std::log(std::abs(weight) / sum);
  };
  add(row.mean);
  for (const auto& one : row.sources) add(one.weight);
  return out;
}

Table counts_of(const std::map<std::string, std::int64_t>& counts) {
  Table out;
  for (const auto& [name, n] : counts) out.insert_or_assign(name, n);
  return out;
}

std::string list_text(const Value& list, const char* weight) {
  std::string out;
  for (const auto& one : *list.as<List>()) {
    const auto& entry = *one.as<Table>();
    out += "  " + *entry.at("token").as<std::string>() + "  " + short_number(*entry.at(weight).as<double>()) + "\n";
  }
  return out;
}

}  // namespace

std::optional<PlanView> read_plan(const std::filesystem::path& path) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) {
    if (!std::filesystem::exists(path / "state.json") || !std::filesystem::exists(path / "state.safetensors"))
      return std::nullopt;
    if (!SafetensorsFile(path / "state.safetensors").tensors().contains("row_start")) return std::nullopt;
    return read_artifact(path);
  }
  if (path.extension() != ".jsonl" || !std::filesystem::exists(path, none)) return std::nullopt;
  return read_ledger(path);
}

Table summary_of(const PlanView& plan) {
  std::map<std::string, std::int64_t> rules, fallbacks;
  std::map<std::int64_t, double> mass;
  std::int64_t mixed = 0;
  double entropy = 0, most = 0;
  for (const auto& row : plan.rows) {
    ++rules[row.rule];
    if (row.copied) continue;
    if (!row.note.empty()) ++fallbacks[row.note];
    if (row.sources.empty()) continue;
    ++mixed;
    const double own = entropy_of(row);
    entropy += own, most = std::max(most, own);
    for (const auto& one : row.sources) mass[one.id] += std::abs(one.weight);
  }
  std::vector<std::pair<double, std::int64_t>> used;
  for (const auto& [id, sum] : mass) used.emplace_back(-sum, id);
  std::sort(used.begin(), used.end());
  used.resize(std::min(used.size(), kShown));
  List sources;
  for (const auto& [sum, id] : used)
    sources.push_back(Table{{"token", printable(plan.names.at(id))}, {"id", id}, {"mass", -sum}});
  return {{"rows", std::ssize(plan.rows)},
          {"rules", Value(counts_of(rules))},
          {"fallbacks", Value(counts_of(fallbacks))},
          {"mixed", mixed},
          {"entropy", mixed ? entropy / static_cast<double>(mixed) : 0.0},
          {"largest_entropy", most},
          {"most_used", Value(std::move(sources))}};
}

Table rows_of(const PlanView& plan, const std::string& token) {
  List rows;
  for (std::size_t id = 0; id < plan.rows.size(); ++id) {
    const auto& row = plan.rows[id];
    if (row.token != token && printable(row.token) != token) continue;
    auto sources = row.sources;
    std::stable_sort(sources.begin(), sources.end(),
                     [](const auto& a, const auto& b) { return std::abs(a.weight) > std::abs(b.weight); });
    List list;
    for (const auto& one : sources)
      list.push_back(Table{{"token", printable(plan.names.at(one.id))}, {"id", one.id}, {"weight", one.weight}});
    rows.push_back(Table{{"id", static_cast<std::int64_t>(id)},
                         {"token", printable(row.token)},
                         {"rule", row.rule},
                         {"note", row.note},
                         {"mean", row.mean},
                         {"sources", Value(std::move(list))}});
  }
  if (rows.empty()) {
    std::vector<std::string> known;
    for (const auto& row : plan.rows) known.push_back(row.token);
    const auto near = nearest(token, known);
    throw Error("no new token is spelt " + backquoted(printable(token)) +
                    (near ? "; did you mean " + backquoted(printable(*near)) + "?"
                          : "; spell it as the vocabulary does, with its mark of a word's start"),
                Exit::usage);
  }
  return {{"rows", Value(std::move(rows))}};
}

std::string summary_text(const Table& summary) {
  const auto rows = *summary.at("rows").as<std::int64_t>(), mixed = *summary.at("mixed").as<std::int64_t>();
  std::string out = "plan of " + std::to_string(rows) + " rows\n";
  const auto shares = [&](const char* key) {
    for (const auto& [name, n] : *summary.at(key).as<Table>()) {
      const auto share =
          100 * static_cast<double>(*n.as<std::int64_t>()) / static_cast<double>(std::max<std::int64_t>(rows, 1));
      out += "  " + name + ": " + std::to_string(*n.as<std::int64_t>()) + " (" + short_number(share) + " %)\n";
    }
  };
  shares("rules");
  if (!summary.at("fallbacks").as<Table>()->empty()) out += "rows that were not made as the method does, by reason\n";
  shares("fallbacks");
  if (mixed == 0) return out;
  const double entropy = *summary.at("entropy").as<double>();
  out += std::to_string(mixed) + " rows mix old rows: entropy " + short_number(entropy) +
         " nats on average, that of " + short_number(std::exp(entropy)) + " sources alike; " +
         short_number(*summary.at("largest_entropy").as<double>()) +
         " at most\nmost used old tokens, by the sum of their weights\n";
  return out + list_text(summary.at("most_used"), "mass");
}

std::string rows_text(const Table& rows) {
  std::string out;
  for (const auto& one : *rows.at("rows").as<List>()) {
    const auto& row = *one.as<Table>();
    const auto& note = *row.at("note").as<std::string>();
    out += std::to_string(*row.at("id").as<std::int64_t>()) + " " + *row.at("token").as<std::string>() + ": " +
           *row.at("rule").as<std::string>() + (note.empty() ? "" : ", " + note) + "\n";
    if (const double mean = *row.at("mean").as<double>(); mean != 0)
      out += "  the mean of all old rows  " + short_number(mean) + "\n";
    out += list_text(row.at("sources"), "weight");
  }
  return out;
}

}  // namespace xp::program
