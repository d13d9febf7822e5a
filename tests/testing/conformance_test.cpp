// Walks the registry: a plugin is tested the day it registers.
#include <catch2/catch_test_macros.hpp>

#include "base/file.h"
#include "testing/conformance_component.h"
#include "testing/conformance_data.h"
#include "testing/conformance_schedule.h"
#include "testing/conformance_tokenizer.h"
#include "testing/conformance_vocab_initializer.h"
#include "testing/testing.h"
#include "testing/torch_conformance_evaluator.h"
#include "testing/torch_conformance_model.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_conformance_optimizer.h"
#include "testing/torch_toy_weights.h"

namespace {

using xp::Table;

/// Small settings of models; of one that is not listed, its defaults.
const std::map<std::string, std::vector<Table>>& models() {
  static const auto with = [](Table more) {
    Table all{{"layers", 2}, {"width", 16}, {"heads", 4}, {"max_time", 32}, {"init_sd", 0.3}};
    for (auto& [key, value] : more) all.insert_or_assign(key, value);
    return all;
  };
  static const std::map<std::string, std::vector<Table>> all = {
      {"transformer",
       {with({}), with({{"kind", "decoder"}, {"positions", "rotary"}, {"tied", false}}),
        with({{"kind", "encoder_decoder"}, {"decoder_layers", 1}, {"head", "mlm"}, {"norm_position", "post"}}),
        with({{"embedding_width", 8}, {"embedding_norm", true}}), with({{"vocab_rank", 6}})}}};
  return all;
}

/// Files of a folder that a data source reads, in two states of which the second has another text.
const std::map<std::string, std::pair<std::string, std::string>>& files() {
  static const std::map<std::string, std::pair<std::string, std::string>> all = {
      {"text", {"One line.\nIts second.\n\nAnother text, caf\u00e9.\n", "One line.\n\nAnother text.\n\nA third.\n"}},
      {"aligned_text", {"a\tone\nb\ttwo\nc\tthree\nd\tfour\n", "a\tone\nb\ttwo\nc\tthree\nd\tfive\n"}},
      {"labelled_text",
       {"text\tlabel\nwet fish\tfish\nsmall bird\tbird\n", "text\tlabel\nwet fish\tfish\nbird\tbird\n"}}};
  return all;
}

/// Data sources made of documents of another, which is `text` here: the field that takes it, and what else they want.
const std::map<std::string, std::pair<std::string, Table>>& made_of() {
  static const std::map<std::string, std::pair<std::string, Table>> all = {{"subsample", {"of", {{"most", 2}}}}};
  return all;
}

std::vector<Table> typed(const std::string& type, std::vector<Table> all) {
  for (auto& settings : all) settings.insert_or_assign("type", type);
  return all;
}

std::vector<Table> settings_of(const xp::ComponentInfo& info) {
  if (const auto found = models().find(info.type); info.interface == "model" && found != models().end())
    return typed(info.type, found->second);
  // The texts of these checks have no annotations but tags.
  if (info.type == "identifier_denoise") return {{{"type", info.type}, {"field", "tag"}}};
  return {{{"type", info.type}}};
}

/// What must be set and has no default, so that only the component's own test can know it.
std::string required(const xp::ComponentInfo& info) {
  std::string out;
  for (const auto& field : info.schema.fields)
    if (field.required) out += (out.empty() ? "" : ", ") + field.name;
  return out;
}

/// Every component of an interface that its defaults make; says which others it passed over.
template <class Check>
void walk(const std::string& interface, const Check& check) {
  const auto& registry = xp::testing::registry();
  for (const auto* info : registry.catalogue().list(interface)) DYNAMIC_SECTION(info->type) {
      if (const auto names = required(*info); !names.empty()) {
        WARN(interface << " `" << info->type << "` is left to its own test: it requires " << names);
        continue;
      }
      for (const auto& settings : settings_of(*info)) check(registry, settings);
    }
}

}  // namespace

TEST_CASE("every component describes itself and is made from its defaults") {
  const auto& registry = xp::testing::registry();
  REQUIRE_FALSE(registry.catalogue().list().empty());
  for (const auto* info : registry.catalogue().list()) DYNAMIC_SECTION(info->interface << " " << info->type) {
      xp::testing::check_component(registry, info->interface, info->type);
    }
}

TEST_CASE("every vocabulary initializer keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("vocab_initializer")) DYNAMIC_SECTION(type) {
      xp::Parameters tables;
      xp::testing::check_vocab_initializer(registry, type, [&](const xp::testing::ToyEncoder& source) {
        tables = xp::testing::toy_weights(source);
        return &tables;
      });
    }
}

TEST_CASE("every tokenizer keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("tokenizer")) DYNAMIC_SECTION(type) {
      xp::testing::check_tokenizer(registry, type);
    }
}

TEST_CASE("every schedule keeps the promises of its interface") { walk("schedule", xp::testing::check_schedule); }

TEST_CASE("every optimizer keeps the promises of its interface") { walk("optimizer", xp::testing::check_optimizer); }

TEST_CASE("every model keeps the promises of its interface") { walk("model", xp::testing::check_model); }

TEST_CASE("every objective keeps the promises of its interface") {
  std::vector<Table> choice;
  for (const auto& [type, settings] : models())
    for (const auto& one : typed(type, settings)) choice.push_back(one);
  walk("objective", [&](const xp::Registry& registry, const Table& settings) {
    if (const auto missing = xp::testing::check_objective(registry, settings, choice); !missing.empty())
      WARN("objective `" << *settings.at("type").as<std::string>() << "` is left to its own test: it needs "
                         << missing);
  });
}

TEST_CASE("every evaluator keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("evaluator")) DYNAMIC_SECTION(type) {
      if (const auto missing = xp::testing::check_evaluator(registry, {{"type", type}}); !missing.empty())
        WARN("evaluator `" << type << "` is left to its own test: it needs " << missing);
    }
}

TEST_CASE("every data source keeps the promises of its interface") {
  const auto& registry = xp::testing::registry();
  for (const auto& type : registry.catalogue().types("data_source")) DYNAMIC_SECTION(type) {
      const auto outer = made_of().find(type);
      const auto inner = outer == made_of().end() ? type : "text";
      const auto found = files().find(inner);
      if (found == files().end()) {
        WARN("data_source `" << type << "` is left to its own test: no file for it stands here");
        continue;
      }
      const xp::testing::Scratch scratch;
      const auto settings = [&](const char* folder, const std::string& text) {
        const auto file = scratch / folder / (inner == "labelled_text" ? "en.tsv" : "en.txt");
        std::filesystem::create_directories(file.parent_path());
        xp::write_file(file, text);
        Table source{{"type", inner}, {"files", xp::List{file.string()}}};
        if (outer == made_of().end()) return source;
        Table around = outer->second.second;
        around.insert_or_assign("type", type), around.insert_or_assign(outer->second.first, std::move(source));
        return around;
      };
      xp::testing::check_data_source(registry, settings("first", found->second.first),
                                     settings("second", found->second.second));
    }
}
