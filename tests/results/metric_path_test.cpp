// Metric paths: what they mean, and what a reader is told when they are wrong.
#include "results/metric_path.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "results/spec.h"

namespace {

using namespace xp;
using Catch::Approx;

MetricPath parse(const std::string& text) {
  Problems problems;
  const auto path = parse_metric_path(text, {}, problems);
  INFO(problems.text());
  REQUIRE(path);
  REQUIRE(problems.empty());
  return *path;
}

// The message and the hint; the place as "column:length" in a recipe line `metric = "..."`.
std::string mistake(const std::string& text, std::string* place = nullptr) {
  auto source = std::make_shared<SourceText>();
  source->name = "r.toml", source->text = "name = \"x\"\nmetric = \"" + text + "\"\n";
  const SourceSpan span{source, 2, 10, static_cast<int>(text.size()) + 2};
  Problems problems;
  REQUIRE_FALSE(parse_metric_path(text, span, problems));
  REQUIRE(problems.list().size() == 1);
  const auto& problem = problems.list().front();
  if (place) *place = std::to_string(problem.span.column) + ":" + std::to_string(problem.span.length);
  CHECK(problem.span.line == 2);
  CHECK(problem.code == "metric-path");
  CHECK_FALSE(problem.hint.empty());
  return problem.message + " | " + problem.hint;
}

class RecordsByNode : public RecordSource {
 public:
  std::map<std::string, StageRecord> stages;
  std::vector<std::string> planned;  ///< stages without a record
  std::vector<std::string> nodes() const override {
    auto out = planned;
    for (const auto& [name, record] : stages) out.push_back(name);
    return out;
  }
  const StageRecord* record(std::string_view node) const override {
    const auto found = stages.find(std::string(node));
    return found == stages.end() ? nullptr : &found->second;
  }
};

const MetricSignature kBitsPerByte{"bits/byte", "", "multilingual:test", "1"};
const MetricSignature kShare{"share", "", "parallel:test", "1"};

RecordsByNode quickstart() {
  RecordsByNode out;
  auto& adapt = out.stages["adapt"];
  Curve curve{kBitsPerByte, {}};
  // Bytes are 4 times the tokens at first, then 5 times: area over bytes is not area over tokens.
  for (const auto& [tokens, bytes, value] :
       {std::tuple{0, 0, 4.0}, std::tuple{100, 400, 3.0}, std::tuple{200, 900, 2.5}})
    curve.points.push_back({{.steps = tokens / 10, .input_tokens = tokens, .bytes = bytes}, value});
  adapt.curves["bits_per_byte.bits"] = curve;
  adapt.counters = {
      .steps = 20, .input_tokens = 200, .bytes = 900, .flops = 8e6, .flops_effective = 4e6, .seconds = 5};
  auto& score = out.stages["score"];
  score.finals["retrieval.top10"] = {0.5, kShare};
  score.finals["similarity.spearman[1x32]"] = {0.25, {"correlation", "", "pairs:test", "1"}};
  score.finals["similarity.spearman[full]"] = {0.75, {"correlation", "", "pairs:test", "1"}};
  score.finals["a.normalised"] = {0.1, {"a", "", "", ""}};
  score.finals["b.normalised"] = {0.3, {"b", "", "", ""}};
  score.finals["nan"] = {std::nan(""), kShare};
  out.stages["tuned[duplicates]"].finals["loss"] = {1.5, kShare};
  out.stages["tuned[news]"].finals["loss"] = {2.5, kShare};
  return out;
}

double value_of(const std::string& text, std::optional<bool> higher = {}) {
  std::string why;
  const auto value = evaluate(parse(text), quickstart(), &why, higher);
  INFO(text << ": " << why);
  REQUIRE(value);
  return value->value;
}

std::string why_not(const std::string& text) {
  std::string why;
  REQUIRE_FALSE(evaluate(parse(text), quickstart(), &why));
  return why;
}

TEST_CASE("metric paths are cut into stage, name, view and form") {
  auto path = parse("score.similarity.spearman[1x32]");
  CHECK(path.stage == "score");
  CHECK(path.name == "similarity.spearman");
  CHECK(path.view == "1x32");
  CHECK(path.form == CurveForm::none);

  path = parse("tuned[duplicates].rerank.mrr@10.final");
  CHECK(path.stage == "tuned[duplicates]");
  CHECK(path.name == "rerank.mrr@10");
  CHECK(path.form == CurveForm::final);

  path = parse("adapt.bits_per_byte.bits.area(over=bytes)");
  CHECK(path.form == CurveForm::area);
  CHECK(path.over == "bytes");
  CHECK(path.name == "bits_per_byte.bits");

  path = parse("pretrain.zero_shot.accuracy.at( items = 20k )");
  CHECK(path.form == CurveForm::at);
  CHECK(path.over == "items");
  CHECK(path.at == 20000);

  path = parse("mean(score.similarity.spearman[*], tuned[*].loss.best, mix = true)");
  REQUIRE(path.parts.size() == 2);
  CHECK(path.mix);
  CHECK(path.parts[0].view == "*");
  CHECK(path.parts[1].stage == "tuned[*]");
  CHECK(path.parts[1].form == CurveForm::best);
  CHECK_FALSE(names_several(path));
  CHECK(names_several(path.parts[0]));
  CHECK_FALSE(parse("mean(a.b)").mix);
}

TEST_CASE("a mistake in a metric path is shown where it is, with what would be right") {
  std::string place;
  CHECK(mistake("adapt.loss.area(over=byte)", &place) ==
        "`adapt.loss.area(over=byte)`: a counter should stand here, not `byte` | did you mean `bytes`?");
  CHECK(place == "32:4");
  CHECK(mistake("adapt.loss.area(tokens)", &place).find("`over=` should stand here") != std::string::npos);
  CHECK(place == "27:1");
  CHECK(mistake("adapt", &place).find("what of stage `adapt`? (the text ends)") != std::string::npos);
  CHECK(place == "16:1");
  CHECK(mistake("").find("the name of a stage should stand here") != std::string::npos);
  CHECK(mistake("adapt.loss.fianl(over=tokens)").find("did you mean `.final`?") != std::string::npos);
  CHECK(mistake("adapt.loss.final.best").find("nothing may follow the form") != std::string::npos);
  CHECK(mistake("adapt.final").find("no curve is named") != std::string::npos);
  CHECK(mistake("adapt.loss.final(3)").find("takes nothing in brackets") != std::string::npos);
  CHECK(mistake("adapt.loss.at(tokens=-1)").find("a number from 0 on") != std::string::npos);
  CHECK(mistake("adapt.loss.at(tokens=3 steps)").find("a number from 0 on") != std::string::npos);
  CHECK(mistake("adapt.loss.at(tokens=3").find("`)` should stand here") != std::string::npos);
  CHECK(mistake("adapt.loss.area(over=seconds_per_step)").find("counters are `steps`") != std::string::npos);
  CHECK(mistake("adapt.tokens.area(over=bytes)").find("is no curve") != std::string::npos);
  CHECK(mistake("tuned[.loss").find("not closed") != std::string::npos);
  CHECK(mistake("tuned[].loss").find("nothing stands in these brackets") != std::string::npos);
  CHECK(mistake("score.a[v].b").find("a view ends the name") != std::string::npos);
  CHECK(mistake("score..b").find("a name should follow the point") != std::string::npos);
  CHECK(mistake("max(score.a)").find("there is no function `max`") != std::string::npos);
  CHECK(mistake("mean()").find("the name of a stage") != std::string::npos);
  CHECK(mistake("mean(mix = true)").find("a mean of nothing") != std::string::npos);
  CHECK(mistake("mean(a.b, mix = yes)").find("`mix` is true or false") != std::string::npos);
  CHECK(mistake("score.a score.b", &place).find("the path should end here") != std::string::npos);
  CHECK(place == "19:7");
  std::string nested = "a.b";
  for (int i = 0; i < 2000; ++i) nested = "mean(" + nested + ")";
  CHECK(mistake(nested).find("nested too deeply") != std::string::npos);
}

TEST_CASE("the forms of a curve by hand") {
  CHECK(value_of("adapt.bits_per_byte.bits") == 2.5);
  CHECK(value_of("adapt.bits_per_byte.bits.final") == 2.5);
  CHECK(value_of("adapt.bits_per_byte.bits.best", false) == 2.5);
  CHECK(value_of("adapt.bits_per_byte.bits.best", true) == 4.0);
  CHECK(value_of("adapt.bits_per_byte.bits.at(tokens=0)") == 4.0);
  CHECK(value_of("adapt.bits_per_byte.bits.at(tokens=50)") == Approx(3.5));
  CHECK(value_of("adapt.bits_per_byte.bits.at(bytes=650)") == Approx(2.75));
  // Over bytes: (400 * 3.5 + 500 * 2.75) / 900; over tokens: (3.5 + 2.75) / 2.
  CHECK(value_of("adapt.bits_per_byte.bits.area(over=bytes)") == Approx((400 * 3.5 + 500 * 2.75) / 900));
  CHECK(value_of("adapt.bits_per_byte.bits.area(over=tokens)") == Approx(3.125));
  CHECK(why_not("adapt.bits_per_byte.bits.at(tokens=201)").find("runs from 0 to 200 tokens") != std::string::npos);
  CHECK(why_not("adapt.bits_per_byte.bits.area(over=seconds)").find("no length in seconds") != std::string::npos);
  CHECK(why_not("adapt.bits_per_byte.bits.best").find("highest or the lowest") != std::string::npos);
  CHECK(why_not("score.retrieval.top10.area(over=bytes)").find("one value, not a curve") != std::string::npos);
}

TEST_CASE("a diverged curve gives NaN, never a number that looks like one") {
  auto records = quickstart();
  auto& points = records.stages["adapt"].curves["bits_per_byte.bits"].points;
  points[1].value = std::nan("");
  const auto area = evaluate(parse("adapt.bits_per_byte.bits.area(over=bytes)"), records);
  REQUIRE(area);
  CHECK(std::isnan(area->value));
  CHECK(std::isnan(evaluate(parse("adapt.bits_per_byte.bits.at(tokens=50)"), records)->value));
  CHECK(evaluate(parse("adapt.bits_per_byte.bits.best"), records, nullptr, false)->value == 2.5);
  CHECK(std::isnan(evaluate(parse("mean(score.nan, score.retrieval.top10)"), records)->value));
}

TEST_CASE("counters and final values") {
  CHECK(value_of("adapt.tokens") == 200);
  CHECK(value_of("adapt.flops_effective") == 4e6);
  CHECK(value_of("adapt.seconds_per_step") == 0.25);
  CHECK(value_of("score.retrieval.top10") == 0.5);
  CHECK(value_of("tuned[news].loss") == 2.5);
  const auto memory = evaluate(parse("adapt.memory"), quickstart());
  CHECK(memory->what.unit == "bytes");
}

TEST_CASE("a missing number says what there is") {
  CHECK(why_not("scor.retrieval.top10") == "stage `scor` has no record here; did you mean `score`?");
  auto planned = quickstart();
  planned.planned = {"later"};
  std::string why;
  CHECK_FALSE(evaluate(parse("later.retrieval.top10"), planned, &why));
  CHECK(why == "stage `later` has not ended here");
  CHECK(why_not("score.retrieval.top1") ==
        "stage `score` recorded no `retrieval.top1`; did you mean `retrieval.top10`?");
  CHECK(why_not("score.similarity.spearman") ==
        "stage `score` recorded no `similarity.spearman`; its views are `1x32` and `full`");
  CHECK(why_not("score.similarity.spearman[*]").find("names 2 numbers") != std::string::npos);
  CHECK(why_not("tuned[*].accuracy").find("recorded no `accuracy`") != std::string::npos);
}

TEST_CASE("means expand views, stages and evaluators, and refuse unlike numbers") {
  CHECK(value_of("mean(score.similarity.spearman[*])") == Approx(0.5));
  CHECK(value_of("mean(tuned[*].loss)") == Approx(2.0));
  CHECK(value_of("mean(score.*.normalised, mix = true)") == Approx(0.2));
  CHECK(value_of("mean(mean(score.*.normalised, mix = true), score.retrieval.top10, mix = true)") == Approx(0.35));
  CHECK_THROWS_AS(evaluate(parse("mean(score.*.normalised)"), quickstart()), Error);
  CHECK_FALSE(evaluate(parse("mean(score.retrieval.top10, score.retrieval.top5, mix = true)"), quickstart()));

  const auto mean = evaluate(parse("mean(score.*.normalised, mix = true)"), quickstart());
  CHECK(mean->of == std::vector<std::string>{"score.a.normalised", "score.b.normalised"});
  CHECK(mean->what.unit == "mixed");

  const auto views = expand(parse("score.similarity.spearman[*].final"), quickstart());
  REQUIRE(views.size() == 2);
  CHECK(views[0].text == "score.similarity.spearman[1x32].final");
  CHECK(views[1].view == "full");
}

TEST_CASE("claims, tables and figures come back from a stored plan") {
  ClaimSpec claim;
  claim.id = "c", claim.metric = "score.a", claim.arm = "a", claim.baseline = {"b", "d"}, claim.alpha = 0.1;
  claim.control = ControlSpec{.arm = "shuffled", .margin = 0.02};
  claim.gate = {"pretrain.accuracy > 0.5"}, claim.better = "lower";
  TableSpec table{.id = "t", .title = "", .rows = "arm", .columns = {"score.a", "score.b"}};
  FigureSpec figure{.id = "f", .title = "F", .x = "a.tokens", .y = "a.loss", .by = "seed", .log_x = true};
  Table plan{
      {"claims", List{to_value(claim)}}, {"tables", List{to_value(table)}}, {"figures", List{to_value(figure)}}};
  const auto stored = value_from_json(to_json(Value(plan)));

  const auto claims = claims_from(stored);
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].baseline == claim.baseline);
  CHECK(claims[0].alpha == 0.1);
  CHECK(claims[0].better == "lower");
  CHECK(claims[0].gate == claim.gate);
  REQUIRE(claims[0].control);
  CHECK(claims[0].control->arm == "shuffled");
  CHECK(claims[0].control->margin == 0.02);
  CHECK_FALSE(claims[0].slope);
  CHECK(tables_from(stored)[0].columns == table.columns);
  CHECK(figures_from(stored)[0].by == "seed");
  CHECK(figures_from(stored)[0].log_x);
  CHECK(claims_from(Value(Table{})).empty());
  CHECK_THROWS_AS(claims_from(Value(Table{{"claims", "none"}})), Error);
  CHECK_THROWS_AS(claims_from(Value(Table{{"claims", List{Value(Table{{"alpha", "big"}})}}})), Error);
}

TEST_CASE("every field of a specification is documented by a sentence") {
  const auto check = [](const std::vector<FieldInfo>& fields) {
    for (const auto& field : fields) {
      INFO(field.name);
      CHECK(field.doc.size() > 10);
      CHECK(field.doc.back() == '.');
    }
  };
  Fields<ClaimSpec> claim;
  ClaimSpec::describe(claim);
  check(claim.schema().fields);
  Fields<TableSpec> table;
  TableSpec::describe(table);
  check(table.schema().fields);
  Fields<FigureSpec> figure;
  FigureSpec::describe(figure);
  check(figure.schema().fields);
}

}  // namespace
