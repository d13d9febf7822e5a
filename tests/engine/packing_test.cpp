// Several texts in a row, none of which reads another.
#include "engine/packing.h"

#include "api/ops.h"
#include "engine/collate.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

using Catch::Matchers::ContainsSubstring;

TrainRequest packed_request(const Stage& stage, bool pack, const Table& objective, const Table& model) {
  auto out = stage.request("5 steps", objective, model);
  out.batch = {.tokens = 0, .items = 12, .length = 16, .pack = pack};
  return out;
}

std::vector<std::vector<Example>> texts(std::initializer_list<int> lengths) {
  std::vector<std::vector<Example>> out;
  for (const int n : lengths) {
    Example one{.sample_id = static_cast<std::int64_t>(out.size())};
    one.fields["ids"] = Ints{std::vector<std::int64_t>(static_cast<std::size_t>(n), n)};
    one.fields["bytes"] = Ints{{n}};
    out.push_back({one});
  }
  return out;
}

const std::vector<FieldSpec> kFields{{"ids", "input", 0}, {"bytes", "", 0}};

}  // namespace

TEST_CASE("texts share rows up to the length, longest first, and keep their tokens together") {
  const auto fields = packed_fields(kFields, {});
  const auto rows = packed(texts({3, 9, 4, 10, 12, 1}), fields, 10);
  std::vector<std::vector<std::int64_t>> ids;
  for (const auto& row : rows) ids.push_back(row.at(0).ints("ids").data);
  REQUIRE(ids.size() == 4);
  CHECK(ids[0] == std::vector<std::int64_t>(12, 12));  // longer than a row: alone
  CHECK(ids[1] == std::vector<std::int64_t>(10, 10));
  CHECK(ids[2] == std::vector<std::int64_t>{9, 9, 9, 9, 9, 9, 9, 9, 9, 1});
  CHECK(ids[3] == std::vector<std::int64_t>{4, 4, 4, 4, 3, 3, 3});
  CHECK(rows[3][0].ints(kPackedText).data == std::vector<std::int64_t>{0, 0, 0, 0, 1, 1, 1});
  CHECK(rows[3][0].ints(kPackedPosition).data == std::vector<std::int64_t>{0, 1, 2, 3, 0, 1, 2});
  CHECK(rows[3][0].ints("bytes").data == std::vector<std::int64_t>{7});
}

TEST_CASE("training on packed rows moves the weights as training on texts does") {
  Stage stage(letters(60, 9));
  for (const char* positions : {"learned", "rotary"})
    for (const char* objective : {"causal_lm", "mlm"}) {
      CAPTURE(positions, objective);
      const Table model{{"kind", objective == std::string("mlm") ? "encoder" : "decoder"}, {"positions", positions}};
      const auto train = [&](bool pack) {
        std::filesystem::remove_all(stage.work());
        return stage.run(packed_request(stage, pack, {{"type", objective}}, model));
      };
      const auto plain = train(false), packed = train(true);
      CHECK(difference(plain.checkpoint, packed.checkpoint) < 1e-6);
      CHECK(packed.counters.items == plain.counters.items);
      CHECK(packed.counters.input_tokens == plain.counters.input_tokens);
      CHECK(packed.counters.supervised_tokens == plain.counters.supervised_tokens);
    }
}

TEST_CASE("what reads more than the tokens of a text is not packed") {
  Stage stage(letters(30, 9));
  CHECK_THROWS_WITH(stage.run(packed_request(stage, true, {{"type", "in_batch_softmax"}}, {{"kind", "encoder"}})),
                    ContainsSubstring("`in_batch_softmax` is not known to stay within a text"));
  CHECK_THROWS_WITH(packed_fields({{"ids", "input", 0}, {"label", "", -1}}, {"label"}),
                    ContainsSubstring("`label`, which belongs to a whole text"));
  CHECK(packed_fields({{"ids", "input", 0}, {"year", "", 0}}, {}).size() == 3);  // unread numbers are left out
  CHECK_THROWS_WITH(packed({{Example{}, Example{}}}, kFields, 10), ContainsSubstring("groups of texts"));
}

}  // namespace xp::engine_test
