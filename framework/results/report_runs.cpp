// Runs of a report: what they are, where they ran, what they were told.
#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/text.h"
#include "results/markup.h"
#include "results/report_parts.h"

namespace xp::detail {
namespace {

constexpr std::size_t kMostLogLines = 500;

const Table& plan_of(const ReportRun& run) { return *run.result->plan().as<Table>(); }

/// Seconds since 1970 of "2026-11-27T09:13:59Z".
std::optional<double> seconds_of(const std::string& utc) {
  std::tm parts{};
  const char* end = ::strptime(utc.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (!end || *end) return {};
  return static_cast<double>(::timegm(&parts));
}

std::string run_status(const ReportRun& run) {
  if (!run.result->open()) {
    const auto status = run.attribute("status");
    return status == "done" ? escaped(status) : element("span", escaped(status), "class=\"bad\"");
  }
  return element("span", run.result->alive() ? "running" : "killed, not yet repaired", "class=\"bad\"");
}

std::string took(const ReportRun& run) {
  const auto from = seconds_of(run.attribute("started")), to = seconds_of(run.attribute("ended"));
  return from && to && *to >= *from ? escaped(duration_text(*to - *from)) : "";
}

std::string seeds_of(const ReportRun& run) {
  std::set<std::int64_t> seeds;
  for (const auto& member : run.study.members) seeds.insert(member.seed);
  std::vector<std::string> texts;
  for (const auto seed : seeds) texts.push_back(std::to_string(seed));
  return escaped(join(texts, ", "));
}

std::string arms_of(const ReportRun& run) {
  std::vector<std::string> labels;
  for (const auto& arm : run.study.arms) labels.push_back(arm.label.empty() ? "(the recipe itself)" : arm.label);
  return escaped(join(labels, ", "));
}

std::string stage_counts(const ReportRun& run) {
  std::size_t made = 0, cached = 0, rest = 0;
  for (const auto& stage : run.stages) {
    const bool from_cache = stage.status.status == "cached";
    ++(!stage.status.complete ? rest : from_cache ? cached : made);
  }
  std::string out = grouped(made) + " made, " + grouped(cached) + " from the cache";
  return rest > 0 ? out + ", " + element("span", grouped(rest) + " not finished", "class=\"bad\"") : out;
}

using Line = std::pair<std::string, std::vector<std::string>>;  // what, and its text in each run

/// A table of facts with a column for each run; `mark` shows which differ between runs.
std::string facts(const std::vector<ReportRun>& runs, const std::vector<Line>& lines, bool mark) {
  std::vector<std::string> head{runs.size() > 1 ? "run" : ""};
  for (const auto& run : runs) head.push_back(run.letter);
  HtmlTable table(head);
  for (const auto& [what, texts] : lines) {
    if (std::all_of(texts.begin(), texts.end(), [](const std::string& text) { return text.empty(); })) continue;
    const bool differs = std::any_of(texts.begin(), texts.end(), [&](auto& text) { return text != texts.front(); });
    std::vector<std::string> cells{what};
    for (const auto& text : texts) cells.push_back(text.empty() ? "\u2013" : text);
    table.row(cells, mark && differs ? "class=\"differs\"" : "");
  }
  return element("div", "\n" + table.text(), "class=\"facts\"") + "\n";
}

template <class Of>
Line line(const std::vector<ReportRun>& runs, const std::string& what, Of of) {
  Line out{what, {}};
  for (const auto& run : runs) out.second.push_back(of(run));
  return out;
}

std::string code_or_nothing(const std::string& text) { return text.empty() ? text : element("code", escaped(text)); }

std::string warnings(const ReportRun& run) {
  std::string out;
  const auto warn = [&](const std::string& text) {
    out += element("p", (run.letter.empty() ? "" : "Run " + run.letter + ": ") + text, "class=\"warning\"") + "\n";
  };
  if (run.result->open())
    warn(run.result->alive()
             ? "This run is still at work: the page shows what it had recorded when the page was made."
             : "The process of this run is gone: the page shows what it had recorded; " +
                   element("code", "xp repair") + " folds it into a result file.");
  std::set<std::string> failures;
  for (const auto& stage : run.stages)
    if (stage.status.status.starts_with("failed") && failures.insert(stage.status.status).second)
      warn("Stage " + element("code", escaped(stage.name)) + " (" + escaped(run.users(stage)) + ") " +
           sentence(stage.status.status));
  return out;
}

}  // namespace

std::string run_heading(const ReportRun& run) {
  if (run.letter.empty()) return {};
  return element("h3", "Run " + run.letter + ": " + escaped(run.study.name) + " " +
                           element("code", escaped(run.attribute("run")))) +
         "\n";
}

std::string runs_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& run : runs) out += warnings(run);
  const auto attribute = [&](const std::string& what, const std::string& key) {
    return line(runs, what, [&](const ReportRun& run) { return escaped(run.attribute(key)); });
  };
  const auto setting = [](const ReportRun& run) {
    std::vector<std::string> parts;
    for (const auto* key : {"device", "precision", "determinism"})
      if (const auto text = run.attribute(key); !text.empty()) parts.push_back(text);
    return escaped(join(parts, ", "));
  };
  return out + facts(runs,
                     {line(runs, "recipe", [](const ReportRun& run) { return escaped(run.study.name); }),
                      line(runs, "run", [](const ReportRun& run) { return code_or_nothing(run.attribute("run")); }),
                      line(runs, "status", run_status), attribute("started", "started"), attribute("ended", "ended"),
                      line(runs, "took", took), attribute("host", "host"), line(runs, "setting", setting),
                      line(runs, "seeds", seeds_of), line(runs, "arms", arms_of), line(runs, "stages", stage_counts),
                      line(runs, "command",
                           [](const ReportRun& run) { return code_or_nothing(run.attribute("command")); })},
                     false);
}

std::string environment_part(const std::vector<ReportRun>& runs) {
  // Shown elsewhere, or no more than a step on the way.
  const std::set<std::string> elsewhere{"recipe", "plugins", "recipe_name", "run",
                                        "status", "started", "ended",       "command"};
  std::set<std::string> keys;
  std::map<std::string, std::map<std::size_t, std::string>> plugins;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [key, value] : runs[i].result->attributes())
      if (!elsewhere.contains(key)) keys.insert(key);
    for (const auto& one : split(runs[i].attribute("plugins"), '\n'))
      if (const auto space = one.find(' '); space != std::string::npos)
        plugins[one.substr(0, space)][i] = one.substr(space + 1);
  }
  std::vector<Line> lines, libraries;
  for (const auto& key : keys)
    lines.push_back(line(runs, escaped(key), [&](const ReportRun& run) { return escaped(run.attribute(key)); }));
  for (const auto& [name, hashes] : plugins) {
    Line one{element("code", escaped(name)), std::vector<std::string>(runs.size())};
    for (const auto& [i, hash] : hashes) one.second[i] = element("code", escaped(hash), "class=\"hash\"");
    libraries.push_back(std::move(one));
  }
  std::string out = lines.empty() ? "" : facts(runs, lines, true);
  if (!libraries.empty())
    out += details(count(libraries.size(), "plugin") + " with the sha256 of each", facts(runs, libraries, true));
  return out;
}

std::string recipe_part(const std::vector<ReportRun>& runs) {
  std::string out, last;
  for (const auto& run : runs) {
    const auto source = run.attribute("recipe");
    std::string own;
    if (!source.empty() && source == last)
      own += element("p", "The same recipe as that of the run before.", "class=\"note\"") + "\n";
    else if (!source.empty())
      own += details("The recipe as it was written", element("pre", escaped_lines(source)) + "\n");
    last = source;
    const auto* text = find(plan_of(run), "text");
    if (text && text->as<std::string>() && !text->as<std::string>()->empty())
      own += details("The plan with every default (" + element("code", "xp show") + ")",
                     element("pre", escaped_lines(*text->as<std::string>())) + "\n");
    if (!own.empty()) out += run_heading(run) + own;
  }
  return out;
}

std::string log_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& run : runs) {
    const auto& log = run.result->log();
    if (log.empty()) continue;
    const auto first = log.size() > kMostLogLines ? log.size() - kMostLogLines : 0;
    std::string text = first > 0 ? grouped(first) + " earlier lines in the result file\n" : "";
    for (auto i = first; i < log.size(); ++i) text += escaped(log[i]) + "\n";
    out += run_heading(run) + details(count(log.size(), "line"), element("pre", text) + "\n");
  }
  return out;
}

}  // namespace xp::detail
