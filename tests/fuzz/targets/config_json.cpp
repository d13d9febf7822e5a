// config.json of a model directory: the family, its settings and the names of all tensors.
#include "../../../plugins/formats/hugging_face/directory.h"
#include "../../../plugins/formats/hugging_face/family.h"
#include "json_mutator.h"
#include "target.h"

XP_FUZZ_JSON("model_type", "bert", "roberta", "xlm-roberta", "distilbert", "electra", "gpt2", "llama", "mistral",
             "qwen2", "qwen3", "t5", "num_hidden_layers", "num_layers", "num_decoder_layers", "n_layer",
             "hidden_size", "num_attention_heads", "rope_scaling", "rope_parameters", "rope_type", "factor", "yarn",
             "llama3", "gelu", "silu", "gated-gelu", "feed_forward_proj", "tie_word_embeddings", "vocab_size",
             "head_dim", "embedding_size", "clip", "clip_text_model", "clip_vision_model", "vit", "text_config",
             "vision_config", "patch_size", "image_size", "projection_dim")

namespace {

using namespace xp::hugging_face;

void read_model(const Json& config, const HasTensor& has, const std::string& file) {
  const auto& family = Family::of(config, file);
  if (const auto towers = family.towers(); !towers.empty()) {
    std::map<std::string, Json> configs;
    for (const auto& tower : towers) {
      configs[tower.key] = family.tower_config(config, tower, file);
      read_model(configs[tower.key], has, file);
    }
    family.scalars(config);
    family.joint_config(configs);
    return;
  }
  const auto settings = family.settings(config, has, file);
  const auto places = family.tensors(settings, family.prefixed(has));
  for (const auto& place : places) family.derived(place.theirs);
  family.config(settings, "");
  family.preprocessor(settings, config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile file("config.json");
  // Which tensors a directory has decides about heads and prefixes: the last byte stands for that.
  const unsigned heads = size > 0 ? data[size - 1] : 0;
  const auto& path = file.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("config.json", [&] {
    const HasTensor has = [&](const std::string& name) { return name.size() % 3 != heads % 4; };
    read_model(read_config(path), has, path.string());
  });
  return 0;
}
