#include "schema/schema.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "schema/component.h"
#include "schema/fields.h"

using namespace xp;
using Json = nlohmann::json;

namespace {

class TrainPart : public Component {
 public:
  static constexpr const char* kInterface = "objective";
};

enum class TrainMode { fast, exact };

struct Betas {
  double low = 0.9;
  std::int64_t count = 2;

  static void describe(Fields<Betas>& f) {
    f.add(&Betas::low, "low", "Decay of the mean.").min(0).below(1);
    f.add(&Betas::count, "count", "How many.").min(1).max(16);
  }
};

struct TrainParams {
  double lr = 0.001;
  double temperature = 1;
  Learnable scale = {0.5};
  bool fused = true;
  std::int64_t every = 4;
  std::string prefix = "a";
  TrainMode mode = TrainMode::fast;
  std::vector<std::string> roles = {"body"};
  Quantity stop = {1000, Unit::steps};
  Distribution length = {};
  Betas betas;
  std::vector<Betas> schedules;
  std::unique_ptr<TrainPart> inner;
  std::vector<Weighted<TrainPart>> terms;
  std::optional<double> clip;
  ModelSpec model;
  Reference data;
  std::vector<std::string> paths;
  Value target;

  static void describe(Fields<TrainParams>& f) {
    f.add(&TrainParams::lr, "lr", "Learning rate.").above(0).schedulable();
    f.add(&TrainParams::temperature, "temperature", "Divides scores.").above(0).max(100);
    f.add(&TrainParams::scale, "scale", "Factor.").min(0);
    f.add(&TrainParams::fused, "fused", "One kernel.").no_result();
    f.add(&TrainParams::every, "every", "Interval.").min(1).max(16);
    f.add(&TrainParams::prefix, "prefix", "Text before | after.");
    f.add(&TrainParams::mode, "mode", "How.", {{"fast", TrainMode::fast}, {"exact", TrainMode::exact}});
    f.add(&TrainParams::roles, "roles", "Which parameters.").choices({"body", "head", "embedding"});
    f.add(&TrainParams::stop, "stop", "When it ends.").units({Unit::steps, Unit::tokens, Unit::percent});
    f.add(&TrainParams::length, "length", "Span length.").min(1);
    f.add(&TrainParams::betas, "betas", "Decays.");
    f.add(&TrainParams::schedules, "schedules", "More decays.");
    f.add(&TrainParams::inner, "inner", "What it wraps.");
    f.add(&TrainParams::terms, "terms", "What it adds up.");
    f.add(&TrainParams::clip, "clip", "Largest norm.").above(0);
    f.add(&TrainParams::model, "model", "Second model.");
    f.add(&TrainParams::data, "data", "Documents.").artifact("dataset").evaluates().required();
    f.add(&TrainParams::paths, "paths", "Files.").files();
    f.add(&TrainParams::target, "target", "Where it goes.")
        .any_of({field::number(true), field::text({"first", "last"}),
                 field::table({field::named(field::number(), "at", "Place.", true)})});
    f.needs("capability", "primary:memory", {{"mode", {"exact"}}, {"inner", {"mlm", "clm"}}});
    f.gives("output", "checkpoint", "checkpoint");
    f.draws();
  }
};

const Schema& schema() {
  static const auto one = [] {
    Fields<TrainParams> fields;
    TrainParams::describe(fields);
    return fields.schema();
  }();
  return one;
}

// "code: message / hint" of every problem that a value has in a field of TrainParams.
std::string check(std::string_view field, const Value& value) {
  Problems problems;
  const bool good = check_value(*schema().find(field), value, "optimizer `adamw`", problems);
  CHECK(good == problems.empty());
  std::string out;
  for (const auto& one : problems.list())
    out += (out.empty() ? "" : "\n") + one.code + ": " + one.message + (one.hint.empty() ? "" : " / " + one.hint);
  return out;
}

std::string unknown(std::string_view key) {
  Problems problems;
  report_unknown_key(schema().fields, key, {}, "optimizer `adamw`", problems, {"type"});
  return problems.list()[0].hint;
}

}  // namespace

TEST_CASE("What a manual says of a field") {
  const auto said = [](std::string_view name) { return describe(*schema().find(name)); };
  CHECK(said("lr") == "real, > 0, default 0.001");
  CHECK(said("temperature") == "real, > 0 and <= 100, default 1.0");
  CHECK(said("fused") == "true or false, default true");
  CHECK(said("every") == "integer, 1 to 16, default 4");
  CHECK(said("prefix") == "text, default \"a\"");
  CHECK(said("mode") == "one of `fast`, `exact`, default `fast`");
  CHECK(said("roles") == "list of one of `body`, `head`, `embedding`, default [\"body\"]");
  CHECK(said("stop") == "amount in steps, tokens or percent, default 1000 steps");
  CHECK(said("betas") == "table of `low` and `count`");
  CHECK(said("terms") == "list of objective");
  CHECK(said("inner") == "objective");
  CHECK(said("clip") == "real, > 0");
  CHECK(said("data") == "dataset with its split, required");
  CHECK(said("target") == "integer, one of `first`, `last` or table of `at`");
}

TEST_CASE("An unknown key is reported as the design shows it") {
  const auto source =
      std::make_shared<const SourceText>(SourceText{"recipes/cpt.toml", "[optimizer.o]\nlearning_rat = 3e-4\n"});
  Problems problems;
  report_unknown_key(schema().fields, "learning_rat", {source, 2, 1, 12}, "optimizer `adamw`", problems);
  CHECK(problems.text() ==
        "error[unknown-key]: `learning_rat` is not a parameter of optimizer `adamw`\n"
        "  --> recipes/cpt.toml:2:1\n"
        "2 | learning_rat = 3e-4\n"
        "  | ^^^^^^^^^^^^ did you mean `lr`? (real, > 0, default 0.001)\n"
        "1 error, nothing was started\n");
  CHECK(unknown("tmperature") == "did you mean `temperature`? (real, > 0 and <= 100, default 1.0)");
  CHECK(unknown("typ") == "did you mean `type`?");
  CHECK(unknown("zzzzzzzz").starts_with("it takes `type`, `lr`, `temperature`, "));
}

TEST_CASE("Values that fit are accepted") {
  CHECK(check("lr", 1).empty());
  CHECK(check("lr", Table{{"from", 0.1}, {"to", 0.01}, {"until", "10%"}}).empty());
  CHECK(check("scale", Table{{"learn", true}}).empty());
  CHECK(check("roles", List{"head", "body"}).empty());
  CHECK(check("roles", "head").empty());  // one value stands for a list of one
  CHECK(check("roles", "none").empty());
  CHECK(check("stop", "3M tokens").empty());
  CHECK(check("length", Table{{"poisson", 3}}).empty());
  CHECK(check("schedules", List{Table{{"low", 0.5}}, Table{}}).empty());
  CHECK(check("inner", "mlm").empty());
  CHECK(check("inner", Table{{"type", "mlm"}}).empty());
  CHECK(check("clip", "none").empty());
  CHECK(check("paths", List{"a/*.txt"}).empty());
  CHECK(check("target", 3).empty());
  CHECK(check("target", "last").empty());
  CHECK(check("target", Table{{"at", 0.5}}).empty());
}

TEST_CASE("Values that do not fit are refused with what would be right") {
  CHECK(check("lr", "fast") ==
        "wrong-type: `lr` of optimizer `adamw` must be a number, not text / real, > 0, default 0.001");
  CHECK(check("lr", 0) == "out-of-range: `lr` of optimizer `adamw` cannot be 0 / real, > 0, default 0.001");
  CHECK(check("lr", std::numeric_limits<double>::infinity())
            .starts_with("out-of-range: `lr` of optimizer `adamw` cannot be inf"));
  CHECK(
      check("temperature", 100.5).starts_with("out-of-range: `temperature` of optimizer `adamw` cannot be 100.5 / "));
  CHECK(check("temperature", Table{{"from", 1}, {"to", 2}}) ==
        "no-schedule: `temperature` of optimizer `adamw` cannot change while a model trains / real, > 0 and <= 100, "
        "default 1.0");
  CHECK(check("lr", Table{{"from", -1}, {"to", 0.1}}) ==
        "out-of-range: `lr.from` of optimizer `adamw` cannot be -1 / real, > 0, default 0.001");
  CHECK(check("lr", Table{{"from", 1}, {"to", 0.1}, {"untill", "3%"}}) ==
        "unknown-key: `untill` is not a key of `lr` of optimizer `adamw` / did you mean `until`?");
  CHECK(check("every", 4.0) ==
        "wrong-type: `every` of optimizer `adamw` must be an integer, not real / write 4 (integer, 1 to 16, default "
        "4)");
  CHECK(check("every", 4.5) ==
        "wrong-type: `every` of optimizer `adamw` must be an integer, not real / integer, 1 to 16, default 4");
  CHECK(check("every", 17).starts_with("out-of-range: "));
  CHECK(check("fused", 1) ==
        "wrong-type: `fused` of optimizer `adamw` must be true or false, not integer / true or false, default true");
  CHECK(check("mode", "exct") ==
        "bad-choice: `mode` of optimizer `adamw` cannot be \"exct\" / did you mean `exact`? (one of `fast`, `exact`, "
        "default `fast`)");
  CHECK(check("roles", List{"body", "tail", "hed"}) ==
        "bad-choice: `roles[1]` of optimizer `adamw` cannot be \"tail\" / one of `body`, `head`, `embedding`\n"
        "bad-choice: `roles[2]` of optimizer `adamw` cannot be \"hed\" / did you mean `head`? (one of `body`, "
        "`head`, `embedding`)");
  CHECK(check("stop", "3 epochs") ==
        "bad-unit: `stop` of optimizer `adamw` cannot be \"3 epochs\" / amount in steps, tokens or percent, default "
        "1000 steps, such as \"20k steps\"");
  CHECK(check("stop", 500).starts_with("bad-unit: `stop` of optimizer `adamw` cannot be 500 / "));
  CHECK(check("stop", "3 bananas").starts_with("bad-unit: "));
  CHECK(check("stop", true).starts_with("wrong-type: "));
  CHECK(check("length", 0).starts_with("out-of-range: `length`"));
  CHECK(check("inner", 3).starts_with("wrong-type: `inner` of optimizer `adamw` must be the name of a component"));
  CHECK(check("clip", "nonne").starts_with("wrong-type: "));
}

TEST_CASE("Nested tables are checked at every depth") {
  CHECK(check("betas", Table{{"lwo", 0.5}}) ==
        "unknown-key: `betas.lwo` is not a parameter of optimizer `adamw` / did you mean `low`? (real, >= 0 and < 1, "
        "default 0.9)");
  CHECK(check("schedules", List{Table{}, Table{{"count", 0}, {"low", 1}}}) ==
        "out-of-range: `schedules[1].count` of optimizer `adamw` cannot be 0 / integer, 1 to 16, default 2\n"
        "out-of-range: `schedules[1].low` of optimizer `adamw` cannot be 1 / real, >= 0 and < 1, default 0.9");
  CHECK(check("betas", 3) ==
        "wrong-type: `betas` of optimizer `adamw` must be a table, not integer / table of `low` and `count`");
  CHECK(check("target", Table{}) == "missing-key: `target.at` of optimizer `adamw` is missing / real, required");
  CHECK(check("target", 0.5).starts_with("wrong-type: `target` of optimizer `adamw` must be integer, one of"));
  CHECK(fitting(*schema().find("target"), Value("last"))->kind == Kind::choice);
  CHECK(fitting(*schema().find("target"), Value(true)) == nullptr);
}

TEST_CASE("Conditions see defaults, parts by type and what is absent") {
  const std::vector<Condition> when = schema().needs[0].when;
  CHECK(holds(when, Table{{"mode", "exact"}, {"inner", Table{{"type", "mlm"}}}}));
  CHECK(holds(when, Table{{"mode", "exact"}, {"inner", "clm"}}));
  CHECK_FALSE(holds(when, Table{{"mode", "fast"}, {"inner", "clm"}}));
  CHECK_FALSE(holds(when, Table{{"mode", "exact"}}));
  CHECK(holds({}, Table{}));
  CHECK(holds({{"inner", {"none"}}}, Table{}));
  CHECK(holds({{"fused", {"true"}}, {"betas.count", {"2"}}}, Table{{"fused", true}, {"betas", Table{{"count", 2}}}}));
}

TEST_CASE("Ramps are listed by the fields that hold one") {
  const auto found = ramps(schema(), Table{{"lr", Table{{"from", 1}, {"to", 0.5}}}, {"temperature", 2.0}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].first == "lr");
  CHECK(found[0].second.at(0.5) == 0.75);
  CHECK(ramps(schema(), Table{{"lr", 0.1}}).empty());
  CHECK_THROWS_AS(ramps(schema(), Table{{"lr", Table{{"from", 1}}}}), Error);
}

TEST_CASE("A schema comes back from JSON unchanged") {
  const auto json = schema_to_json(schema());
  const auto back = schema_from_json(json);
  CHECK(schema_to_json(back) == json);
  REQUIRE(back.fields.size() == schema().fields.size());
  for (std::size_t i = 0; i < back.fields.size(); ++i) {
    CHECK(back.fields[i].kind == schema().fields[i].kind);
    CHECK(back.fields[i].fallback == schema().fields[i].fallback);
    CHECK(describe(back.fields[i]) == describe(schema().fields[i]));
  }
  CHECK(back.draws);
  CHECK(back.needs[0].when[1].values == std::vector<std::string>{"mlm", "clm"});
  CHECK_FALSE(back.find("fused")->changes_results);
  CHECK(schema_to_json(schema_from_json("{}")) == schema_to_json(Schema{}));
}

TEST_CASE("JSON that is no schema is refused") {
  for (const std::string bad :
       {"", "[]", R"({"filds":[]})", R"({"fields":{}})", R"({"fields":[{"name":"a"}]})",
        R"({"fields":[{"name":"a","kind":"int"}]})", R"({"fields":[{"kind":"text"}]})",
        R"({"fields":[{"name":"a","kind":"text","extra":1}]})", R"({"fields":[{"name":"a","kind":"list"}]})",
        R"({"fields":[{"name":"a","kind":"real","min":"0"}]})",
        R"({"fields":[{"name":"a","kind":"text","default":null}]})", R"({"needs":[{"what":"field"}]})",
        R"({"draws":1})", R"({"fields":[{"name":"a","kind":"quantity","units":["yards"]}]})"}) {
    INFO(bad);
    try {
      schema_from_json(bad);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::plugin);
    }
  }
  std::string deep = R"({"kind":"text"})";
  for (int i = 0; i < 40; ++i) deep = R"({"name":"a","kind":"list","fields":[)" + deep + "]}";
  CHECK_THROWS_AS(schema_from_json(R"({"fields":[)" + deep + "]}"), Error);
}

TEST_CASE("JSON Schema lists keys, types and bounds") {
  const auto json = Json::parse(to_json_schema("adamw", "Adam.", schema()));
  CHECK(json["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(json["type"] == "object");
  CHECK(json["additionalProperties"] == false);
  CHECK(json["required"] == Json::array({"type", "data"}));
  const auto& keys = json["properties"];
  CHECK(keys.size() == schema().fields.size() + 1);
  CHECK(keys["type"] == Json::object({{"const", "adamw"}}));
  CHECK(keys["every"]["type"] == "integer");
  CHECK(keys["every"]["minimum"] == 1);
  CHECK(keys["every"]["default"] == 4);
  CHECK(keys["mode"]["enum"] == Json::array({"fast", "exact"}));
  CHECK(keys["lr"]["anyOf"][0] == Json::parse(R"({"type":"number","exclusiveMinimum":0.0})"));
  CHECK(keys["lr"]["anyOf"][1]["required"] == Json::array({"from", "to"}));
  CHECK(keys["lr"]["anyOf"][1]["properties"]["shape"]["enum"].size() == 4);
  CHECK(keys["lr"]["description"] == "Learning rate. (real, > 0, default 0.001)");
  CHECK(keys["length"]["anyOf"][1]["required"] == Json::array({"uniform"}));
  CHECK(keys["scale"]["anyOf"][1]["properties"]["learn"]["type"] == "boolean");
  CHECK(keys["betas"]["properties"]["low"]["exclusiveMaximum"] == 1);
  CHECK(keys["clip"]["anyOf"][1] == Json::object({{"const", "none"}}));
}

TEST_CASE("The manual page has a row for every key, nested ones too") {
  const auto page = to_markdown("optimizer", "adamw", "Adam with decoupled decay.", schema());
  CHECK(page.starts_with(
      "# optimizer `adamw`\n\nAdam with decoupled decay.\n\n| key | value | meaning |\n|---|---|---|\n"
      "| `lr` | real, > 0, default 0.001 | Learning rate. Also `{ from, to, shape, until }`. |\n"));
  CHECK(page.find("| `betas.low` | real, >= 0 and < 1, default 0.9 | Decay of the mean. |\n") != std::string::npos);
  CHECK(page.find("| `schedules[].count` | ") != std::string::npos);
  CHECK(page.find("Text before \\| after.") != std::string::npos);
  CHECK(page.find("- capability `primary:memory`, if `mode` is `exact` and `inner` is `mlm` or `clm`\n") !=
        std::string::npos);
  CHECK(page.find("- output `checkpoint` (checkpoint)\n") != std::string::npos);
  CHECK(to_markdown("schedule", "constant", "", Schema{}) == "# schedule `constant`\n\nIt takes no parameters.\n");
}

TEST_CASE("Kinds of recipes and the interfaces behind them") {
  CHECK(interfaces_of_kind("dataset") == std::vector<std::string>{"data_source", "dataset"});
  CHECK(interfaces_of_kind("initializer") == std::vector<std::string>{"vocab_initializer"});
  CHECK(interfaces_of_kind("probe") == std::vector<std::string>{"evaluator"});
  CHECK(interfaces_of_kind("objective") == std::vector<std::string>{"objective"});
  CHECK(interfaces_of_kind("source").empty());
  CHECK(interfaces_of_kind("tower").empty());
  CHECK(recipe_kinds().size() == 20);
}
