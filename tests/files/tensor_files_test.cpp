#include "kit/files/tensor_files.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "hostile.h"

namespace xp::tensor_files_test {
namespace {

using Catch::Matchers::ContainsSubstring;

const std::byte kNumbers[64]{};

std::map<std::string, TensorBytes> some(std::initializer_list<std::pair<const char*, std::int64_t>> sizes) {
  std::map<std::string, TensorBytes> tensors;
  for (const auto& [name, size] : sizes) tensors[name] = {"U8", {size}, kNumbers, static_cast<std::size_t>(size)};
  return tensors;
}

std::string with_map(const Scratch& scratch, const std::string& map) {
  write_safetensors(scratch / "one.safetensors", some({{"a", 2}, {"b", 3}}));
  put(scratch / "model.safetensors.index.json", map);
  return refusal([&] { TensorFiles{scratch.path()}; });
}

}  // namespace

TEST_CASE("tensor files: one file or shards give the same tensors") {
  const Scratch scratch;
  const auto tensors = some({{"a", 10}, {"b", 20}, {"c", 30}, {"d", 5}, {"e", 0}});
  write_tensor_files(scratch.path(), tensors, {{"format", "pt"}}, 30);
  CHECK(entries(scratch.path()) == 4);  // a b | c | d e, and the index
  CHECK(std::filesystem::exists(scratch / "model-00002-of-00003.safetensors"));
  const auto index = nlohmann::json::parse(read_file(scratch / "model.safetensors.index.json"));
  CHECK(index["metadata"]["total_size"] == 65);
  CHECK(index["weight_map"]["c"] == "model-00002-of-00003.safetensors");
  const TensorFiles sharded(scratch.path());
  CHECK(sharded.tensors().size() == 5);
  CHECK(sharded.files().size() == 3);
  CHECK(sharded.lost().empty());
  CHECK(sharded.metadata().at("format") == "pt");
  CHECK(sharded.at("c").size == 30);
  CHECK_THAT(refusal([&] { sharded.at("z"); }), ContainsSubstring("has no tensor `z`; there is `a`"));

  write_tensor_files(scratch.path(), tensors, {}, 65);
  CHECK(entries(scratch.path()) == 1);
  CHECK(TensorFiles(scratch.path()).tensors().size() == 5);
  CHECK(TensorFiles(scratch / "model.safetensors").at("b").size == 20);

  write_tensor_files(scratch.path(), tensors, {}, 1);
  CHECK(entries(scratch.path()) == 6);
  write_tensor_files(scratch.path(), some({{"only", 8}, {"other", 8}}), {}, 8);
  CHECK(entries(scratch.path()) == 3);
  CHECK(TensorFiles(scratch.path()).tensors().size() == 2);
}

TEST_CASE("tensor files: a write that fails leaves what was there") {
  const Scratch scratch;
  write_tensor_files(scratch.path(), some({{"a", 10}, {"b", 20}}), {}, 20);
  auto wrong = some({{"a", 10}, {"b", 20}, {"c", 5}});
  wrong["c"].shape = {6};
  CHECK_THROWS_AS(write_tensor_files(scratch.path(), wrong, {}, 20), Error);
  CHECK(entries(scratch.path()) == 3);
  CHECK(TensorFiles(scratch.path()).tensors().size() == 2);
}

TEST_CASE("tensor files: files of others stay where they are") {
  const Scratch scratch;
  put(scratch / "model-1-of-2.safetensors", "x");
  put(scratch / "config.json", "{}");
  write_tensor_files(scratch.path(), some({{"a", 1}}), {}, 8);
  CHECK(entries(scratch.path()) == 3);
}

TEST_CASE("tensor files: shards are plain names beside the index") {
  const Scratch scratch;
  for (const std::string name :
       {"../one.safetensors", "/etc/one.safetensors", "sub/one.safetensors", "..", "", ".safetensors", "one.bin",
        "a\\\\b.safetensors", "..safetensors", "c:one.safetensors", "one\\u0000.safetensors"}) {
    INFO(name);
    CHECK_THAT(with_map(scratch, "{\"weight_map\":{\"a\":\"" + name + "\"}}"),
               ContainsSubstring("a shard is the name of a .safetensors file beside the index"));
  }
  CHECK_THAT(with_map(scratch, "{\"weight_map\":{\"a\":\"two.safetensors\"}}"), ContainsSubstring("cannot open"));
  CHECK_THAT(with_map(scratch, "{\"weight_map\":{\"a\":1}}"), ContainsSubstring("not a text"));
  CHECK_THAT(with_map(scratch, "{\"weight_map\":{}}"), ContainsSubstring("no `weight_map`"));
  CHECK_THAT(with_map(scratch, "[]"), ContainsSubstring("no `weight_map`"));
  CHECK_THAT(with_map(scratch, std::string(10'000, '[')), ContainsSubstring("deeper than 64 levels"));
  CHECK_THAT(with_map(scratch, "{\"weight_map\":{\"z\":\"one.safetensors\"}}"),
             ContainsSubstring("places the tensor `z` in `one.safetensors`, which does not hold it"));
}

TEST_CASE("tensor files: what the index does not place is told") {
  const Scratch scratch;
  with_map(scratch, "{\"metadata\":{\"total_size\":-1},\"weight_map\":{\"a\":\"one.safetensors\"}}");
  const TensorFiles files(scratch / "model.safetensors.index.json");
  CHECK(files.tensors().size() == 1);
  CHECK(files.lost() == std::vector<std::string>{"b in one.safetensors"});
}

TEST_CASE("tensor files: a folder without a model is refused") {
  const Scratch scratch;
  CHECK_THAT(refusal([&] { TensorFiles{scratch.path()}; }),
             ContainsSubstring("holds neither model.safetensors nor model.safetensors.index.json"));
}

}  // namespace xp::tensor_files_test
