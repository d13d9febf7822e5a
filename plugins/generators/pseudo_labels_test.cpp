#include "api/ops.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <functional>
#include <limits>

#include "api/generator.h"
#include "testing/testing.h"

namespace pseudo_labels_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// Nobody should be asked.
struct Silent final : Backend {
  bool repeatable() const override { return true; }
  Completion complete(const Prompt&, std::int64_t, RandomStream) override { throw Error("asked"); }
};

const Strings kClasses{"bird", "fish", "plant"};

at::Tensor rows(const std::vector<double>& scores, std::int64_t classes = 3) {
  return ops::tensor(scores, at::kDouble).view({-1, classes});
}

/// What the stage `build_dataset` hands over: the artifact as the part `predictions`.
State predictions(const at::Tensor& scores, const Strings& ids, const Strings& classes = kClasses,
                  const std::string& field = "label") {
  State state;
  auto& one = state.child("predictions").child(field);
  one.set("id", ids), one.set("classes", classes), one.set("scores", scores);
  one.set("sample_id", Ints{std::vector<std::int64_t>(ids.size(), 1)});
  return state;
}

std::unique_ptr<Generator> unloaded(const Table& more = {}) {
  Table settings{{"type", "pseudo_labels"}, {"predictions", Reference{.text = "guess", .kind = "predictions"}}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Generator>(settings);
}

std::unique_ptr<Generator> labels(const State& state, const Table& more = {}) {
  auto made = unloaded(more);
  made->load(state);
  return made;
}

Document document(const std::string& id) {
  Document out;
  out.id = id, out.text = "Text of " + id, out.title = "Title", out.language = "en", out.script = "Latn";
  out.source = "manual", out.group = "g" + id, out.split = "train";
  out.fields = {{"text_b", "more"}, {"year", "1900"}};
  out.annotations.push_back({"paragraph", 0, 4, {}});
  return out;
}

std::vector<Document> made(Generator& generator, const Document& from, std::uint64_t key = 1) {
  Silent nobody;
  return generator.generate(from, nobody, RandomStream(key));
}

Document only(Generator& generator, const std::string& id) {
  const auto all = made(generator, document(id));
  REQUIRE(all.size() == 1);
  return all[0];
}

double confidence(const Document& document) { return std::stod(document.fields.at("confidence")); }

const std::vector<double> kScores{0.5, 2, -1, /**/ 3, 3, 0, /**/ -4, -5, -4, /**/ 0, 0, 0};

TEST_CASE("pseudo_labels: the likeliest class, the first of equal ones, and its probability") {
  const auto generator = labels(predictions(rows(kScores), {"a", "b", "c", "d"}));
  const auto a = only(*generator, "a"), b = only(*generator, "b"), c = only(*generator, "c"),
             d = only(*generator, "d");
  CHECK(a.fields.at("label") == "fish");
  CHECK(b.fields.at("label") == "bird");
  CHECK(c.fields.at("label") == "bird");
  CHECK(d.fields.at("label") == "bird");
  CHECK(std::abs(confidence(a) - std::exp(2.0) / (std::exp(0.5) + std::exp(2.0) + std::exp(-1.0))) < 1e-15);
  CHECK(std::abs(confidence(b) - std::exp(3.0) / (2 * std::exp(3.0) + 1)) < 1e-15);
  CHECK(std::abs(confidence(c) - 1 / (2 + std::exp(-1.0))) < 1e-15);
  CHECK(d.fields.at("confidence") == "0.3333333333333333");
  // ln 3 against 0: exp gives 3 of 4 up to rounding, and a half has a short name.
  const auto two = labels(predictions(rows({0, 0, 9, 9}, 2), {"x", "y"}, {"no", "yes"}));
  CHECK(only(*two, "x").fields.at("confidence") == "0.5");
  CHECK(only(*two, "y").fields.at("confidence") == "0.5");
  const auto sure = labels(predictions(rows({0, 900}, 2), {"x"}, {"no", "yes"}));
  CHECK(only(*sure, "x").fields.at("confidence") == "1");
}

TEST_CASE("pseudo_labels: a document stays itself but for the two fields") {
  const auto generator = labels(predictions(rows(kScores), {"a", "b", "c", "d"}));
  auto from = document("a");
  from.fields["label"] = "plant";  // what is known gives way
  const auto all = made(*generator, from);
  REQUIRE(all.size() == 1);
  const auto& one = all[0];
  CHECK((one.id == from.id && one.text == from.text && one.title == from.title && one.language == from.language));
  CHECK((one.script == from.script && one.source == from.source && one.group == from.group));
  CHECK(one.split == from.split);
  REQUIRE(one.annotations.size() == 1);
  CHECK((one.annotations[0].kind == "paragraph" && one.annotations[0].end == 4));
  from.fields["label"] = "fish", from.fields["confidence"] = one.fields.at("confidence");
  CHECK(one.fields == from.fields);
}

TEST_CASE("pseudo_labels: documents are found by id, and no draw matters") {
  const auto generator = labels(predictions(rows(kScores), {"a", "b", "c", "d"})),
             turned = labels(predictions(rows(kScores).flip({0}), {"d", "c", "b", "a"}));
  for (const char* id : {"d", "a", "c", "b", "a"}) {
    CHECK(only(*generator, id).fields == only(*turned, id).fields);
    CHECK(made(*generator, document(id), 1)[0].fields == made(*generator, document(id), 99)[0].fields);
  }
}

TEST_CASE("pseudo_labels: a number added to all scores changes nothing, however large they are") {
  const auto plain = labels(predictions(rows(kScores), {"a", "b", "c", "d"}));
  for (const double more : {1024.0, -1024.0}) {
    const auto moved = labels(predictions(rows(kScores).add(more), {"a", "b", "c", "d"}));
    for (const char* id : {"a", "b", "c", "d"}) CHECK(only(*moved, id).fields == only(*plain, id).fields);
  }
}

TEST_CASE("pseudo_labels reads scores of any type and layout") {
  const auto plain = labels(predictions(rows(kScores), {"a", "b", "c", "d"}));
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {  // which hold these numbers as they are
    const auto other = labels(predictions(rows(kScores).to(type), {"a", "b", "c", "d"}));
    CHECK(only(*other, "a").fields == only(*plain, "a").fields);
  }
  const auto across = labels(predictions(rows(kScores).t().contiguous().t(), {"a", "b", "c", "d"}));
  for (const char* id : {"a", "b", "c", "d"}) CHECK(only(*across, id).fields == only(*plain, id).fields);
}

TEST_CASE("pseudo_labels leaves out what is less sure than it is told") {
  // Probabilities of the likeliest of two: 1/2, 1/(1 + 1/e), 1/(1 + 1/e^3).
  const auto state = [] { return predictions(rows({0, 0, 0, 1, 3, 0}, 2), {"a", "b", "c"}, {"no", "yes"}); };
  const auto kept = [&](double least) {
    const auto generator = labels(state(), {{"least", least}});
    std::string out;
    for (const char* id : {"a", "b", "c"}) out += made(*generator, document(id)).empty() ? "" : id;
    return out;
  };
  CHECK(kept(0) == "abc");
  CHECK(kept(0.5) == "abc");  // as sure as it must be
  CHECK(kept(0.5001) == "bc");
  CHECK(kept(0.74) == "c");
  CHECK(kept(0.96).empty());
  CHECK(kept(1).empty());
}

TEST_CASE("pseudo_labels: another field gets the classes of its own predictions") {
  auto state = predictions(rows({0, 1}, 2), {"a"}, {"no", "yes"}, "answer");
  auto& other = state.child("predictions").child("label");
  other.set("id", Strings{"a"}), other.set("classes", kClasses), other.set("scores", rows({0, 0, 1}));
  const auto one = only(*labels(state, {{"field", "answer"}}), "a");
  CHECK(one.fields.at("answer") == "yes");
  CHECK_FALSE(one.fields.contains("label"));
  CHECK(only(*labels(state), "a").fields.at("label") == "plant");
  CHECK_THROWS_WITH(labels(state, {{"field", "tone"}}),
                    ContainsSubstring("`predictions` `guess` is of `answer` and `label`, not of `tone`"));
}

TEST_CASE("pseudo_labels refuse what are no predictions of the documents") {
  const auto refused = [](const State& state) {
    try {
      labels(state);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto shape = ContainsSubstring("has not one row of scores per document and one column per class");
  const auto bad = [](double value) { return rows({0, 1, 2, 0, value, 2}); };
  CHECK(refused(predictions(rows({0, 1, 2}), {"a"})) == "accepted");
  CHECK_THAT(refused(predictions(rows({0, 1, 2}), {"a", "b"})), shape);
  CHECK_THAT(refused(predictions(rows({0, 1}, 2), {"a"})), shape);
  CHECK_THAT(refused(predictions(rows({0, 1, 2}).view({1, 1, 3}), {"a"})), shape);
  CHECK_THAT(refused(predictions(ops::zeros({0, 0}), {}, {})), shape);
  CHECK_THAT(refused(predictions(rows({0, 1, 2, 0, 1, 2}), {"a", "a"})), ContainsSubstring("has document `a` twice"));
  CHECK_THAT(refused(predictions(rows({0, 1, 2}), {"a"}, {"x", "y", "x"})), ContainsSubstring("has a class twice"));
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK_THAT(refused(predictions(bad(value), {"a", "b"})),
               ContainsSubstring("has a score of document `b` that is no number"));
  CHECK_THROWS_WITH(only(*labels(predictions(rows({0, 1, 2}), {"a"})), "z"),
                    ContainsSubstring("`predictions` `guess` lacks document `z`; predict the same data and split"));
  CHECK_THROWS_WITH(only(*unloaded(), "a"), ContainsSubstring("has not got its predictions"));
  CHECK_THROWS_WITH(unloaded({{"field", "confidence"}}), ContainsSubstring("`field` is `confidence`"));
  CHECK_THROWS_WITH(labels(State()), ContainsSubstring("no part `predictions`"));
}

}  // namespace pseudo_labels_test
