#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <regex>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/toy_corpus.h"

namespace identifier_denoise_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using Ids = std::vector<std::int64_t>;
const std::string kProgram = R"(def running_mean(values, _width=3):
    total = 0; total_2 = [0]*_width  # naïve
    for value in values:
        total += value; total_2[value]=total
        values.append(value-_width)
    return running_mean(values[total:], _width), total, values
)";
const Strings kPython{"def", "for", "in", "return"};

/// What a stage with this tokenizer would say.
class Stage final : public Resources {
 public:
  explicit Stage(std::shared_ptr<const Encoder> encoder) : encoder_(std::move(encoder)) {}
  std::int64_t vocab_size() const override { return encoder_->size(); }
  std::int64_t reserved(std::string_view purpose, std::int64_t index) const override {
    if (const auto id = encoder_->reserved(purpose, index)) return *id;
    throw Error("no id is reserved for " + std::string(purpose));
  }
  bool is_text(std::int64_t id) const override {
    return encoder_->key(static_cast<TokenId>(id)).kind != TokenKind::special;
  }
  const State& artifact(std::string_view) const override { throw Error("no artifact"); }
  Strings categories(std::string_view) const override { return {"a"}; }
  const Encoder* tokenizer() const override { return encoder_.get(); }

 private:
  std::shared_ptr<const Encoder> encoder_;
};

std::shared_ptr<const Encoder> encoder_of(Table settings, std::int64_t sentinels = 100) {
  const auto tokenizer = testing::registry().make<Tokenizer>(settings);
  return tokenizer->fit(testing::ToyCorpus({kProgram, kProgram, "(a) a a b b_1 (b.a\n"}), {{"sentinel", sentinels}},
                        RandomStreams(1));
}
/// Of few merges: names are several tokens. Of 480 they are one, most of them with what stands around them.
Table bpe(const char* pattern = "gpt2", std::int64_t vocab = 385) {
  return {{"type", "bpe"}, {"vocab_size", vocab}, {"pattern", pattern}};
}

/// The transform of an objective over a tokenizer, and what it makes of texts.
struct Hiding {
  std::shared_ptr<const Encoder> encoder;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Transform> transform;
  Ids ids, source, target;

  Hiding(std::shared_ptr<const Encoder> tokens, Table settings) : encoder(std::move(tokens)) {
    settings.insert_or_assign("type", "identifier_denoise");
    objective = testing::registry().make<Objective>(settings);
    transform = objective->input_transform(), transform->start(Stage(encoder));
  }
  static Table words(const Strings& keywords = kPython) {
    List list(keywords.begin(), keywords.end());
    return {{"identifiers", "words"}, {"keywords", std::move(list)}};
  }
  /// `more`: further columns by token.
  void hide(const std::string& text, const std::map<std::string, Ids>& more = {}) {
    ids.clear();
    for (const auto& token : encoder->encode(text)) ids.push_back(token.id);
    Example item{1, 1, "code"};
    item.fields["ids"] = Ints{ids};
    for (const auto& [name, values] : more) item.fields[name] = Ints{values};
    std::vector<Example> group{item};
    auto random = RandomStreams(9).stream();
    transform->apply(group, random);
    source = group[0].ints("source_ids").data, target = group[0].ints("target_ids").data;
    REQUIRE((source.back() == *encoder->reserved("end") && target.back() == source.back()));
    source.pop_back(), target.pop_back();
  }
  std::string decode(const Ids& some) const {
    return encoder->decode(std::vector<TokenId>(some.begin(), some.end()));
  }
  std::int64_t sentinel(std::size_t k) const {
    return encoder->reserved("sentinel", static_cast<std::int64_t>(k)).value_or(-1);
  }
  std::optional<std::size_t> number_of(std::int64_t id) const {
    for (std::size_t k = 0; k < 100; ++k)
      if (sentinel(k) == id) return k;
    return std::nullopt;
  }
  /// The target's names; their sentinels are the first ones, in order.
  std::vector<Ids> names() const {
    std::vector<Ids> out;
    for (const auto id : target)
      if (number_of(id)) {
        CHECK(number_of(id) == out.size());
        out.emplace_back();
      } else {
        out.back().push_back(id);
      }
    return out;
  }
  /// Without the blank that some have.
  Strings spelled() const {
    Strings out;
    for (const auto& name : names()) out.push_back(std::regex_replace(decode(name), std::regex("^ "), ""));
    return out;
  }
  /// Names in the place of sentinels, which must come in order.
  Ids restored() const {
    Ids out;
    const auto all = names();
    std::size_t seen = 0;
    for (const auto id : source) {
      const auto k = number_of(id);
      if (!k) {
        out.push_back(id);
        continue;
      }
      CHECK(*k <= seen);
      seen = std::max(seen, *k + 1);
      out.insert(out.end(), all.at(*k).begin(), all.at(*k).end());
    }
    CHECK(seen == all.size());
    return out;
  }
  /// Words that the source still shows.
  std::set<std::string> shown() const {
    std::string text;
    Ids run;
    for (const auto id : source)
      if (number_of(id))
        text += decode(run) + "\n", run.clear();
      else
        run.push_back(id);
    text += decode(run);
    std::set<std::string> out;
    const std::regex word("[A-Za-z0-9_\x80-\xff]+");
    for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at) out.insert(at->str());
    return out;
  }
};

TEST_CASE("identifier_denoise: names in the place of sentinels give back the program, whatever cuts it") {
  for (const auto& table : {bpe(), bpe("gpt2", 480), bpe("whitespace", 480), Table{{"type", "bytes"}},
                            Table{{"type", "wordpiece"}, {"vocab_size", 190}, {"min_count", 1}},
                            Table{{"type", "unigram"}, {"vocab_size", 170}}}) {
    const auto type = *table.at("type").as<std::string>();
    CAPTURE(type);
    const auto encoder = encoder_of(table);
    Hiding h(encoder, Hiding::words());
    const bool any = type == "bpe" || type == "bytes";
    h.hide(kProgram);
    CHECK_FALSE(h.names().empty());
    CHECK(h.decode(h.restored()) == h.decode(h.ids));
    if (!any) CHECK(h.restored() == h.ids);
    // Pieces of programs in any order: names in all forms, and tokens that reach beyond them.
    const Strings pieces{"a",  "b",   " a",     " b",      "(",      ".", "\n",
                         "  ", " = ", "_width", " _width", "values", "1", "def "};
    for (int n = 0; n < 200; ++n) {
      auto random = RandomStreams(3).stream(0, static_cast<std::uint64_t>(n));
      std::string text;
      for (auto left = random.below(40); left > 0; --left)
        text += pieces[static_cast<std::size_t>(random.below(std::ssize(pieces)))];
      h.hide(text);
      CAPTURE(text);
      CHECK(h.decode(h.restored()) == h.decode(h.ids));
      const auto said = h.transform->lengths(std::ssize(h.ids), random);
      CHECK((std::ssize(h.source) + 1 <= said.input && std::ssize(h.target) + 1 <= said.target));
      const auto names = h.spelled();
      CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
    }
  }
}

TEST_CASE("identifier_denoise hides every place of every name behind the name's one sentinel, keywords not") {
  for (const auto& table : {bpe(), bpe("whitespace"), Table{{"type", "bytes"}}}) {
    Hiding h(encoder_of(table), Hiding::words());
    h.hide(kProgram);
    CHECK(h.spelled() == Strings{"running_mean", "values", "_width", "total", "total_2", "naïve", "value", "append"});
    CHECK(h.shown() == std::set<std::string>{"def", "for", "in", "return", "0", "3"});
    std::map<std::int64_t, int> places;
    for (const auto id : h.source)
      if (h.number_of(id)) ++places[id];
    CHECK((places[h.sentinel(0)] == 2 && places[h.sentinel(1)] == 5 && places[h.sentinel(3)] == 5));
  }
  // Tokens that hold more than a name are cut there; a long name makes room for what that adds.
  Hiding wide(encoder_of(bpe("whitespace", 480)), Hiding::words());
  std::string longer = kProgram;
  for (int i = 0; i < 8; ++i) longer += " xyzzy_plugh_quux_waldo";
  wide.hide(longer);
  CHECK(wide.names().size() == 9);
  CHECK(wide.shown() == std::set<std::string>{"def", "for", "in", "return", "0", "3"});
  CHECK(wide.decode(wide.restored()) == wide.decode(wide.ids));
  Hiding h(encoder_of(bpe()), Hiding::words());
  h.hide("total total\nrunning_mean");  // two places that touch
  CHECK(h.names().size() == 2);
}

TEST_CASE("identifier_denoise leaves names beyond the last sentinel as they are") {
  Hiding h(encoder_of(bpe("gpt2", 290), 3), Hiding::words());
  h.hide(kProgram);
  CHECK(h.spelled() == Strings{"running_mean", "values", "_width"});
  CHECK(h.shown() == std::set<std::string>{"def", "for", "in", "return", "0", "3", "total", "total_2", "naïve",
                                           "value", "append"});
  CHECK(h.decode(h.restored()) == kProgram);
}

TEST_CASE("identifier_denoise makes neither source nor target longer than the text and its end") {
  Hiding h(encoder_of(bpe("gpt2", 480)), Hiding::words());
  Lengths before;
  for (std::int64_t raw = 0; raw < 300; ++raw) {
    const auto now = h.transform->lengths(raw, RandomStream(1));
    CHECK((now.input >= before.input && now.target >= before.target));
    before = now;
  }
  CHECK(raw_tokens_for(*h.transform, {128, 128}, RandomStream(1), 1024) == 127);
  std::string letters = "A";
  for (char c = 'B'; c <= 'Z'; ++c) letters += '\n', letters += c;  // each a name and a token
  h.hide(letters);
  REQUIRE(h.ids.size() == 51);
  CHECK(h.names().size() == 25);  // two tokens each, and the end
  CHECK(h.target.size() + 1 <= 52);
  // The blanks of ` a` would be tokens of their own, so that only what saves as many can be hidden.
  h.hide("(a) a a a a a a");
  CHECK((h.target.empty() && h.source == h.ids));
  h.hide("(a) a running_meanly_values running_meanly_values");
  CHECK(h.spelled() == Strings{"a", "running_meanly_values"});
}

TEST_CASE("identifier_denoise takes what annotations mark, and words where a document has none only if told so") {
  const auto encoder = encoder_of(bpe());
  Hiding h(encoder, {});
  Ids marks, none, second;
  const auto marked = kProgram.find("total_2");
  for (const auto& token : encoder->encode(kProgram)) {  // as the loader marks tokens
    marks.push_back(token.end <= 3 || (token.begin < marked + 7 && token.end > marked) ? 5 : -1), none.push_back(-1);
    second.push_back(token.begin > marked);
  }
  h.hide(kProgram, {{"identifier", marks}});
  CHECK(h.spelled() == Strings{"def", "total_2"});
  CHECK(h.decode(h.restored()) == kProgram);
  h.hide(kProgram, {{"identifier", none}});
  CHECK((h.target.empty() && h.source == h.ids));
  auto settings = Hiding::words();
  settings["identifiers"] = "marked_or_words";
  Hiding either(encoder, settings);
  either.hide(kProgram, {{"identifier", marks}});
  CHECK(either.spelled() == Strings{"total_2"});  // `def` is a keyword
  either.hide(kProgram, {{"identifier", none}});
  CHECK(either.names().size() == 8);
  either.hide(kProgram, {{"identifier", none}, {"segment", second}});  // a second text is no program
  CHECK(either.spelled() == Strings{"running_mean", "values", "_width", "total"});
  CHECK_THROWS_WITH(h.hide(kProgram, {{"identifier", {1}}}), ContainsSubstring("need a kind of annotation"));
}

constexpr std::int64_t kEnd = 4, kSentinel = 5, kText = 110;

FixtureSpec spec(at::ScalarType type = at::kDouble) {
  FixtureSpec s;
  s.vocab = 140, s.first_text = kText;
  s.reserved = {{"end", kEnd}};
  for (int i = 0; i < 100; ++i) s.reserved["sentinel." + std::to_string(i)] = kSentinel + i;
  s.model = {{"type", "transformer"}, {"kind", "encoder_decoder"},
             {"layers", 1},           {"decoder_layers", 1},
             {"width", 16},           {"heads", 2},
             {"max_time", 64},        {"init_sd", 0.2}};
  s.objective = {{"type", "identifier_denoise"}, {"field", "tag"}};
  s.categories["tag"] = {"a", "b"};
  s.dataset_fields = {{"ids", "input", 0}, {"tag", "input", -1}};
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

struct Code {
  Ids ids, tags, source, target;
};

/// Names of three tokens between others; every fourth program has none.
Code program(std::uint64_t number, std::int64_t length) {
  auto random = RandomStreams(5).stream(0, number);
  Code out;
  std::map<std::int64_t, std::int64_t> sentinels;
  for (std::int64_t k = 0; k < length; ++k) {
    const auto plain = kText + random.below(10), name = random.below(4);
    out.ids.push_back(plain), out.tags.push_back(-1), out.source.push_back(plain);
    if (number % 4 == 3) continue;
    const auto [found, fresh] = sentinels.emplace(name, kSentinel + std::ssize(sentinels));
    out.source.push_back(found->second);
    if (fresh) out.target.push_back(found->second);
    for (std::int64_t i = 0; i < 3; ++i) {
      const auto id = kText + 12 + name + 5 * i;
      out.ids.push_back(id), out.tags.push_back(0);
      if (fresh) out.target.push_back(id);
    }
  }
  out.source.push_back(kEnd), out.target.push_back(kEnd);
  return out;
}

std::vector<std::vector<Example>> programs(int n, std::vector<Code>* all = nullptr) {
  std::vector<std::vector<Example>> out;
  for (int i = 0; i < n; ++i) {
    const auto code = program(static_cast<std::uint64_t>(i), 3 + i % 5);
    Example item{i, i, "code"};
    item.fields["ids"] = Ints{code.ids}, item.fields["tag"] = Ints{code.tags};
    out.push_back({std::move(item)});
    if (all) all->push_back(code);
  }
  return out;
}

TEST_CASE("identifier_denoise costs the mean cross entropy of the target's tokens, and nothing without names") {
  Fixture f(testing::registry(), spec());
  std::vector<Code> all;
  const auto batch = f.load(programs(9, &all));
  const double found = f.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"primary", 2}});
  const auto counts = f.objective().counts(batch).at("identifiers");
  const at::NoGradGuard quiet;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  const auto row_of = [&](const std::string& axis, std::int64_t row) {
    return batch.dense(axis + "_ids")[row].masked_select(batch.dense(axis + ".mask")[row]);
  };
  double nats = 0, count = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i), asked = i % 4 == 3 ? 0 : std::ssize(all[i].target);
    CHECK(row_of("source", row).equal(ops::tensor(all[i].source)));
    CHECK(row_of("target", row).equal(ops::tensor(all[i].target)));
    CHECK(counts[row].item<std::int64_t>() == asked);
    if (asked == 0) continue;
    const auto memory = model.forward(w, {.ids = ops::tensor(all[i].source).unsqueeze(0)}, {.tokens = true}).tokens;
    Ids before{kEnd};
    for (const auto id : all[i].target) {
      const ForwardInput in{.ids = ops::tensor(before).unsqueeze(0), .causal = true, .memory = memory};
      const auto hidden = model.forward(w, in, {.tokens = true}).tokens[0][std::ssize(before) - 1];
      nats -= model.logits(w, hidden).log_softmax(-1)[id].item<double>(), ++count;
      before.push_back(id);
    }
  }
  CHECK(std::abs(found - nats / count) < 1e-12);
}

TEST_CASE("identifier_denoise adds up over micro-batches, some without names, and reaches the whole model") {
  Fixture f(testing::registry(), spec());
  const auto batch = f.load(programs(10));
  const double whole = f.accumulate({batch});
  const auto exact = testing::gradients(f);
  for (const auto& info : f.all().info) CHECK(info.name.starts_with("primary."));  // it owns nothing
  for (const auto& gradient : exact) CHECK(gradient.abs().max().item<double>() > 0);
  for (const int size : {4, 1}) {
    CHECK(std::abs(f.accumulate(testing::split(batch, size)) - whole) < 1e-12);
    CHECK(testing::largest_difference(exact, testing::gradients(f)) < 1e-12);
  }
  const auto nothing = batch.select(ops::tensor({3, 7}));
  CHECK(f.accumulate({nothing}) == 0);
  for (const auto& gradient : testing::gradients(f)) CHECK(gradient.abs().max().item<double>() == 0);
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < 0.8 * whole);
}

// Finite differences, counts for all terms, the same loss for every order, padding and split into micro-batches.
TEST_CASE("identifier_denoise keeps what every objective promises") {
  const Table settings{{"type", "identifier_denoise"}, {"field", "tag"}};
  CHECK(testing::check_objective(testing::registry(), settings, {spec().model}).empty());
}

TEST_CASE("identifier_denoise says what does not fit") {
  const auto made = [](Table more) {
    auto s = spec();
    for (const auto& [key, value] : more) s.objective.insert_or_assign(key, value);
    if (s.objective.contains("none")) s.objective.erase("none"), s.categories["tag"].clear();
    return std::make_unique<Fixture>(testing::registry(), s);
  };
  CHECK_THROWS_WITH(made({{"identifiers", "words"}}), ContainsSubstring("the stage has no tokenizer"));
  CHECK_THROWS_WITH(made({{"none", true}}), ContainsSubstring("no annotation of kind `tag`"));
  for (const char* word : {"not in", "2nd", ""})
    CHECK_THROWS_WITH(made({{"keywords", List{Value("if"), Value(word)}}}),
                      ContainsSubstring("`keywords` has `" + std::string(word) + "`"));
  auto without = spec();
  std::erase_if(without.reserved, [](const auto& one) { return one.first.starts_with("sentinel."); });
  CHECK_THROWS_WITH(Fixture(testing::registry(), without), ContainsSubstring("no id is reserved for `sentinel`"));
}

}  // namespace identifier_denoise_test
