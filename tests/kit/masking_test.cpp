#include "kit/masking.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "kit/chain.h"

using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::int64_t kVocab = 60, kFirstText = 10, kMask = 4;

class Reserved final : public xp::Resources {
 public:
  std::int64_t vocab_size() const override { return kVocab; }
  std::int64_t reserved(std::string_view, std::int64_t) const override { return kMask; }
  bool is_text(std::int64_t token) const override { return token >= kFirstText; }
  const xp::State& artifact(std::string_view name) const override { throw xp::Error(std::string(name)); }
  xp::Strings categories(std::string_view) const override { return {}; }
  const xp::Encoder* tokenizer() const override { return nullptr; }
};

/// Half of the ids are special; words are pairs of tokens.
std::vector<xp::Example> text(std::uint64_t id, int length) {
  auto random = xp::RandomStreams(5).stream(0, id);
  xp::Example item{static_cast<std::int64_t>(id), static_cast<std::int64_t>(id), ""};
  xp::Ints ids, word;
  for (int t = 0; t < length; ++t) ids.data.push_back(random.below(kVocab)), word.data.push_back(t / 2);
  item.fields["ids"] = ids, item.fields["word"] = word;
  return {item};
}

struct Counted {
  double text = 0, chosen = 0, masked = 0, kept = 0, other = 0;
  bool clean = true;
};
Counted run(const xp::MaskOptions& options, int texts, int length) {
  xp::MaskTokens mask(options);
  mask.start(Reserved());
  Counted n;
  for (int i = 0; i < texts; ++i) {
    auto group = text(static_cast<std::uint64_t>(i), length);
    auto random = xp::RandomStreams(1, "mask").stream(0, static_cast<std::uint64_t>(i));
    mask.apply(group, random);
    const auto &ids = group[0].ints("ids").data, &now = group[0].ints("masked_ids").data,
               &labels = group[0].ints("labels").data;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const bool is_text = ids[t] >= kFirstText, chosen = labels[t] >= 0;
      n.text += is_text, n.chosen += chosen;
      n.masked += chosen && now[t] == kMask, n.kept += chosen && now[t] == ids[t];
      n.other += chosen && now[t] != kMask && now[t] != ids[t];
      n.clean &=
          chosen ? is_text && labels[t] == ids[t] && (now[t] == kMask || now[t] >= kFirstText) : now[t] == ids[t];
    }
  }
  return n;
}
bool within(double hits, double n, double share) {  // three standard errors of a binomial share
  return std::abs(hits / n - share) <= 3 * std::sqrt(share * (1 - share) / n);
}

}  // namespace

TEST_CASE("over a million tokens, rate and mix are as set and specials are never touched") {
  const auto n = run({0.15, {0.8, 0.1, 0.1}, false}, 2000, 640);
  REQUIRE(n.text > 1e6);
  CHECK(n.clean);
  CHECK(within(n.chosen, n.text, 0.15));
  const double same = 0.1 / (kVocab - kFirstText);  // a random token may be the old one
  CHECK(within(n.masked, n.chosen, 0.8));
  CHECK(within(n.other, n.chosen, 0.1 - same));
  CHECK(within(n.kept, n.chosen, 0.1 + same));
}

TEST_CASE("words are chosen whole, at the same rate") {
  const auto options = xp::MaskOptions{0.3, {1, 0, 0}, true};
  const auto n = run(options, 500, 640);
  CHECK(n.clean);
  // Tokens of a word fall together, so the error is that of half as many draws at worst.
  CHECK(std::abs(n.chosen / n.text - 0.3) <= 3 * std::sqrt(2 * 0.3 * 0.7 / n.text));
  xp::MaskTokens mask(options);
  mask.start(Reserved());
  auto group = text(1, 64);
  for (auto& id : group[0].ints("ids").data) id = kFirstText;
  auto random = xp::RandomStreams(1).stream();
  mask.apply(group, random);
  const auto& labels = group[0].ints("labels").data;
  for (std::size_t t = 0; t < labels.size(); t += 2) CHECK((labels[t] >= 0) == (labels[t + 1] >= 0));
}

TEST_CASE("`maskable` protects tokens, and a schedule moves the rate") {
  xp::MaskTokens mask({0.15, {1, 0, 0}, false});
  mask.start(Reserved());
  mask.set("mask_rate", 1);
  auto group = text(3, 50);
  xp::Ints maskable{std::vector<std::int64_t>(50, 1)};
  for (std::size_t t = 0; t < 25; ++t) maskable.data[t] = 0;
  group[0].fields["maskable"] = maskable;
  auto random = xp::RandomStreams(1).stream();
  mask.apply(group, random);
  const auto &ids = group[0].ints("ids").data, &labels = group[0].ints("labels").data;
  for (std::size_t t = 0; t < 50; ++t) CHECK(labels[t] == (t >= 25 && ids[t] >= kFirstText ? ids[t] : -1));
}

TEST_CASE("masking says what is wrong with its settings and its data") {
  CHECK_THROWS_WITH(xp::mask_options(1.5, {1, 0, 0}, false), ContainsSubstring("between 0 and 1"));
  CHECK_THROWS_WITH(xp::mask_options(0.1, {0.5, 0.1, 0.1}, false), ContainsSubstring("[0.5, 0.1, 0.1]"));
  CHECK_THROWS_WITH(xp::mask_options(0.1, {1}, false), ContainsSubstring("three shares"));
  xp::MaskTokens mask({0.15, {1, 0, 0}, false});
  mask.start(Reserved());
  CHECK_THROWS_WITH(mask.set("mask_rate", -1), ContainsSubstring("-1"));
  auto group = text(1, 8);
  group[0].ints("ids").data[3] = kVocab;
  auto random = xp::RandomStreams(1).stream();
  CHECK_THROWS_WITH(mask.apply(group, random), ContainsSubstring("vocabulary of 60"));
}

TEST_CASE("a chain of one draws as its part does; a second part has a stream of its own") {
  const auto masked = [](int parts) {
    xp::Chain chain;
    chain.add("one", std::make_unique<xp::MaskTokens>(xp::MaskOptions{}));
    if (parts > 1) {
      class Draw final : public xp::Transform {
       public:
        xp::FieldUse fields() const override { return {{"labels"}, {}, {{"draw", "", 0}}}; }
        void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
          for (auto& item : group) item.fields["draw"] = xp::Ints{{random.below(1 << 30)}};
        }
        xp::Lengths lengths(std::int64_t raw, xp::RandomStream) const override { return {raw + 1, 3}; }
      };
      chain.add("two", std::make_unique<Draw>());
      CHECK(chain.lengths(7, xp::RandomStream(1)).input == 8);
      CHECK(chain.lengths(7, xp::RandomStream(1)).target == 3);
      CHECK(chain.fields().reads == xp::Strings{"ids"});  // `labels` comes from the first part
      CHECK(chain.fields().writes.size() == 3);
    }
    chain.start(Reserved());
    auto group = text(9, 100);
    auto random = xp::RandomStreams(2).stream();
    chain.apply(group, random);
    return group[0].ints("masked_ids").data;
  };
  xp::MaskTokens alone{xp::MaskOptions{}};
  alone.start(Reserved());
  auto group = text(9, 100);
  auto random = xp::RandomStreams(2).stream();
  alone.apply(group, random);
  CHECK(masked(1) == group[0].ints("masked_ids").data);
  CHECK(masked(2) == masked(1));
}

TEST_CASE("a stage's transforms stand before the objective's own, whose parameters need no name in front") {
  class Nothing final : public xp::Transform {
   public:
    xp::FieldUse fields() const override { return {}; }
    void apply(std::vector<xp::Example>&, xp::RandomStream&) const override {}
  };
  const auto before = [](int parts) {
    std::vector<std::unique_ptr<xp::Transform>> out;
    for (int i = 0; i < parts; ++i) out.push_back(std::make_unique<Nothing>());
    return out;
  };
  CHECK(xp::chained(before(0), nullptr) == nullptr);
  CHECK(xp::chained(before(2), nullptr) != nullptr);
  for (const int parts : {0, 1, 2}) {
    const auto chain = xp::chained(before(parts), std::make_unique<xp::MaskTokens>(xp::MaskOptions{}));
    chain->start(Reserved());
    CHECK_THROWS_AS(chain->set("mask_rate", 7), xp::Error);
    chain->set("transform_0.mask_rate", 7);  // of a part that has none
  }
}

TEST_CASE("a chain refuses two parts that write one field, and passes parameters on by name") {
  xp::Chain chain;
  chain.add("a", std::make_unique<xp::MaskTokens>(xp::MaskOptions{}));
  CHECK_THROWS_WITH(chain.add("a", std::make_unique<xp::MaskTokens>(xp::MaskOptions{})), ContainsSubstring("`a`"));
  chain.start(Reserved());
  chain.set("b.mask_rate", 7);  // another part's
  CHECK_THROWS_AS(chain.set("a.mask_rate", 7), xp::Error);
  chain.add("b", std::make_unique<xp::MaskTokens>(xp::MaskOptions{}));
  CHECK_THROWS_WITH(chain.fields(), ContainsSubstring("`masked_ids` is written twice"));
}
