#include "engine/artifacts.h"
#include "api/ops.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/file.h"
#include "kit/files/mapped_file.h"
#include "testing/resident_pages.h"
#include "testing/testing.h"

namespace xp {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using testing::Scratch;

Checkpoint small() {
  Checkpoint out;
  out.type = "any", out.settings = {{"width", 2}, {"kind", "encoder"}};
  const auto table = ops::arange(6, at::kFloat).view({3, 2});
  out.parameters.info = {
      {"embedding", "vocab.input"}, {"head", "vocab.output"}, {"layer.0.dense", "dense", 0, Lifetime::pretrain_only}};
  out.parameters.values = {table, table, ops::arange(4, at::kBFloat16)};
  out.reserved = {{"mask", 2}};
  out.objective = {{"type", "some"}, {"rate", 0.25}};
  out.objective_parameters.info = {{"objective.head", "head"}},
  out.objective_parameters.values = {ops::arange(2, at::kFloat)};
  out.categories = {{"label", {"no", "yes"}}};
  return out;
}

/// What load_checkpoint says of a folder in which `damage` was done.
std::string refusal(const std::function<void(const std::filesystem::path&)>& damage) {
  const Scratch scratch;
  save_checkpoint(scratch / "c", small());
  damage(scratch / "c");
  try {
    load_checkpoint(scratch / "c");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    CHECK_THAT(error.what(), ContainsSubstring((scratch / "c").string()));
    return error.what();
  }
  return "it was read";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

auto edit(const char* file, const std::string& from, const std::string& to) {
  return [=](const std::filesystem::path& folder) {
    write_file(folder / file, replaced(read_file(folder / file), from, to));
  };
}

TEST_CASE("loading reads no tensor before its first use, and what is written to one never reaches the file") {
  const Scratch scratch;
  auto large = small();
  large.parameters.values[0] = large.parameters.values[1] = ops::zeros({16 << 20}, at::kFloat);
  save_checkpoint(scratch / "c", large);
  const auto file = scratch / "c" / "model.safetensors";
  const auto written = read_file(file);
  {
    const auto loaded = load_checkpoint(scratch / "c");
    auto table = loaded.parameters.values[0];
    CHECK(testing::resident_pages(table.const_data_ptr(), table.nbytes()) < 64);
    table.narrow(0, 0, 4 << 20).fill_(3);
    drop_mapped_pages(table.const_data_ptr(), table.nbytes());
    CHECK(table[0].item<float>() == 3);
    CHECK(table[8 << 20].item<float>() == 0);
  }
  CHECK((read_file(file) == written));  // without printing it
}

TEST_CASE("a checkpoint comes back whole: tied parameters as one tensor, types and roles as they were") {
  const Scratch scratch;
  const auto before = small();
  save_checkpoint(scratch / "c", before);
  const auto after = load_checkpoint(scratch / "c");
  CHECK(after.type == before.type);
  CHECK((after.settings == before.settings));
  CHECK(after.reserved == before.reserved);
  CHECK((after.objective == before.objective));
  CHECK(after.categories == before.categories);
  REQUIRE(after.parameters.size() == 3);
  CHECK(after.parameters.distinct() == std::vector<Param>{0, 2});
  CHECK(after.parameters.values[0].is_same(after.parameters.values[1]));
  for (Param i = 0; i < 3; ++i) {
    const auto &a = after.parameters.info[i], &b = before.parameters.info[i];
    CHECK((std::tie(a.name, a.role, a.layer, a.lifetime) == std::tie(b.name, b.role, b.layer, b.lifetime)));
    CHECK(after.parameters.values[i].scalar_type() == before.parameters.values[i].scalar_type());
    CHECK(after.parameters.values[i].equal(before.parameters.values[i]));
  }
  CHECK(after.objective_parameters.values.at(0).equal(before.objective_parameters.values.at(0)));
  after.parameters.values[0].add_(1);  // weights are private copies
  CHECK(load_checkpoint(scratch / "c").parameters.values[0].equal(before.parameters.values[0]));
}

TEST_CASE("a damaged checkpoint is refused with the file and what is wrong with it") {
  CHECK_THAT(refusal([](const auto& folder) { std::filesystem::resize_file(folder / "model.safetensors", 40); }),
             ContainsSubstring("model.safetensors is not a readable safetensors file: "));
  CHECK_THAT(refusal([](const auto& folder) {
               const auto file = folder / "model.safetensors";
               std::filesystem::resize_file(file, std::filesystem::file_size(file) - 3);
             }),
             ContainsSubstring("model.safetensors is not a readable safetensors file: "));
  CHECK_THAT(refusal([](const auto& folder) { std::filesystem::remove(folder / "model.safetensors"); }),
             ContainsSubstring("cannot open "));
  CHECK_THAT(refusal([](const auto& folder) { std::filesystem::remove(folder / "xp.json"); }),
             ContainsSubstring("is no checkpoint of ours: it has no xp.json"));
  CHECK_THAT(refusal([](const auto& folder) { write_file(folder / "xp.json", "{ \"format\": "); }),
             ContainsSubstring("xp.json is not JSON"));
  CHECK_THAT(refusal(edit("xp.json", "\"format\": 1", "\"format\": 2")),
             ContainsSubstring("has format 2; this program reads format 1"));
  CHECK_THAT(refusal(edit("xp.json", "\"reserved\"", "\"reversed\"")),
             ContainsSubstring("has no usable entry `reserved`"));
  CHECK_THAT(refusal(edit("xp.json", "\"name\": \"layer.0.dense\"", "\"name\": \"layer.9.dense\"")),
             ContainsSubstring("has no tensor `layer.9.dense`; there is "));
  CHECK_THAT(refusal(edit("xp.json", "\"tied_to\": \"embedding\"", "\"tied_to\": \"else\"")),
             ContainsSubstring("`head` is tied to a parameter that does not come before it"));
  CHECK_THAT(refusal(edit("xp.json", "\"layer\": 0", "\"layer\": \"zero\"")),
             ContainsSubstring("has no usable entry `layer`"));
}

TEST_CASE("a state comes back whole, and a damaged one is refused") {
  const Scratch scratch;
  State state;
  state.set("numbers", Ints{{1, -2, 1LL << 60, 4}, {2, 2}}), state.set("reals", Floats{{0.5F, -1.25F}, {2}});
  state.set("words", Strings{"a", "", "ü"}), state.set("tensor", ops::arange(3, at::kDouble));
  state.child("inner").child("deep").set("numbers", Ints{{7}});
  state.child("empty");
  save_state(scratch / "s", state);
  const auto back = load_state(scratch / "s");
  CHECK(back.ints("numbers").data == state.ints("numbers").data);
  CHECK(back.ints("numbers").shape == std::vector<std::int64_t>{2, 2});
  CHECK(back.floats("reals").data == state.floats("reals").data);
  CHECK(back.strings("words") == state.strings("words"));
  CHECK(back.tensor("tensor").equal(state.tensor("tensor")));
  CHECK(back.child("inner").child("deep").ints("numbers").data == std::vector<std::int64_t>{7});
  CHECK(back.has("empty"));
  write_file(scratch / "s" / "state.json", R"({"ints": ["reals"]})");
  CHECK_THROWS_WITH(load_state(scratch / "s"), ContainsSubstring("entry `reals` is not I64"));
  write_file(scratch / "s" / "state.json", R"({"strings": {"words": 3}})");
  CHECK_THROWS_WITH(load_state(scratch / "s"), ContainsSubstring("state.json does not describe a state"));
}

}  // namespace
}  // namespace xp
