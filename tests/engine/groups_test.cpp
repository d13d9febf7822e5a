// Documents of one group that follow each other, as text_pairs gives them and as stages make them.
#include "api/ops.h"
#include "base/file.h"
#include "engine/data_pool.h"
#include "engine/loader.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

using fixture::PieceEncoder;

std::vector<std::int64_t> ids_of(const Encoder& encoder, const std::string& text) {
  std::vector<std::int64_t> out{*encoder.reserved("begin")};
  for (const auto& token : encoder.encode(text)) out.push_back(token.id);
  out.push_back(*encoder.reserved("end"));
  return out;
}

struct Pairs {
  testing::Scratch folder;
  std::shared_ptr<const Encoder> encoder = std::make_shared<PieceEncoder>(1, 64);
  DataPool pool{testing::registry(), 1, {.folder = [this](const Reference&) { return folder.path(); }}};

  Reference shipped(const std::string& split) {
    std::string first, second;
    for (int i = 0; i < 40; ++i) {
      const auto key = "k" + std::to_string(i / 2) + "/" + std::to_string(i % 2) + "\t";
      first += key + std::string(static_cast<std::size_t>(1 + i % 9), static_cast<char>('a' + i % 20)) + "\n";
      second += key + std::string(static_cast<std::size_t>(1 + i % 5), static_cast<char>('a' + i % 20)) + "\n";
    }
    write_file(folder / "aa.txt", first), write_file(folder / "bb.txt", second);
    const List files{(folder / "aa.txt").string(), (folder / "bb.txt").string()};
    Table table{{"type", "text_pairs"}, {"files", files}};
    return {.text = "pairs:" + split,
            .kind = "dataset",
            .split = split,
            .component = std::make_shared<const Table>(std::move(table))};
  }
  Reference made(const std::string& lines) {
    write_file(folder / "documents.jsonl", lines);
    return {.text = "made", .kind = "dataset", .node = "made"};
  }
};

constexpr const char* kMade =
    R"({"id": "p0a", "text": "abc", "group": "p0", "fields": {"text_b": "de", "better": "1", "maskable": "text"}}
{"id": "p0b", "text": "abc", "group": "p0", "fields": {"text_b": "ff", "better": "0", "maskable": "text"}}
{"id": "p1a", "text": "abcdefghijklmnop", "group": "p1", "fields": {"text_b": "k", "better": "0", "maskable": "text"}}
{"id": "p1b", "text": "abcdefghijklmnop", "group": "p1", "fields": {"text_b": "l", "better": "1", "maskable": "text"}}
)";

}  // namespace

TEST_CASE("a batch goes to a device with its numbers; ids and texts stay") {
  Batch batch;
  batch.sample_id = ops::arange(2, at::kLong), batch.group_id = ops::arange(2, at::kLong);
  batch.set("ids", ops::zeros({2, 3}, at::kLong)), batch.set("text", Strings{"a", "b"});
  batch.set("set", Ragged{ops::zeros({4}), ops::arange(3, at::kLong)});
  const auto there = batch.on(at::kMeta);  // a device without numbers
  CHECK(there.dense("ids").is_meta());
  CHECK(there.ragged("set").values.is_meta());
  CHECK(there.ragged("set").offsets.is_meta());
  CHECK(there.strings("text") == Strings{"a", "b"});
  CHECK(there.sample_id.is_cpu());
  CHECK(there.group_id.is_cpu());
  CHECK(batch.dense("ids").is_cpu());
}

TEST_CASE("classes of annotations are a column over tokens, known by the training split's names") {
  Pairs pairs;
  const auto data = pairs.made(
      R"({"id": "a", "text": "abc de", "annotations": [{"kind": "tag", "begin": 0, "end": 3, "value": "X"}, )"
      R"({"kind": "other", "begin": 0, "end": 6, "value": "Q"}, {"kind": "tag", "begin": 4, "end": 6, "value": "New"}]}
)");
  const auto source = pairs.pool.examples(data, pairs.encoder, {.categorical = {"tag"}}, {{"tag", {"W", "X"}}});
  const auto example = source->groups(0, 0, nullptr, RandomStreams(0)).at(0).at(0);
  const auto& word = example.ints("word").data;
  const auto& tag = example.ints("tag").data;
  REQUIRE(tag.size() == word.size());
  CHECK(tag.front() == -1);
  CHECK(tag[1] == 1);
  CHECK(tag[3] == 1);
  CHECK(tag[tag.size() - 2] == -2);
  CHECK(tag.back() == -1);
  CHECK(categories_of(*pairs.pool.corpus(data), "tag") == Strings{"New", "X"});
  CHECK_THROWS_WITH(categories_of(*pairs.pool.corpus(data), "pos"),
                    Catch::Matchers::ContainsSubstring("there is `other` and `tag`"));
}

TEST_CASE("groups: two documents of one group are two examples of one group, in their order") {
  Pairs pairs;
  const auto data = pairs.shipped("test");
  const auto corpus = pairs.pool.corpus(data);
  const auto source = pairs.pool.examples(data, pairs.encoder, {.length = 16}, {});
  REQUIRE(source->units() * 2 == corpus->documents.size());
  for (std::size_t unit = 0; unit < source->units(); ++unit) {
    const auto groups = source->groups(unit, 0, nullptr, RandomStreams(1));
    REQUIRE(groups.size() == 1);
    REQUIRE(groups[0].size() == 2);
    CHECK(groups[0][0].group_id == groups[0][1].group_id);
    CHECK(groups[0][0].sample_id != groups[0][1].sample_id);
    for (std::size_t m = 0; m < 2; ++m) {
      const auto& document = corpus->documents[2 * unit + m];
      CHECK(groups[0][m].ints("ids").data == ids_of(*pairs.encoder, document.text));
      CHECK(groups[0][m].floats("score").data == std::vector<float>{std::stof(document.fields.at("score"))});
    }
  }
}

TEST_CASE("groups: no batch and no micro-batch cuts one, whatever its size") {
  Pairs pairs;
  const auto source = pairs.pool.examples(pairs.shipped("train"), pairs.encoder, {.length = 16}, {});
  for (std::int64_t size = 1; size <= 40; ++size) {
    LoaderSettings settings;
    settings.size = {.tokens = 3 * size}, settings.micro_items = 1 + size % 5, settings.ahead = 0;
    Loader loader({{source, 1}}, nullptr, RandomStreams(7), settings);
    loader.start({}, {});
    for (int n = 0; n < 10; ++n)
      for (const auto& micro : loader.next().micro) {
        REQUIRE(micro.items() % 2 == 0);
        const auto members = micro.group_id.view({-1, 2});
        CHECK(members.select(1, 0).equal(members.select(1, 1)));
      }
  }
}

TEST_CASE("groups: a dataset that a stage made has numbers, and words that are not masked") {
  Pairs pairs;
  const auto data = pairs.made(kMade);
  const auto source = pairs.pool.examples(data, pairs.encoder, {.length = 12}, {});
  REQUIRE(source->units() == 2);
  const auto first = source->groups(0, 0, nullptr, RandomStreams(1)).at(0);
  REQUIRE(first.size() == 2);
  CHECK(first[0].floats("better").data == std::vector<float>{1});
  CHECK(first[1].floats("better").data == std::vector<float>{0});
  CHECK(first[0].ints("segment").data == std::vector<std::int64_t>{0, 0, 0, 0, 0, 1, 1, 1});
  CHECK(first[0].ints("maskable").data == std::vector<std::int64_t>{1, 1, 1, 1, 1, 0, 0, 0});
  const auto second = source->groups(1, 0, nullptr, RandomStreams(1)).at(0);
  REQUIRE(second.size() == 2);  // too long for the room: cut, not continued in a window of its own
  CHECK(second[0].ints("ids").data.size() == 12);
  CHECK(second[0].ints("segment").data.back() == 1);

  Batch batch;
  const auto reader = pairs.pool.read(data, {.windows = false}, 12, pairs.encoder, {});
  REQUIRE(reader->next(batch));
  CHECK(batch.strings("id") == Strings{"p0a", "p0b", "p1a", "p1b"});
  CHECK(batch.strings("better") == Strings{"1", "0", "0", "1"});
}

TEST_CASE("groups: documents that a stage chose one by one are read whole, in windows") {
  const std::string text = R"("text": "abcdefghijklmnopqrstuvwxyz")";
  const std::string lone = "{\"id\": \"a\", " + text + ", \"group\": \"g\"}\n{\"id\": \"b\", " + text + "}\n";
  Pairs pairs;
  const auto source = pairs.pool.examples(pairs.made(lone), pairs.encoder, {.length = 12}, {});
  REQUIRE(source->units() == 2);
  const auto windows = source->groups(0, 0, nullptr, RandomStreams(1));
  CHECK(windows.size() == 3);  // of 26 letters ten at a time
  for (const auto& window : windows) CHECK(window.size() == 1);
  const auto grouped = [](const std::string& lines) {
    Pairs own;
    return own.pool.is_grouped(own.made(lines));
  };
  CHECK(!grouped(lone));
  CHECK(!grouped("{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": \"y\"}\n"));
  CHECK(!grouped(std::string(kMade) + "{\"id\": \"c\", \"text\": \"y\", \"group\": \"p2\"}\n"));
  CHECK(grouped(kMade));
}

TEST_CASE("groups: what no stage wrote is refused with its line") {
  const auto refused = [](const std::string& lines) {
    try {
      Pairs own;
      own.pool.corpus(own.made(lines));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(refused("{\"id\": \"a\", \"text\": \"b\"}\n{\"id\": \"c\"}\n"),
             ContainsSubstring("documents.jsonl:2: no document as a stage writes it"));
  CHECK_THAT(refused("{\"id\": \"a\", \"text\": \"b\"}\n{\"id\": \"a\", \"text\": \"c\"}\n"),
             ContainsSubstring("documents.jsonl:2: the id `a` stands twice"));
  CHECK_THAT(refused("\n"), ContainsSubstring("holds no document"));
}

}  // namespace xp::engine_test
