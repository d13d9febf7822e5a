// Models that transformers wrote and ran (tools/parity/model_families.py), read, run and written here.
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "api/batch.h"
#include "api/format.h"
#include "api/ops.h"
#include "base/file.h"
#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "models_fixture.h"
#include "testing/testing.h"
#include "testing/tokenizer_checks.h"
#include "testing/torch_toy_build.h"

namespace hugging_face_test {

using at::Tensor;
using Catch::Matchers::ContainsSubstring;

std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kModels)) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

/// A model with the weights of a checkpoint.
struct Built {
  explicit Built(const Checkpoint& from) : build(40, at::kFloat) {
    auto table = from.settings;
    table.insert_or_assign("type", from.type);
    build.ids = from.reserved;
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

double apart(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a - b).abs().max().item<double>() / b.abs().max().item<double>();
}

/// A model that pools, on ids or an image, against what the library expects behind `front`. Gives the pooled states.
Tensor check_tower(const Checkpoint& checkpoint, const TensorFiles& expected, const std::string& front) {
  const at::NoGradGuard quiet;
  const auto there = [&](const char* name) { return expected.tensors().contains(front + name); };
  const auto get = [&](const char* name) { return tensor_of(expected.at(front + name)); };
  const Built built(checkpoint);
  Batch batch;
  ForwardInput in{.fields = &batch};
  if (there("image")) batch.set("image", get("image"));
  if (there("ids")) in.ids = get("ids"), in.mask = get("mask").to(at::kBool);
  const auto out = built.model->forward(built.weights(), in, {.tokens = true, .pooling = Pooling::own});
  if (in.mask.defined())
    CHECK(apart(out.tokens, get("hidden"), in.mask) < 1e-5);
  else
    CHECK(apart(out.tokens, get("hidden")) < 1e-5);
  if (there("pooled")) CHECK(apart(out.pooled, get("pooled")) < 1e-5);
  // What is asked for alone takes a shorter way.
  CHECK(apart(built.model->forward(built.weights(), in, {.pooling = Pooling::own}).pooled, out.pooled) < 1e-5);
  const auto first = built.model->forward(built.weights(), in, {.pooling = Pooling::first}).pooled;
  if (there("class_scores")) CHECK(apart(built.model->logits(built.weights(), first), get("class_scores")) < 1e-5);
  return out.pooled;
}

/// Logits and hidden states against the library's, by largest difference over largest value.
void check_computes(const Checkpoint& checkpoint, const TensorFiles& expected) {
  const at::NoGradGuard quiet;
  const auto get = [&](const char* name) { return tensor_of(expected.at(name)); };
  if (!checkpoint.towers.empty()) {
    const auto unit = [](const Tensor& x) { return x.div(x.square().sum(1, true).sqrt()); };
    REQUIRE(checkpoint.role == "text");
    REQUIRE(checkpoint.towers.front().role == "image");
    const auto text = unit(check_tower(checkpoint, expected, "text."));
    const auto image = unit(check_tower(checkpoint.towers.front(), expected, "image."));
    const auto& own = checkpoint.objective_parameters;
    const auto scale = own.values[own.find("logit_scale")].exp();
    CHECK(apart(image.matmul(text.t()) * scale, get("logits")) < 1e-5);
    return;
  }
  if (expected.tensors().contains("image") || expected.tensors().contains("pooled")) {
    check_tower(checkpoint, expected, "");
    return;
  }
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

void check_same_preprocessor(const fs::path& before, const fs::path& after) {
  const auto name = "preprocessor_config.json";
  REQUIRE(fs::exists(before / name) == fs::exists(after / name));
  if (fs::exists(before / name))
    CHECK(nlohmann::json::parse(read_file(before / name)) == nlohmann::json::parse(read_file(after / name)));
}

TEST_CASE("hugging_face reads every family, and the model computes what the library's does") {
  const auto name = GENERATE(from_range(families()));
  INFO(name);
  const auto read = format()->read(kModels / name);
  REQUIRE(read.checkpoint);
  CHECK(read.lost.empty());
  CHECK(read.tokenizer == nullptr);
  for (const auto& tensor : format()->report(kModels / name).tensors) {
    INFO(tensor.name);
    CHECK_FALSE((tensor.ours.empty() && tensor.name != "lm_head.weight" && !tensor.name.ends_with(".decoder.bias")));
  }
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
  CHECK(again.checkpoint->reserved == read.checkpoint->reserved);
  CHECK(again.checkpoint->categories == read.checkpoint->categories);
  REQUIRE(again.checkpoint->towers.size() == read.checkpoint->towers.size());
  for (std::size_t i = 0; i < again.checkpoint->towers.size(); ++i)
    CHECK(to_text(Value(again.checkpoint->towers[i].settings)) ==
          to_text(Value(read.checkpoint->towers[i].settings)));
  check_same_preprocessor(kModels / name, scratch.path / "out");
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

std::size_t read_size(const char* name) { return format()->read(kModels / name).checkpoint->parameters.size(); }

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
  deep.config("num_hidden_layers", 1.5);
  refused(deep, "`num_hidden_layers` is 1.5; a whole number is expected for `layers`");
  deep.config("num_hidden_layers", true);
  refused(deep, "`num_hidden_layers` is true; a number is expected for `layers`");
  text.config("hidden_size", 32);
  text.config("tie_word_embeddings", 1);
  refused(text, "`tie_word_embeddings` is 1; true or false is expected for `tied`");
  deep.config("num_hidden_layers", 1ll << 40);
  refused(deep, "`num_hidden_layers` is 1099511627776; a size from 0 to");
  // Nothing is made for layers that have no tensors.
  deep.config("num_hidden_layers", 1ll << 31);
  refused(deep, "config.json says that there are 2147483648 layers, but the directory has no tensor");
  write_file(deep.path / "config.json", std::string(20000, '['));
  refused(deep, "config.json: its JSON nests deeper than");
  write_file(deep.path / "config.json", R"({"model_type": "bert", "layer_norm_eps": NaN})");
  refused(deep, "config.json: it is not JSON");
  write_file(deep.path / "config.json", R"({"model_type": "bert", "layer_norm_eps": 1e999})");
  refused(deep, "config.json: it is not JSON");
}

TEST_CASE("hugging_face names the classes of a head, what images were made with, and what it cannot say of them") {
  const auto named = format()->read(kModels / "vit_classifier").checkpoint->categories.at("label");
  CHECK(named == Strings{"cat", "dog", "cow"});
  const Copy copy("clip"), gap("vit_classifier"), flat("vit"), old("clip_text"), dict("clip");
  CHECK(to_text(format()->read(copy.path).checkpoint->towers.front().settings.at("image_sd")) ==
        "[0.26862954, 0.26130258, 0.27577711]");
  auto about = nlohmann::json::parse(read_file(copy.path / "preprocessor_config.json"));
  about["resample"] = 0, about["size"] = 12, about["crop_size"] = 14, about["do_pad"] = true;
  write_file(copy.path / "preprocessor_config.json", about.dump());
  CHECK(format()->read(copy.path).lost == Strings{"preprocessor_config.json: crop_size = 14",
                                                  "preprocessor_config.json: do_pad = true",
                                                  "preprocessor_config.json: resample = 0"});
  gap.config("id2label", {{"0", "cat"}, {"1", "dog"}, {"3", "cow"}});
  CHECK_THROWS_WITH(format()->read(gap.path), ContainsSubstring("`id2label` names no class 2 of 3"));
  old.config("eos_token_id", "end");
  CHECK_THROWS_WITH(format()->read(old.path), ContainsSubstring("no whole number `eos_token_id`"));
  about["image_mean"] = "grey";
  write_file(flat.path / "preprocessor_config.json", about.dump());
  CHECK_THROWS_WITH(format()->read(flat.path), ContainsSubstring("`preprocessor.image_mean` is no list"));
  // What old files say in a table of differences counts, not what stands beside it.
  dict.config("text_config_dict", nlohmann::json::parse(read_file(dict.path / "config.json")).at("text_config"));
  dict.config("text_config", nlohmann::json::object());
  CHECK(format()->read(dict.path).checkpoint->parameters.size() == read_size("clip"));
  dict.config("text_config_dict", nullptr);
  dict.config("text_config", 3);
  CHECK_THROWS_WITH(format()->read(dict.path), ContainsSubstring("has no table `text_config`"));
}

TEST_CASE("hugging_face refuses a class token that is no single row") {
  const Copy copy("vit");
  const TensorFiles files(copy.path);
  auto bytes = files.tensors();
  bytes.at("embeddings.cls_token").shape = {1, 2, 8};
  const Scratch scratch;
  fs::copy(copy.path / "config.json", scratch.path / "config.json");
  write_tensor_files(scratch.path, bytes, files.metadata(), 1'000'000);
  CHECK_THROWS_WITH(format()->read(scratch.path),
                    ContainsSubstring("`embeddings.cls_token` does not have the first 2"));
}

TEST_CASE("models whose sizes are left to others are written with the numbers") {
  const Scratch scratch;
  auto read = format()->read(kModels / "clip_text_projection");
  auto& checkpoint = *read.checkpoint;
  auto& settings = checkpoint.settings;
  settings.insert_or_assign("ffn", 0), settings.insert_or_assign("pooler_width", 0);
  for (Param i = 0; i < checkpoint.parameters.size(); ++i) {
    auto& value = checkpoint.parameters.values[i];
    const auto& name = checkpoint.parameters.info[i].name;
    if (name.ends_with("ffn.up")) value = ops::ones({64, 16});
    if (name.ends_with("ffn.up.bias")) value = ops::ones({64});
    if (name.ends_with("ffn.down")) value = ops::ones({16, 64});
    if (name == "pooler") value = ops::ones({16, 16});
  }
  format()->write(scratch.path / "out", checkpoint, nullptr);
  const auto config = nlohmann::json::parse(read_file(scratch.path / "out" / "config.json"));
  CHECK(config.at("intermediate_size") == 64);
  CHECK(config.at("projection_dim") == 16);
  CHECK(config.at("eos_token_id") == 4);
  const Built built(*format()->read(scratch.path / "out").checkpoint);
}

TEST_CASE("models of several roles are written one by one where no family holds them together") {
  const Scratch scratch;
  auto read = format()->read(kModels / "clip");
  auto& checkpoint = *read.checkpoint;
  checkpoint.towers.front().role = "sketch";
  format()->write(scratch.path / "out", checkpoint, nullptr);
  const auto config = nlohmann::json::parse(read_file(scratch.path / "out" / "config.json"));
  CHECK(config.at("model_type") == "clip_text_model");
  CHECK(config.at("architectures") == nlohmann::json{"CLIPTextModelWithProjection"});
}

}  // namespace hugging_face_test
