// Tables cut otherwise than a recipe states them: pivots, listings, order, patterns, baselines, and LaTeX's macros.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <map>

#include "base/text.h"
#include "results/tables.h"
#include "studies.h"

namespace {

using namespace xp;

TableSpec shape(std::vector<std::string> columns, std::string rows = "arm") {
  TableSpec out;
  out.id = "main", out.rows = std::move(rows), out.columns = std::move(columns);
  return out;
}

const std::string kMetric = "score.task.accuracy";

std::vector<std::string> names(const ResultTable& table) {
  std::vector<std::string> out;
  for (const auto& row : table.rows) out.push_back(row.name);
  return out;
}

std::vector<std::string> heads(const ResultTable& table) {
  std::vector<std::string> out;
  for (const auto& column : table.columns) out.push_back(column.name.empty() ? column.path.text : column.name);
  return out;
}

std::string message(const TableSpec& spec, const Study& study, const TableView& view) {
  try {
    build_table(spec, study, {}, view);
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::usage);
    return error.what();
  }
  return "no error";
}

// Settings of a member's stage `score`.
void give(StudyMember& member, Table settings) {
  const Table node{{"settings", Value(std::move(settings))}, {"seed", member.seed}};
  member.nodes = std::make_shared<Table>(Table{{member.stages.at("score"), node}});
}

// Two arms, three learning rates, two seeds each, of one recipe run twice.
HandStudy swept() {
  HandStudy hand;
  int number = 0;
  for (const std::string arm : {"ofa", "random"})
    for (const double lr : {0.3, 0.003, 0.03})
      for (const std::int64_t seed : {0, 1}) {
        auto& score = hand.run(arm, seed, std::to_string(lr)).stages["score"];
        score.finals["task.accuracy"] = {static_cast<double>(++number), HandStudy::share()};
        auto& member = hand.study.members.back();
        give(member,
             Table{{"lr", lr}, {"batch", 16}, {"data", Table{{"kind", "dataset"}, {"reference", "english"}}}});
        member.recipe = "swept", member.run = "run" + std::to_string(seed);
      }
  return hand;
}

TEST_CASE("a pivot has a row and a column for each value, numbers in their order") {
  const auto hand = swept();
  const auto table = build_table(shape({kMetric}), hand.study, {}, {.cols = "stage.score.lr"});
  CHECK(names(table) == std::vector<std::string>{"ofa", "random"});
  CHECK(heads(table) == std::vector<std::string>{"0.003", "0.03", "0.3"});
  CHECK(table.rows[0].cells[0].values == std::vector<double>{3, 4});
  CHECK(table.rows[1].cells[2].values == std::vector<double>{7, 8});
  CHECK(table.rows[1].cells[1].best);  // each column has its own best
  CHECK(table.n == 2);
  CHECK(render(table, "text").starts_with("score.task.accuracy\n"));

  const auto turned = build_table(shape({kMetric}, "stage.score.lr"), hand.study, {}, {.cols = "arm"});
  CHECK(names(turned) == std::vector<std::string>{"0.003", "0.03", "0.3"});
  CHECK(heads(turned) == std::vector<std::string>{"ofa", "random"});
  CHECK(turned.rows[2].cells[1].values == std::vector<double>{7, 8});
  const auto seeds = build_table(shape({kMetric}, "stage.score.lr"), hand.study, {}, {.cols = "seed"});
  CHECK(names(seeds) == std::vector<std::string>{"ofa, 0.003", "ofa, 0.03", "ofa, 0.3", "random, 0.003",
                                                 "random, 0.03", "random, 0.3"});
  CHECK(heads(seeds) == std::vector<std::string>{"seed 0", "seed 1"});
  CHECK(seeds.by_seed);
}

TEST_CASE("cells of a pivot without a run are shown as such, and count as missing") {
  auto hand = swept();
  std::erase_if(hand.study.members, [](const StudyMember& member) {
    return member.arm == "random" && member.stages.at("score").find("0.030") != std::string::npos;
  });
  const auto table = build_table(shape({kMetric}), hand.study, {}, {.cols = "stage.score.lr"});
  CHECK(table.rows[1].cells[1].missing == 1);
  CHECK(missing_cells(table) == 1);
  const auto text = render(table, "text");
  CHECK(text.find("–  [1]") != std::string::npos);
  CHECK(text.find("[1] no run of it.") != std::string::npos);
  CHECK(missing_cells(build_table(shape({kMetric}), swept().study)) == 0);
}

TEST_CASE("a pivot of what is not there, or of two metrics, is refused with what would be right") {
  const auto hand = swept();
  CHECK(message(shape({kMetric}), hand.study, {.cols = "stage.score.lrr"}) ==
        "cols = `stage.score.lrr`: the stored plan says no `stage.score.lrr`; cols are `arm`, `seed`, `stage`, "
        "`recipe`, `run` or a key such as `stage.pretrain.lr`");
  CHECK(message(shape({kMetric}), hand.study, {.cols = "arm"}) ==
        "rows and columns are both `arm`; one of them must differ");
  CHECK(message(shape({kMetric, "score.loss"}), hand.study, {.cols = "seed"})
            .starts_with("columns that are values of `seed` show one metric, but 2 metrics are named"));
}

TEST_CASE("arms of two recipes stay apart unless an axis tells them") {
  HandStudy hand;
  for (const std::string recipe : {"old", "new"})
    for (const std::int64_t seed : {0, 1}) {
      auto& score = hand.run("ofa", seed, recipe).stages["score"];
      score.finals["task.accuracy"] = {recipe == "old" ? 1.0 : 2.0, HandStudy::share()};
      hand.study.members.back().recipe = recipe;
    }
  CHECK(names(build_table(shape({kMetric}), hand.study)) == std::vector<std::string>{"old, ofa", "new, ofa"});
  const auto table = build_table(shape({kMetric}), hand.study, {}, {.cols = "recipe"});
  CHECK(names(table) == std::vector<std::string>{"ofa"});
  CHECK(heads(table) == std::vector<std::string>{"old", "new"});
  CHECK(table.rows[0].cells[1].values == std::vector<double>{2, 2});
  const auto rows = build_table(shape({kMetric}, "recipe"), hand.study);
  CHECK(names(rows) == std::vector<std::string>{"old", "new"});
  CHECK(rows.rows[0].cells[0].values == std::vector<double>{1, 1});
}

TEST_CASE("of two runs with the same arm and seed the first, which is the newest, counts") {
  HandStudy hand;
  for (const double value : {0.75, 0.25})
    hand.run("ofa", 0, number_text(value)).stages["score"].finals["task.accuracy"] = {value, HandStudy::share()};
  CHECK(build_table(shape({kMetric}), hand.study).rows[0].cells[0].values == std::vector<double>{0.75});
  CHECK(build_table(shape({kMetric}), hand.study, {}, {.cols = "seed"}).rows[0].cells[0].mean == 0.75);
  CHECK(build_table(shape({kMetric}), hand.study, {}, {.listing = true}).rows.size() == 2);
}

TEST_CASE("a listing has a row for each run and the settings that differ") {
  auto hand = swept();
  give(hand.study.members[0], Table{{"lr", 0.3}, {"batch", 16}, {"warmup", "10 steps"}});
  auto table = build_table(shape({kMetric}), hand.study, {}, {.listing = true});
  REQUIRE(table.rows.size() == 12);
  CHECK(table.settings == std::vector<std::string>{"stage.score.data", "stage.score.lr", "stage.score.warmup"});
  CHECK(table.rows[0].settings == std::vector<std::string>{"", "0.3", "10 steps"});
  CHECK(table.rows[1].settings == std::vector<std::string>{"english", "0.3", ""});
  CHECK(table.rows[0].name == "run0/ofa/0");
  CHECK(table.rows[1].label == "run1, ofa, seed 1");
  CHECK(table.rows[3].cells[0].values == std::vector<double>{4});
  CHECK(render(table, "csv")
            .starts_with("recipe,run,arm,seed,stage.score.data,stage.score.lr,stage.score.warmup,"
                         "score.task.accuracy\nswept,run0,ofa,0,,0.3,10 steps,1\n"));
  const auto json = value_from_json(render(table, "json"));
  const auto* rows = find(*json.as<Table>(), "rows");
  REQUIRE(rows);
  const auto& row = *(*rows->as<List>())[2].as<Table>();
  CHECK(*find(row, "settings")->as<Table>()->at("stage.score.lr").as<std::string>() == "0.003");
  CHECK(row.at("arm") == Value("ofa"));
  CHECK(render(table, "text")
            .starts_with("                      score    score  score     score\n"
                         "                      data     lr     warmup    task.accuracy\n"
                         "run                                             (share)\n"
                         "─────────────────────────────────────────────────────────────\n"
                         "run0, ofa, seed 0              0.3    10 steps  1\n"));

  table = build_table(shape({kMetric}), hand.study, {}, {.listing = true, .all_settings = true});
  CHECK(table.settings.size() == 4);
  table = build_table(shape({kMetric}), hand.study, {}, {.sort_by = "stage.score.lr", .listing = true});
  CHECK(table.rows.front().settings[1] == "0.003");
  CHECK(table.rows.back().settings[1] == "0.3");
}

TEST_CASE("rows are sorted by a column, the best or the lowest first, missing ones last") {
  HandStudy hand;
  hand.arm("a", {0.2}).arm("b", {0.9}).arm("c", {0.5});
  hand.run("d", 0).stages["score"].finals["steps"] = {1, {}};
  const auto sorted = [&](const std::string& by) {
    return names(build_table(shape({kMetric}), hand.study, {}, {.sort_by = by}));
  };
  CHECK(sorted(kMetric) == std::vector<std::string>{"b", "c", "a", "d"});  // a share: more is better
  CHECK(sorted(kMetric + ":asc") == std::vector<std::string>{"a", "c", "b", "d"});
  CHECK(sorted(kMetric + ":desc") == std::vector<std::string>{"b", "c", "a", "d"});
  CHECK(sorted("arm:desc") == std::vector<std::string>{"d", "c", "b", "a"});
  CHECK(message(shape({kMetric}), hand.study, {.sort_by = "score.task.acuracy"}) ==
        "the table has no column `score.task.acuracy` to sort by; did you mean `score.task.accuracy`?");
}

TEST_CASE("patterns keep and drop rows and columns before numbers are compared") {
  HandStudy hand;
  const auto add = [&](const std::string& arm, double accuracy, const std::string& tokenizer) {
    auto& score = hand.run(arm, 0).stages["score"];
    score.finals["task.accuracy"] = {accuracy, HandStudy::share()};
    score.finals["loss"] = {1, {"nats/token", tokenizer, "x:test", "1"}};  // of two, which one column may not mix
  };
  add("ofa", 0.2, "aaaa"), add("ofa2", 0.4, "aaaa"), add("random", 0.9, "bbbb");
  const auto spec = shape({kMetric, "score.loss"});
  CHECK(message(spec, hand.study, {}).starts_with("column `score.loss` would mix unlike numbers"));
  auto table = build_table(spec, hand.study, {}, {.drop = {"rand*"}});
  CHECK(names(table) == std::vector<std::string>{"ofa", "ofa2"});
  CHECK(heads(table).size() == 2);
  CHECK(table.rows[1].cells[0].best);  // of what is shown
  table = build_table(spec, hand.study, {}, {.keep = {"*accuracy", "ofa*"}, .drop = {"ofa2"}});
  CHECK(names(table) == std::vector<std::string>{"ofa"});
  CHECK(heads(table) == std::vector<std::string>{kMetric});
  CHECK(message(spec, hand.study, {.drop = {"rand*", "mean"}}) ==
        "`mean` fits no row and no column; there is `ofa`, `ofa2`, `random`, `score.task.accuracy` and `score.loss`");
}

TEST_CASE("columns whose numbers are equal can be left out") {
  HandStudy hand;
  for (const std::string arm : {"a", "b"})
    for (const std::int64_t seed : {0, 1}) {
      auto& score = hand.run(arm, seed).stages["score"];
      score.counters.steps = 7;
      score.finals["task.accuracy"] = {arm == "b" && seed == 1 ? 0.7 : 0.5, HandStudy::share()};
    }
  const auto spec = shape({"score.steps", kMetric});
  CHECK(heads(build_table(spec, hand.study)).size() == 2);
  CHECK(heads(build_table(spec, hand.study, {}, {.only_changed = true})) == std::vector<std::string>{kMetric});
}

TEST_CASE("daggers are against the row that is asked for, with test and number of seeds") {
  HandStudy hand;
  hand.arm("a", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}).arm("b", {0.6, 0.6, 0.6, 0.6, 0.6, 0.6});
  hand.arm("c", {0.6, 0.6, 0.6, 0.6, 0.6, 0.7});
  auto table = build_table(shape({kMetric}), hand.study, {}, {.baseline = "b"});
  CHECK(table.rows[0].cells[0].differs);
  CHECK_FALSE(table.rows[1].cells[0].differs);
  CHECK_FALSE(table.rows[2].cells[0].differs);
  CHECK(render(table, "text")
            .find("†: differs from b (two-sided paired sign-flip over 6 seeds, p <= 0.05, each by "
                  "itself).") != std::string::npos);
  CHECK(message(shape({kMetric}), hand.study, {.baseline = "bb"})
            .starts_with("the table has no row `bb`; did you mean"));
  CHECK(
      message(shape({kMetric}, "seed"), hand.study, {.baseline = "b"}).starts_with("a row of one seed has no pairs"));

  HandStudy few;
  few.arm("a", {0.5, 0.5}).arm("b", {0.9, 0.9});
  table = build_table(shape({kMetric}), few.study, {}, {.baseline = "a"});
  CHECK(render(table, "text")
            .find("No cell differs from a (two-sided paired sign-flip over 2 seeds, p <= 0.05, each "
                  "by itself); so few seeds give no p below 0.5.") != std::string::npos);
  CHECK(render(build_table(shape({kMetric}), few.study), "text").find("differs") == std::string::npos);
}

TEST_CASE("digits are as many as asked for") {
  CHECK(mean_text(3.21432, 0.0123, 2) == "3.2 ± 0.0");
  CHECK(mean_text(3.21432, 0.0123, 6) == "3.21432 ± 0.01230");
  CHECK(mean_text(1.5e9, 2e7, 2) == "(1.5 ± 0.0)e9");
  HandStudy hand;
  hand.arm("a", {0.123456789});
  CHECK(render(build_table(shape({kMetric}), hand.study, {}, {.digits = 7}), "md").find("0.1234568") !=
        std::string::npos);
}

TEST_CASE("each cell is a macro of letters, once, and the caption has test and n") {
  HandStudy hand;
  hand.arm("top-10", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}).arm("top10", {0.6, 0.6, 0.6, 0.6, 0.6, 0.6});
  hand.study.arms[0].label = "[1] & 50 %";
  auto spec = shape({kMetric});
  spec.title = "What_is best";
  const auto tex = render(build_table(spec, hand.study), "latex");
  CHECK(tex ==
        "% needs \\usepackage{booktabs}; each number is a macro that the text may use\n"
        "\\newcommand{\\xpMainTopOneZeroScoreTaskAccuracy}{0.5000 $\\pm$ 0.0000}\n"
        "\\newcommand{\\xpMainTopOneZeroScoreTaskAccuracyB}{0.6000 $\\pm$ 0.0000}\n"
        "\\begin{table}\n\\centering\n"
        "\\caption{What\\_is best. Mean $\\pm$ standard deviation over 6 seeds. Bold: best of the column. "
        "$^\\dagger$: differs from [1] \\& 50 \\% (two-sided paired sign-flip over 6 seeds, p $\\le$ 0.05, each by "
        "itself).}\n"
        "\\label{tab:main}\n\\begin{tabular}{lr}\n\\toprule\n"
        "arm & score.task.accuracy (share) \\\\\n\\midrule\n"
        "{[1] \\& 50 \\%} & \\xpMainTopOneZeroScoreTaskAccuracy \\\\\n"
        "top10 & \\textbf{\\xpMainTopOneZeroScoreTaskAccuracyB}$^\\dagger$ \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
}

TEST_CASE("what comes from files is escaped in every format") {
  HandStudy hand;
  hand.run("a", 0).stages["score"].finals["x"] = {1, {"bits\x1b[2J|_", "", "", ""}};
  hand.study.arms[0].label = "\x1b]0;title\x07,\"quoted\" | <b>";
  auto spec = shape({"score.x", "score.gone"});
  spec.title = "\x1b[31mred";
  const auto table = build_table(spec, hand.study);
  for (const auto& format : table_formats()) {
    INFO(format);
    const auto text = render(table, format);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find('\x07') == std::string::npos);
  }
  CHECK(render(table, "csv").find("\"\\x1b]0;title\\x07,\"\"quoted\"\" | <b>\"") != std::string::npos);
  CHECK(render(table, "md").find("\\| \\<b\\>") != std::string::npos);
}

}  // namespace
