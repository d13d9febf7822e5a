// Models that transformers wrote and ran (tools/parity/model_families.py), read, run and written here.
#include <c10/core/GradMode.h>
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/format.h"
#include "api/ops.h"
#include "base/file.h"
#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "testing/resident_pages.h"
#include "testing/testing.h"
#include "testing/tokenizer_checks.h"
#include "testing/torch_toy_build.h"

namespace hugging_face_test {

namespace fs = std::filesystem;
using namespace xp;
using at::Tensor;
using Catch::Matchers::ContainsSubstring;

const fs::path kModels = "tests/golden/models";

std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kModels)) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::unique_ptr<Format> format() { return testing::registry().make<Format>({{"type", "hugging_face"}}); }

struct Scratch {
  fs::path path = make_scratch(fs::temp_directory_path(), "xp-hf-");
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() { fs::remove_all(path); }
};

/// A model with the weights of a checkpoint.
struct Built {
  explicit Built(const Checkpoint& from) : build(40, at::kFloat) {
    auto table = from.settings;
    table.insert_or_assign("type", from.type);
    model = testing::registry().make<Model>(table);
    model->build(build);
    for (Param i = 0; i < build.own.size(); ++i) {
      const auto& value = from.parameters.values[from.parameters.find(build.own.info[i].name)];
      REQUIRE(value.sizes() == build.own.values[i].sizes());
      build.own.values[i] = value.to(at::kFloat);
      CHECK(from.parameters.info[from.parameters.find(build.own.info[i].name)].role == build.own.info[i].role);
      CHECK(from.parameters.info[from.parameters.find(build.own.info[i].name)].layer == build.own.info[i].layer);
    }
  }
  Weights weights() const { return build.own.values; }
  testing::ToyBuild build;
  std::unique_ptr<Model> model;
};

double apart(const Tensor& a, const Tensor& b, const Tensor& mask) {
  return (a - b).abs().amax(-1).masked_select(mask).max().item<double>() / b.abs().max().item<double>();
}

/// Logits and hidden states against the library's, by largest difference over largest value.
void check_computes(const Checkpoint& checkpoint, const TensorFiles& expected) {
  const at::NoGradGuard quiet;
  const auto get = [&](const char* name) { return tensor_of(expected.at(name)); };
  const Built built(checkpoint);
  const auto ids = get("ids"), mask = get("mask").to(at::kBool);
  const bool two = expected.tensors().contains("memory");
  auto out = built.model->forward(built.weights(), {.ids = ids, .mask = mask}, {.tokens = true});
  auto seen = mask;
  if (two) {
    CHECK(apart(out.tokens, get("memory"), mask) < 1e-5);
    const auto decoder_ids = get("decoder_ids");
    seen = decoder_ids.ne(-1);
    out = built.model->forward(built.weights(),
                               {.ids = decoder_ids, .causal = true, .memory = out.tokens, .memory_mask = mask},
                               {.tokens = true});
  }
  CHECK(apart(out.tokens, get("hidden"), seen) < 1e-5);
  if (expected.tensors().contains("logits"))
    CHECK(apart(built.model->logits(built.weights(), out.tokens), get("logits"), seen) < 1e-5);
  else
    CHECK(built.model->shape().classes == 0);
}

TEST_CASE("hugging_face reads every family, and the model computes what the library's does") {
  const auto name = GENERATE(from_range(families()));
  INFO(name);
  const auto read = format()->read(kModels / name);
  REQUIRE(read.checkpoint);
  CHECK(read.lost.empty());
  CHECK(read.tokenizer == nullptr);
  check_computes(*read.checkpoint, TensorFiles(kModels / name / "expected.safetensors"));
}

TEST_CASE("hugging_face writes what it has read: the same tensors, and settings that read the same") {
  const auto name = GENERATE(from_range(families()));
  INFO(name);
  const Scratch scratch;
  const auto read = format()->read(kModels / name);
  format()->write(scratch.path / "out", *read.checkpoint, nullptr);
  const TensorFiles before(kModels / name), after(scratch.path / "out");
  std::vector<std::string> there;
  for (const auto& [tensor, bytes] : after.tensors()) {
    INFO(tensor);
    const auto& old = before.at(tensor);
    CHECK(old.shape == bytes.shape);
    CHECK(std::equal(old.data, old.data + old.size, bytes.data, bytes.data + bytes.size));
  }
  CHECK(before.tensors().size() == after.tensors().size());
  const auto again = format()->read(scratch.path / "out");
  auto settings = read.checkpoint->settings;
  CHECK(to_text(Value(again.checkpoint->settings)) == to_text(Value(settings)));
  check_computes(*again.checkpoint, TensorFiles(kModels / name / "expected.safetensors"));
}

TEST_CASE("a decoder's cache gives the logits of the whole text") {
  const auto name = GENERATE("gpt2", "llama", "llama_yarn", "qwen3", "t5");
  INFO(name);
  const at::NoGradGuard quiet;
  const auto read = format()->read(kModels / name);
  const Built built(*read.checkpoint);
  const auto& model = *built.model;
  const TensorFiles expected(kModels / name / "expected.safetensors");
  const bool two = expected.tensors().contains("memory");
  const auto ids = tensor_of(expected.at(two ? "decoder_ids" : "ids"));
  ForwardInput whole{.ids = ids, .causal = true};
  if (two) whole.memory = tensor_of(expected.at("memory"));
  const auto all = model.logits(built.weights(), model.forward(built.weights(), whole, {.tokens = true}).tokens);
  KeyValueCache cache;
  std::vector<Tensor> parts;
  for (const auto& [from, n] : {std::pair(0, 3), std::pair(3, 1), std::pair(4, 3)}) {
    auto in = whole;
    in.ids = ids.narrow(1, from, n), in.cache = &cache;
    parts.push_back(model.logits(built.weights(), model.forward(built.weights(), in, {.tokens = true}).tokens));
  }
  CHECK(cache.time() == 7);
  const auto some = all.narrow(1, 0, 7);
  CHECK((ops::cat(parts, 1) - some).abs().max().item<double>() < 1e-5 * some.abs().max().item<double>());
  cache.select(ops::tensor({1, 0, 1}));
  auto in = whole;
  in.ids = ids.narrow(1, 4, 1).index_select(0, ops::tensor({1, 0, 1})), in.cache = &cache;
  if (two) in.memory = whole.memory.index_select(0, ops::tensor({1, 0, 1}));
  const auto next = model.logits(built.weights(), model.forward(built.weights(), in, {.tokens = true}).tokens);
  CHECK((next[0] - next[2]).abs().max().item<double>() < 1e-6);
}

/// A copy of a model directory to break.
struct Copy : Scratch {
  explicit Copy(const std::string& name) {
    fs::remove(path);
    fs::copy(kModels / name, path);
  }
  void config(const std::string& key, nlohmann::json value) const {
    auto all = nlohmann::json::parse(read_file(path / "config.json"));
    all[key] = std::move(value);
    write_file(path / "config.json", all.dump());
  }
};

TEST_CASE("hugging_face refuses configurations that no model here follows, and says what is wrong") {
  const auto refused = [](const Copy& copy, const std::string& what) {
    CHECK_THROWS_WITH(format()->read(copy.path), ContainsSubstring(what));
    CHECK_THROWS_WITH(format()->report(copy.path), ContainsSubstring(what));
  };
  Copy bert("bert"), llama("llama"), more("bert"), text("bert"), odd("bert"), deep("bert");
  bert.config("model_type", "megabert");
  refused(bert, "models of type `megabert` are not read; read are `bert`");
  llama.config("attention_bias", true);
  refused(llama, "`attention_bias` is true, which no model here follows");
  more.config("num_hidden_layers", 3);
  refused(more, "has no tensor `bert.encoder.layer.2.attention.self.query.weight`");
  text.config("hidden_size", "many");
  refused(text, "`hidden_size` is many; a number is expected");
  odd.config("hidden_act", "mish");
  refused(odd, "`hidden_act` is mish; read are `gelu`");
  deep.config("num_hidden_layers", 1ll << 40);
  refused(deep, "`num_hidden_layers` is 1099511627776; a size from 0 to");
  write_file(deep.path / "config.json", std::string(20000, '['));
  refused(deep, "config.json");
}

TEST_CASE("hugging_face rewrites a directory with other tables and leaves the rest alone") {
  const auto name = GENERATE("bert", "gpt2", "llama", "llama_tied", "t5", "roberta");
  INFO(name);
  const Scratch scratch;
  Copy copy(name);
  fs::create_directories(copy.path / "1_Pooling");
  write_file(copy.path / "1_Pooling" / "config.json", "{}");
  write_file(copy.path / "README.md", "about");
  const auto read = format()->read(copy.path);
  Parameters tables;
  std::map<const void*, Tensor> made;
  for (Param i = 0; i < read.checkpoint->parameters.size(); ++i) {
    const auto& info = read.checkpoint->parameters.info[i];
    if (!info.role.starts_with("vocab.")) continue;
    tables.info.push_back(info);
    tables.values.push_back(read.checkpoint->parameters.values[i].narrow(0, 0, 30).clone());
  }
  const auto encoder = testing::fit(*testing::make_tokenizer("bytes"), {"abc"});
  format()->rewrite(scratch.path / "out", copy.path, tables, *encoder);
  const auto again = format()->read(scratch.path / "out");
  CHECK(again.tokenizer != nullptr);
  CHECK(fs::exists(scratch.path / "out" / "1_Pooling" / "config.json"));
  CHECK(read_file(scratch.path / "out" / "README.md") == "about");
  const TensorFiles before(copy.path), after(scratch.path / "out");
  CHECK(before.tensors().size() == after.tensors().size());
  std::size_t changed = 0;
  for (const auto& [tensor, bytes] : after.tensors()) {
    const auto& old = before.at(tensor);
    if (old.shape != bytes.shape) {
      ++changed;
      CHECK(bytes.shape.front() == 30);
    }
    // The first 30 rows are the old ones, and what is no table is the old tensor.
    CHECK(std::equal(bytes.data, bytes.data + bytes.size, old.data));
  }
  CHECK(changed >= 1);
  CHECK(nlohmann::json::parse(read_file(scratch.path / "out" / "config.json")).at("vocab_size") == 30);
  CHECK_THROWS_WITH(format()->rewrite(scratch.path / "out", copy.path, tables, *encoder),
                    ContainsSubstring("is there already"));
}

/// A copy of a model whose vocabulary has so many rows, all zero; the file takes no place on the disk.
struct Large : Copy {
  explicit Large(std::int64_t rows) : Copy("bert_trunk") {
    config("vocab_size", rows);
    const auto small = read_file(path / "model.safetensors");
    std::uint64_t size = 0;
    std::memcpy(&size, small.data(), 8);
    auto header = nlohmann::json::parse(small.substr(8, size));
    std::uint64_t at = 0;
    for (auto& [name, one] : header.items()) {
      if (name == "__metadata__") continue;
      if (name == "embeddings.word_embeddings.weight") one["shape"][0] = rows;
      std::uint64_t bytes = 4;
      for (const auto& n : one["shape"]) bytes *= n.get<std::uint64_t>();
      one["data_offsets"] = {at, at + bytes};
      at += bytes;
    }
    auto text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    size = text.size();
    std::ofstream file(path / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), 8);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    fs::resize_file(path / "model.safetensors", 8 + text.size() + at);
  }
};

TEST_CASE("hugging_face maps a gigabyte of weights and reads none of it before it is used") {
  constexpr std::int64_t kRows = std::int64_t{1} << 24;  // of 16 numbers of 4 bytes: 1 GiB
  constexpr std::size_t kAround = 32;                    // pages that the kernel maps with one that is touched
  const Large large(kRows);
  struct rusage before {
  }, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto read = format()->read(large.path);
  const auto report = format()->report(large.path);
  const auto& parameters = read.checkpoint->parameters;
  std::size_t bytes = 0, pages = 0;
  for (const auto& value : parameters.values) {
    bytes += value.nbytes();
    pages += testing::resident_pages(value.const_data_ptr(), value.nbytes());
  }
  CHECK(bytes > std::size_t{1} << 30);
  CHECK(pages <= kAround);  // those that lie beside the header
  const auto& table = parameters.values[parameters.find("embedding.token")];
  REQUIRE(table.size(0) == kRows);
  const auto far = table.narrow(0, kRows / 2, kRows / 4);
  CHECK(testing::resident_pages(far.const_data_ptr(), far.nbytes()) == 0);
  CHECK(far[1000].sum().item<float>() == 0);
  const auto touched = testing::resident_pages(far.const_data_ptr(), far.nbytes());
  CHECK(touched >= 1);
  CHECK(touched <= kAround);
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 32 * 1024);  // KiB
}

TEST_CASE("hugging_face leaves ids in a configuration alone where the tokenizers agree on them") {
  const Scratch scratch;
  const Copy copy("llama");
  const auto before = testing::fit(*testing::make_tokenizer("bytes"), {"abc"});
  write_file(copy.path / "tokenizer.json", before->json());
  for (const char* key : {"bos_token_id", "pad_token_id"}) copy.config(key, nullptr);
  copy.config("eos_token_id", nlohmann::json::array({2, 7}));
  const auto read = format()->read(copy.path);
  REQUIRE(read.tokenizer);
  Parameters tables;
  for (Param i = 0; i < read.checkpoint->parameters.size(); ++i)
    if (const auto& info = read.checkpoint->parameters.info[i]; info.role.starts_with("vocab."))
      tables.info.push_back(info), tables.values.push_back(read.checkpoint->parameters.values[i]);
  format()->rewrite(scratch.path / "out", copy.path, tables, *read.tokenizer);
  CHECK(nlohmann::json::parse(read_file(scratch.path / "out" / "config.json")) ==
        nlohmann::json::parse(read_file(copy.path / "config.json")));
}

}  // namespace hugging_face_test
