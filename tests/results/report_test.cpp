// Reports: each part is there, nothing in it is markup by accident, and nothing in it asks for anything outside.
#include "results/report_html.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/text.h"
#include "results/spec.h"
#include "support.h"

namespace {

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

const std::string kEvil = "<script>alert(\"1\")</script>";

struct ReportRecipe {
  std::string name = "trial";
  std::vector<std::string> arms{"new", "old"};
  std::int64_t seeds = 6;
  double gain = 0.1;        ///< of the first arm
  std::string rank = "64";  ///< a setting of the first arm
  std::string split = "pairs:test";
  bool figures = true;
};

std::string stage_digest(const ReportRecipe& recipe, const std::string& arm, std::int64_t seed) {
  return digest_of(arm + std::to_string(seed) + recipe.rank + recipe.split + std::to_string(recipe.gain));
}

Value report_plan(const ReportRecipe& recipe) {
  List arms, members;
  Table nodes;
  for (const auto& arm : recipe.arms) {
    arms.push_back(Table{{"name", arm}, {"label", arm == "new" ? "Arm " + kEvil : arm}});
    for (std::int64_t seed = 0; seed < recipe.seeds; ++seed) {
      const auto digest = stage_digest(recipe, arm, seed);
      members.push_back(Table{{"arm", arm}, {"seed", seed}, {"stages", Table{{"score", digest}}}});
      Table settings{{"steps", 10}, {"way", Table{{"type", arm}}}};
      if (arm == "new") settings["way"].as<Table>()->emplace("rank", recipe.rank);
      nodes[digest] = Table{{"name", "score"}, {"type", "fit"}, {"settings", settings}};
    }
  }
  ClaimSpec claim;
  claim.id = "new_is_better", claim.says = "It helps " + kEvil, claim.metric = "score.task.accuracy",
  claim.arm = "new", claim.baseline = {"old"};
  TableSpec table;
  table.id = "main", table.title = "Numbers & " + kEvil, table.columns = {"score.task.accuracy"};
  FigureSpec figure;
  figure.id = "curve", figure.x = "score.tokens", figure.y = "score.loss";
  return Table{{"name", recipe.name},
               {"plan_id", "p"},
               {"summary", "What " + kEvil + " does"},
               {"arms", arms},
               {"members", members},
               {"nodes", nodes},
               {"claims", List{to_value(claim)}},
               {"tables", List{to_value(table)}},
               {"figures", recipe.figures ? List{to_value(figure)} : List{}},
               {"text", "recipe trial\n  every default\n"}};
}

void record_stage(Recorder& to, const ReportRecipe& recipe, const std::string& arm, std::int64_t seed) {
  const double gain = arm == "new" ? recipe.gain : 0, noise = 0.001 * static_cast<double>(seed);
  for (std::int64_t step = 0; step < 5; ++step)
    to.point("loss", 2 - 0.1 * static_cast<double>(step) - gain - noise, counters_at(step),
             {"nats/token", "", "", ""});
  to.metric("task.accuracy", 0.5 + gain + noise, {"share", "", recipe.split, "1"});
  for (int i = 0; i < 3; ++i) to.item("pairs", "pair " + kEvil + std::to_string(i), "right", i % 2);
  for (int i = 0; i < 250; ++i) to.ledger("tokens", {"token", "way"}, {"t" + std::to_string(i), kEvil});
  to.counters(counters_at(5));
  to.note("noted " + kEvil);
}

void make_stage(Cache& cache, const ReportRecipe& recipe, const std::string& arm, std::int64_t seed) {
  const auto digest = stage_digest(recipe, arm, seed);
  if (cache.find(digest)) return;
  const auto lease = cache.claim(digest);
  {
    JournalRecorder to(lease->work() / kRecordFile);
    record_stage(to, recipe, arm, seed);
  }
  write_file(lease->work() / "output", "w");
  CacheEntry about;
  about.stage_type = "fit", about.stage_name = "score", about.recipe = recipe.name, about.seconds = 1;
  lease->commit(about);
}

Attributes report_attributes(const ReportRecipe& recipe) {
  return {{"recipe", "# " + kEvil + "\nname\t= \"" + recipe.name + "\"\n"},
          {"command", "xp run " + kEvil},
          {"host", "here"},
          {"started", "2026-01-02T03:04:05Z"},
          {"ended", "2026-01-02T03:04:05Z"},
          {"device", "cpu"},
          {"plugins", "one " + digest_of("one") + "\ntwo " + digest_of(recipe.rank)}};
}

fs::path closed_report_run(const fs::path& results, const std::string& id, const ReportRecipe& recipe = {}) {
  Cache cache(results);
  RunLog run(results, recipe.name, id, report_attributes(recipe), report_plan(recipe));
  for (const auto& arm : recipe.arms)
    for (std::int64_t seed = 0; seed < recipe.seeds; ++seed) {
      make_stage(cache, recipe, arm, seed);
      run.stage(stage_digest(recipe, arm, seed), seed == 0 ? "cached" : "done");
    }
  run.log_line("logged " + kEvil);
  return run.close("done", cache);
}

std::string report_on(const std::vector<fs::path>& files) {
  std::vector<std::unique_ptr<Result>> opened;
  std::vector<const Result*> results;
  for (const auto& file : files) opened.push_back(read_result(file)), results.push_back(opened.back().get());
  return report_html(results);
}

/// Empty, or the first place where tags do not nest, or where a bare & or < stands in text.
std::string html_mistake(const std::string& html) {
  const std::vector<std::string> kVoid{"!doctype", "meta", "link", "wbr"};
  std::vector<std::string> open;
  for (std::size_t i = 0; i < html.size(); ++i) {
    if (html[i] == '&') {
      const auto entity = html.substr(i, html.find(';', i) - i + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;") return html.substr(i, 40);
    }
    if (html[i] != '<') continue;
    const auto end = html.find('>', i);
    const auto tag = html.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string::npos) return html.substr(i, 40);
    const auto name = tag.substr(0, tag.find_first_of(" \n"));
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return "</" + tag.substr(1) + "> at " + html.substr(i, 60);
      open.pop_back();
    } else if (tag.back() != '/' && std::find(kVoid.begin(), kVoid.end(), name) == kVoid.end()) {
      open.push_back(name);
      if (name == "style") i = html.find("</style>", i) - 1;
    }
    if (i < end && name != "style") i = end;
  }
  return open.empty() ? "" : "open at the end: " + open.back();
}

/// Values of an attribute wherever it stands.
std::vector<std::string> values_of(const std::string& html, const std::string& attribute) {
  std::vector<std::string> out;
  const auto key = " " + attribute + "=\"";
  for (auto at = html.find(key); at != std::string::npos; at = html.find(key, at + 1)) {
    const auto start = at + key.size();
    out.push_back(html.substr(start, html.find('"', start) - start));
  }
  return out;
}

TEST_CASE("a report has every part, and all text in it is escaped") {
  const Scratch scratch;
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa")});
  CHECK(html_mistake(html) == "");
  CHECK(html.find("<script") == std::string::npos);
  for (const auto* id : {"runs", "claims", "tables", "figures", "arms", "numbers", "stages", "records", "recipe",
                         "environment", "log"}) {
    CHECK_THAT(html, ContainsSubstring("<section id=\"" + std::string(id) + "\">"));
    CHECK_THAT(html, ContainsSubstring("<a href=\"#" + std::string(id) + "\">"));
  }
  const std::string seen = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;";
  for (const auto* before :
       {"What ", "It helps ", "Arm ", "Numbers &amp; ", "noted ", "logged ", "# ", "xp run ", "pair "})
    CHECK_THAT(html, ContainsSubstring(before + seen));
}

TEST_CASE("a report says verdict, numbers and where they come from") {
  const Scratch scratch;
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa")});
  CHECK_THAT(html, ContainsSubstring("<article class=\"claim pass\">"));
  CHECK_THAT(html, ContainsSubstring("\u2713 PASS</span> new_is_better"));
  CHECK_THAT(html, ContainsSubstring("p = 0.01562 is at most alpha 0.05."));
  CHECK_THAT(html, ContainsSubstring("<title>seed 3: +0.1</title>"));  // a dot for each pair
  CHECK_THAT(html, ContainsSubstring("<td class=\"number\">0.01562</td>"));
  CHECK_THAT(html, ContainsSubstring("<strong>0.6025<span class=\"spread\"> ± 0.0019</span></strong>"));
  CHECK_THAT(html,
             ContainsSubstring("<code>score.way.rank</code></th><td><span>64</span></td><td><span>\u2013</span>"));
  CHECK_THAT(html, ContainsSubstring("Of 3 settings, the 2 that differ"));
  CHECK_THAT(html, ContainsSubstring("<code>score</code></th><td class=\"number\">fit</td>"));
  CHECK_THAT(html, ContainsSubstring("10 made, 2 from the cache"));
  CHECK_THAT(html, ContainsSubstring("<th scope=\"row\">t199</th>"));
  CHECK_THAT(html, !ContainsSubstring("<th scope=\"row\">t200</th>"));
  CHECK_THAT(html, ContainsSubstring("50 more rows in the result file."));
  CHECK_THAT(html, ContainsSubstring("\nname    = &quot;trial&quot;\n"));
  CHECK_THAT(html, ContainsSubstring("recipe trial\n  every default\n"));
  CHECK_THAT(html, ContainsSubstring("<code class=\"hash\">" + digest_of("one") + "</code>"));
}

TEST_CASE("nothing in a report is fetched, and no script may run in it") {
  const Scratch scratch;
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa")});
  for (const auto* attribute : {"href", "src", "srcset", "action", "data", "poster"})
    for (const auto& value : values_of(html, attribute)) CHECK((value.starts_with("#") || value == "data:,"));
  CHECK(html.find("@import") == std::string::npos);
  CHECK(html.find("url(") == std::string::npos);
  CHECK_THAT(html, ContainsSubstring("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:;"));
}

TEST_CASE("the same result gives the same bytes, wherever it lies") {
  const Scratch scratch, other;
  const auto file = closed_report_run(scratch.path(), "20260102-030405-aaaa");
  const auto html = report_on({file});
  CHECK(report_on({file}) == html);
  fs::create_directories(other / "trial");
  fs::copy_file(file, other / "trial" / file.filename().string());
  CHECK(report_on({other / "trial" / file.filename().string()}) == html);
}

TEST_CASE("without a figure in the recipe all curves are drawn") {
  const Scratch scratch;
  ReportRecipe recipe;
  recipe.figures = false;
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa", recipe)});
  CHECK_THAT(html, ContainsSubstring(">score: loss</text>"));
  CHECK_THAT(html, ContainsSubstring("Lines: mean over seeds. Bands: lowest to highest seed."));
}

TEST_CASE("a run at work is shown with what it has, and says so") {
  const Scratch scratch;
  ReportRecipe recipe;
  Cache cache(scratch.path());
  RunLog run(scratch.path(), "trial", "20260102-030405-aaaa", report_attributes(recipe), report_plan(recipe));
  make_stage(cache, recipe, "new", 0);
  run.stage(stage_digest(recipe, "new", 0), "done");
  const auto unfinished = stage_digest(recipe, "old", 0);
  const auto lease = cache.claim(unfinished);
  JournalRecorder to(lease->work() / kRecordFile);
  record_stage(to, recipe, "old", 0);
  to.sync();
  run.stage(unfinished, "started");
  run.stage(stage_digest(recipe, "old", 1), "failed: no " + kEvil);
  const auto html = report_on({run.journal()});
  CHECK(html_mistake(html) == "");
  CHECK_THAT(html, ContainsSubstring("This run is still at work"));
  CHECK_THAT(html, ContainsSubstring("? UNDECIDED"));
  CHECK_THAT(html, ContainsSubstring("1 made, 0 from the cache, <span class=\"bad\">11 not finished</span>"));
  CHECK_THAT(html, ContainsSubstring("failed: no &lt;script&gt;"));
  // The unfinished stage has a line in the figure, and no number in the table.
  CHECK_THAT(html, ContainsSubstring("text-anchor=\"start\">old</text>"));
  CHECK_THAT(html, ContainsSubstring("<th scope=\"row\">old</th><td class=\"number\">\u2013"));
}

TEST_CASE("a killed run is shown with what it has, and says so") {
  const Scratch scratch;
  const ReportRecipe recipe;
  const auto child = start_child([&] {
    Cache cache(scratch.path());
    make_stage(cache, recipe, "new", 0);
    RunLog run(scratch.path(), "trial", "20260102-030405-aaaa", report_attributes(recipe), report_plan(recipe));
    run.stage(stage_digest(recipe, "new", 0), "done");
    ::raise(SIGKILL);
  });
  CHECK(end_of(child) == 1000 + SIGKILL);
  const auto html = report_on({scratch.path() / "trial" / "20260102-030405-aaaa.journal"});
  CHECK(html_mistake(html) == "");
  CHECK_THAT(html, ContainsSubstring("The process of this run is gone"));
  CHECK_THAT(html, ContainsSubstring("killed, not yet repaired"));
}

TEST_CASE("several results stand side by side") {
  const Scratch scratch;
  ReportRecipe other;
  other.gain = 0.2, other.rank = "128";
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa"),
                               closed_report_run(scratch.path(), "20260102-030406-bbbb", other)});
  CHECK(html_mistake(html) == "");
  CHECK_THAT(html, ContainsSubstring("<th scope=\"col\">A</th><th scope=\"col\">B</th>"));
  CHECK_THAT(html, ContainsSubstring("Run B: trial <code>20260102-030406-bbbb</code>"));
  for (const auto* row : {"old (A)", "old (B)"}) CHECK_THAT(html, ContainsSubstring(row));
  CHECK_THAT(html, ContainsSubstring("<strong>0.7025"));  // one table holds both, and the best is B's
  CHECK_THAT(html, !ContainsSubstring("<strong>0.6025"));
  CHECK_THAT(html, ContainsSubstring("<span>64</span></td><td><span>128</span></td><td><span>\u2013</span>"));
  CHECK_THAT(html, ContainsSubstring("<tr class=\"differs\"><th scope=\"row\"><code>two</code>"));
  CHECK_THAT(html, ContainsSubstring("<tr><th scope=\"row\"><code>one</code>"));
  CHECK_THAT(html, ContainsSubstring("2 <span class=\"badge pass\">"));
}

TEST_CASE("what cannot be put together says why, and the rest of the page stands") {
  const Scratch scratch;
  ReportRecipe other;
  other.split = "other:test";
  const auto html = report_on({closed_report_run(scratch.path(), "20260102-030405-aaaa"),
                               closed_report_run(scratch.path(), "20260102-030406-bbbb", other)});
  CHECK(html_mistake(html) == "");
  CHECK_THAT(html, ContainsSubstring("This table cannot be made: "));
  CHECK_THAT(html, ContainsSubstring("<section id=\"environment\">"));
}

TEST_CASE("ledgers are read by their beginnings") {
  const Scratch scratch;
  const ReportRecipe recipe;
  const auto closed = read_result(closed_report_run(scratch.path(), "20260102-030405-aaaa"));
  RunLog run(scratch.path(), "trial", "20260102-030406-bbbb", report_attributes(recipe), report_plan(recipe));
  const auto digest = stage_digest(recipe, "new", 0);
  run.stage(digest, "cached");
  const auto open = read_result(run.journal());
  for (const auto* result : {closed.get(), open.get()}) {
    const auto head = result->ledgers(digest, 2).at("tokens");
    CHECK(head.rows == 250);
    CHECK(head.first.columns == std::vector<std::string>{"token", "way"});
    CHECK(head.first.rows == std::vector<std::vector<std::string>>{{"t0", kEvil}, {"t1", kEvil}});
    CHECK(result->ledgers(digest, 1000).at("tokens").first.rows.size() == 250);
    CHECK(result->ledgers(digest_of("none"), 2).empty());
  }
}

}  // namespace
