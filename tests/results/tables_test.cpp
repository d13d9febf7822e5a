// Tables: what stands in a cell, what is refused, and each format to the letter.
#include "results/tables.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "base/text.h"
#include "studies.h"

namespace {

using namespace xp;
using Catch::Approx;

const MetricSignature kBits{"bits/byte", "", "multilingual:test", "1"};

// Two arms with two seeds; one of them lacks a number.
HandStudy small() {
  HandStudy hand;
  const auto add = [&](const std::string& arm, std::int64_t seed, double bits, double top10) {
    auto& score = hand.run(arm, seed).stages["score"];
    score.finals["bits"] = {bits, kBits};
    if (top10 >= 0) score.finals["retrieval.top10"] = {top10, HandStudy::share()};
  };
  add("ofa", 0, 2.25, 0.75), add("ofa", 1, 2.75, 0.25);
  add("random", 0, 3.5, 0.125), add("random", 1, 3.5, -1);
  hand.study.arms[0].label = "OFA, Rang 64 ü";
  return hand;
}

TableSpec spec(std::vector<std::string> columns, std::string rows = "arm") {
  TableSpec out;
  out.id = "main", out.rows = std::move(rows), out.columns = std::move(columns);
  return out;
}

TEST_CASE("numbers are printed with 4 significant digits and the decimals of the larger") {
  CHECK(mean_text(3.21432, 0.0123) == "3.214 ± 0.012");
  CHECK(mean_text(0.123456, NAN) == "0.1235");
  CHECK(mean_text(0.000123, 0.5) == "0.0001 ± 0.5000");
  CHECK(mean_text(200000, 0) == "200000 ± 0");
  CHECK(mean_text(200000, NAN) == "200000");
  CHECK(mean_text(12345.6, 12.3) == "12346 ± 12");
  CHECK(mean_text(1.5e9, 2e7) == "(1.500 ± 0.020)e9");
  CHECK(mean_text(2.5e-6, NAN) == "2.500e-6");
  CHECK(mean_text(NAN, NAN) == "nan");
  CHECK(mean_text(0, NAN) == "0");
  CHECK(mean_text(-1.5, 0.25) == "-1.500 ± 0.250");
}

TEST_CASE("width counts what a terminal shows") {
  CHECK(terminal_width("abc") == 3);
  CHECK(terminal_width("ü–±†") == 4);
  CHECK(terminal_width("日本") == 4);
  CHECK(terminal_width("u\xCC\x88") == 1);  // combining diaeresis
  CHECK(terminal_width("\xFF") == 1);
}

TEST_CASE("a table as text") {
  const auto table = build_table(spec({"score.bits", "score.retrieval.top10"}), small().study);
  CHECK(table.n == 0);
  CHECK(render(table, "text") ==
        "                score                   score\n"
        "                bits                    retrieval.top10\n"
        "arm             (bits/byte)             (share)\n"
        "────────────────────────────────────────────────────────────────\n"
        "OFA, Rang 64 ü  2.500 ± 0.354 (n = 2)*  0.5000 ± 0.3536 (n = 2)*\n"
        "random          3.500 ± 0.000 (n = 2)   0.1250 (n = 1)  [1]\n"
        "Mean ± standard deviation over n seeds. *: best of the column.\n"
        "[1] 1 of 2 seeds missing: stage `score` recorded no `retrieval.top10`; it recorded `bits`.\n");
}

TEST_CASE("Markdown, CSV and LaTeX to the letter") {
  auto hand = small();
  hand.study.arms[1].label = "random | 50 % \\x";
  const auto table = build_table(spec({"score.bits"}), hand.study);
  CHECK(render(table, "md") ==
        "| arm | score.bits (bits/byte) |\n|---|---:|\n"
        "| OFA, Rang 64 ü | **2.500 ± 0.354** |\n"
        "| random \\| 50 % \\\\x | 3.500 ± 0.000 |\n\n"
        "Mean ± standard deviation over 2 seeds. Bold: best of the column.\n");
  CHECK(render(table, "csv") ==
        "arm,label,score.bits mean,score.bits sd,score.bits n\n"
        "ofa,\"OFA, Rang 64 ü\",2.5,0.3535533905932738,2\n"
        "random,random | 50 % \\x,3.5,0,2\n");
  CHECK(render(table, "latex") ==
        "% needs \\usepackage{booktabs}; each number is a macro that the text may use\n"
        "\\newcommand{\\xpMainOfaScoreBits}{2.500 $\\pm$ 0.354}\n"
        "\\newcommand{\\xpMainRandomScoreBits}{3.500 $\\pm$ 0.000}\n"
        "\\begin{table}\n\\centering\n"
        "\\caption{Mean $\\pm$ standard deviation over 2 seeds. Bold: best of the column.}\n"
        "\\label{tab:main}\n\\begin{tabular}{lr}\n\\toprule\n"
        "arm & score.bits (bits/byte) \\\\\n\\midrule\n"
        "OFA, Rang 64 ü & \\textbf{\\xpMainOfaScoreBits} \\\\\n"
        "random | 50 \\% \\textbackslash{}x & \\xpMainRandomScoreBits \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
  CHECK_THROWS_AS(render(table, "html"), Error);
}

TEST_CASE("JSON has every value by seed") {
  const auto json = value_from_json(render(build_table(spec({"score.retrieval.top10"}), small().study), "json"));
  const auto* cell = find(*json.as<Table>(), "rows[1].cells[0]");
  if (!cell) cell = &(*(*(*json.as<Table>()).at("rows").as<List>())[1].as<Table>()).at("cells").as<List>()->front();
  REQUIRE(cell);
  CHECK(cell->as<Table>()->at("values") == Value(List{0.125}));
  CHECK(cell->as<Table>()->at("seeds") == Value(List{std::int64_t{0}}));
  CHECK(cell->as<Table>()->at("notes").as<List>()->size() == 1);
}

TEST_CASE("rows by seed, by stage and by a key of the recipe") {
  auto hand = small();
  auto table = build_table(spec({"score.bits"}, "seed"), hand.study);
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[1].name == "ofa, seed 1");
  CHECK(table.rows[1].cells[0].mean == 2.75);
  CHECK(render(table, "text").find("±") == std::string::npos);

  table = build_table(spec({"*.bits"}, "stage"), hand.study);
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].name == "ofa, score");
  CHECK(table.rows[0].cells[0].mean == 2.5);

  for (auto& member : hand.study.members) {
    member.stages["transfer"] = member.seed == 0 ? "a" : "b";
    member.nodes = std::make_shared<Table>(
        Table{{"a", Table{{"settings", Table{{"rank", 32}}}}}, {"b", Table{{"settings", Table{{"rank", 64}}}}}});
  }
  table = build_table(spec({"score.bits"}, "stage.transfer.rank"), hand.study);
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[1].name == "ofa, 64");
  CHECK(table.rows[1].cells[0].mean == 2.75);
  CHECK_THROWS_AS(build_table(spec({"score.bits"}, "stage.transfer.rnk"), hand.study), Error);
  CHECK_THROWS_AS(build_table(spec({"score.bits"}, "arms"), hand.study), Error);
}

TEST_CASE("a column with a star gives one column for each match") {
  HandStudy hand;
  auto& score = hand.run("a", 0).stages["score"];
  score.finals["s.spearman[1x32]"] = {0.25, HandStudy::share()};
  score.finals["s.spearman[4x128]"] = {0.75, HandStudy::share()};
  const auto table = build_table(spec({"score.s.spearman[*]"}), hand.study);
  REQUIRE(table.columns.size() == 2);
  CHECK(table.columns[1].path.text == "score.s.spearman[4x128]");
  CHECK(table.rows[0].cells[1].mean == 0.75);
}

TEST_CASE("numbers per token across tokenizers are refused, bits per byte are not") {
  const auto study = [](const MetricSignature& a, const MetricSignature& b) {
    HandStudy hand;
    hand.run("a", 0).stages["score"].finals["loss"] = {1, a};
    hand.run("b", 0).stages["score"].finals["loss"] = {2, b};
    return hand;
  };
  const auto tokens = study({"nats/token", "aaaa", "x:test", "1"}, {"nats/token", "bbbb", "x:test", "1"});
  try {
    build_table(spec({"score.loss"}), tokens.study);
    FAIL("a column with two tokenizers was built");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) ==
          "column `score.loss` would mix unlike numbers: `a` (seed 0) is (nats/token, tokenizer aaaa, x:test, "
          "version 1), `b` "
          "(seed 0) is (nats/token, tokenizer bbbb, x:test, version 1); numbers per token do not compare across "
          "tokenizers, "
          "bits per byte do");
    CHECK(error.exit() == Exit::usage);
  }
  CHECK(build_table(spec({"score.loss"}), study(kBits, kBits).study).rows.size() == 2);
  auto other = kBits;
  other.split = "english:test";
  CHECK_THROWS_AS(build_table(spec({"score.loss"}), study(kBits, other).study), Error);
  CHECK_THROWS_AS(build_table(spec({"score.loss..x"}), tokens.study), Error);
  CHECK_THROWS_AS(build_table(spec({}), tokens.study), Error);
}

TEST_CASE("best follows the claim, else the unit, else nobody is best") {
  HandStudy hand;
  hand.arm("a", {0.5}, {"numbers", "", "", ""}).arm("b", {0.7}, {"numbers", "", "", ""});
  auto table = build_table(spec({"score.task.accuracy"}), hand.study);
  CHECK_FALSE(table.rows[0].cells[0].best);
  CHECK_FALSE(table.rows[1].cells[0].best);
  ClaimSpec claim;
  claim.metric = "score.task.accuracy.final", claim.better = "lower";
  table = build_table(spec({"score.task.accuracy"}), hand.study, {claim});
  CHECK(table.rows[0].cells[0].best);
  CHECK_FALSE(table.rows[1].cells[0].best);
}

TEST_CASE("a dagger marks rows that differ from the first, in either direction") {
  HandStudy hand;
  hand.arm("a", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}).arm("b", {0.4, 0.41, 0.42, 0.43, 0.44, 0.45});
  hand.arm("c", {0.6, 0.4, 0.6, 0.4, 0.6, 0.4}).arm("d", {0.9, 0.9, 0.9, 0.9, 0.9});
  const auto table = build_table(spec({"score.task.accuracy"}), hand.study);
  CHECK_FALSE(table.rows[0].cells[0].differs);
  CHECK(table.rows[1].cells[0].differs);  // p = 2/64
  CHECK_FALSE(table.rows[2].cells[0].differs);
  CHECK_FALSE(table.rows[3].cells[0].differs);  // other seeds: no pairs
  CHECK(render(table, "text").find("†: differs from a (two-sided paired sign-flip") != std::string::npos);
}

TEST_CASE("diverged and planned runs are shown as such") {
  HandStudy hand;
  hand.arm("a", {0.5, std::nan("")}).arm("b", {0.7, 0.8});
  hand.study.members.back().records = nullptr;
  const auto table = build_table(spec({"score.task.accuracy"}), hand.study);
  CHECK(std::isnan(table.rows[0].cells[0].mean));
  CHECK_FALSE(table.rows[0].cells[0].best);
  CHECK(table.rows[1].cells[0].best);
  const auto text = render(table, "text");
  CHECK(text.find("nan (n = 2)") != std::string::npos);
  CHECK(text.find("[1] a run diverged.") != std::string::npos);
  CHECK(text.find("1 of 2 seeds missing: it was planned, but nothing was recorded yet.") != std::string::npos);

  HandStudy none;
  none.run("a", 0).stages["score"];
  CHECK(render(build_table(spec({"score.x"}), none.study), "text").find("–") != std::string::npos);
}

}  // namespace
