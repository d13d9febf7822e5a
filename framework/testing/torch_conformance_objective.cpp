#include "testing/torch_conformance_objective.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "api/ops.h"
#include "base/text.h"
#include "testing/conformance_component.h"
#include "testing/torch_fixture.h"
#include "testing/torch_toy_build.h"

namespace xp::testing {
namespace {

constexpr std::int64_t kTextIds = 23, kClasses = 3, kItems = 6, kLongest = 26;
constexpr const char* kChosen = "right";  // of one text of a group
constexpr const char* kSpan = "answer";   // of some tokens
constexpr double kSameLoss = 1e-9;        // float64, and sums in another order

/// What a stage would give to the objective, or why it cannot be given here.
struct Stage {
  FixtureSpec spec;
  std::set<std::string> token_fields, item_fields;
  std::set<std::string> capabilities;  ///< of the primary model
  std::int64_t members = 1;            ///< of a group
  std::string missing;

  void reserve(const std::string& name) {
    const auto bracket = name.find('[');
    const auto purpose = name.substr(0, bracket);
    const auto count = bracket == std::string::npos ? 1 : std::stoll(name.substr(bracket + 1));
    for (std::int64_t i = 0; i < count; ++i)
      spec.reserved.emplace(bracket == std::string::npos ? purpose : purpose + "." + std::to_string(i),
                            static_cast<std::int64_t>(spec.reserved.size()) + 1);
  }

  void add(const Trait& need) {
    if (need.what == "capability" && need.name.starts_with("primary:"))
      capabilities.insert(need.name.substr(8));
    else if (need.what == "reserved")
      reserve(need.name);
    else if (need.what == "group" && kItems % std::stoll(need.name) == 0)
      members = std::stoll(need.name);
    else if (need.what == "field" &&
             (need.name == "ids" || need.name == "word" || need.name == "tag" || need.name == kSpan))
      token_fields.insert(need.name);
    else if (need.what == "field" && need.name == kChosen)
      item_fields.insert(need.name), members = 2;
    else if (need.what == "field" && need.name != "target")
      item_fields.insert(need.name);
    else
      missing = need.what + " " + need.name;
  }
};

bool has_artifact(const std::vector<FieldInfo>& fields, const Table& settings) {
  return std::any_of(fields.begin(), fields.end(), [&](const FieldInfo& field) {
    const auto found = settings.find(field.name);
    return field.kind == Kind::artifact && found != settings.end() && found->second.as<Reference>();
  });
}

bool model_fits(const Registry& registry, const Table& model, const std::set<std::string>& wanted) {
  const auto made = registry.make<Model>(model);
  const auto list = made->capabilities();
  const std::set<std::string> has(list.begin(), list.end());
  return std::includes(has.begin(), has.end(), wanted.begin(), wanted.end());
}

Stage stage_for(const Registry& registry, const Table& settings, const std::vector<Table>& models) {
  const auto type = *settings.at("type").as<std::string>();
  const auto& schema = registry.catalogue().find(Objective::kInterface, type)->schema;
  const auto resolved = registry.make<Objective>(settings)->settings();
  Stage stage;
  stage.token_fields = {"ids"};
  for (const auto& need : schema.needs)
    if (holds(need.when, resolved)) stage.add(need);
  if (has_artifact(schema.fields, resolved)) stage.missing = "an artifact";
  if (!stage.missing.empty()) return stage;
  auto& spec = stage.spec;
  spec.first_text = static_cast<std::int64_t>(spec.reserved.size()) + 1;
  spec.vocab = spec.first_text + kTextIds;
  spec.type = at::kDouble, spec.training = false, spec.objective = settings;
  spec.dataset_fields.clear();
  for (const auto& name : stage.token_fields)
    spec.dataset_fields.push_back({name, "input", name == "ids" ? 0.0 : -1.0});
  const auto name_classes = [&](const std::string& field) {
    for (std::int64_t i = 0; i < kClasses; ++i) spec.categories[field].push_back("class " + std::to_string(i));
  };
  for (const char* name : {"tag", kSpan})
    if (stage.token_fields.contains(name)) name_classes(name);
  for (const auto& name : stage.item_fields) {
    spec.dataset_fields.push_back({name, "", 0});
    name_classes(name);
  }
  const auto model =
      std::ranges::find_if(models, [&](const Table& m) { return model_fits(registry, m, stage.capabilities); });
  if (model == models.end())
    stage.missing = "a model with " + join({stage.capabilities.begin(), stage.capabilities.end()}, ", ");
  else
    spec.model = *model;
  return stage;
}

/// Texts of unequal length in groups of as many as the objective needs; the last ones are longer than all others.
std::vector<std::vector<Example>> texts(const Stage& stage) {
  const auto members = static_cast<int>(stage.members), count = static_cast<int>(kItems / stage.members);
  auto groups = random_texts(stage.spec, count, members);
  groups.push_back(random_texts(stage.spec, 1, members, 11, kLongest).at(0));
  for (auto& item : groups.back()) item.sample_id += kItems, item.group_id = count;
  for (auto& group : groups)
    for (auto& item : group) {
      Ints words, tags, answers;
      // One item has no answer, the others have one of up to three tokens.
      const auto first = item.sample_id % kClasses, last = item.sample_id == 3 ? -1 : first + item.sample_id % 4 % 3;
      for (std::int64_t i = 0; i < std::ssize(item.ints("ids").data); ++i) {
        words.data.push_back(i / 2), tags.data.push_back((i / 2 + item.sample_id) % kClasses);
        answers.data.push_back(i >= first && i <= last ? item.sample_id % kClasses : -1);
      }
      if (stage.token_fields.contains("word")) item.fields["word"] = words;
      if (stage.token_fields.contains("tag")) item.fields["tag"] = tags;
      if (stage.token_fields.contains(kSpan)) item.fields[kSpan] = answers;
      for (const auto& name : stage.item_fields) item.fields[name] = Ints{{(item.sample_id * 2) % kClasses}};
      // The first or the second of a pair in turn.
      if (stage.item_fields.contains(kChosen)) item.fields[kChosen] = Ints{{(item.sample_id + item.group_id) % 2}};
    }
  return groups;
}

at::Tensor rows(std::int64_t n) { return ops::arange(n, at::kLong); }

void check_step(Fixture& f, const Batch& batch) {
  const auto counts = f.objective().counts(batch);
  REQUIRE_FALSE(counts.empty());
  const auto one_or_all = [&](const at::Tensor& x) {
    return x.dim() == 0 || (x.dim() == 1 && x.size(0) == batch.items());
  };
  std::set<std::string> counted, given;
  for (const auto& [name, count] : counts) {
    INFO("count of " << name);
    counted.insert(name);
    CHECK(one_or_all(count));
    CHECK(count.ge(0).all().item<bool>());
    CHECK_FALSE(count.requires_grad());
  }
  const auto result = f.objective().step(batch, f.context());
  for (const auto& term : result.terms) {
    INFO("term " << term.name);
    CHECK(given.insert(term.name).second);
    CHECK(one_or_all(term.sum));
    CHECK(term.sum.isfinite().all().item<bool>());
  }
  CHECK(given == counted);
  for (const auto& metric : result.metrics) {
    INFO("metric " << metric.name);
    CHECK((metric.sum.dim() == 0 && metric.count.dim() == 0 && !metric.sum.requires_grad()));
    CHECK((metric.sum.isfinite().item<bool>() && metric.count.item<double>() >= 0));
  }
}

void check_same(double loss, double other, const std::string& why) {
  INFO(why << ": " << other << " instead of " << loss);
  CHECK(std::abs(loss - other) < kSameLoss * std::max(1.0, std::abs(loss)));
}

}  // namespace

std::string check_objective(const Registry& registry, const Table& settings, const std::vector<Table>& models) {
  const auto type = *settings.at("type").as<std::string>();
  check_component(registry, Objective::kInterface, type);
  const auto stage = stage_for(registry, settings, models);
  if (!stage.missing.empty()) return stage.missing;
  INFO("objective " << to_text(settings) << " over " << to_text(stage.spec.model));

  Fixture f(registry, stage.spec);
  const auto wide = f.load(texts(stage));  // as wide as its longest item
  const auto padded = wide.select(rows(kItems));
  auto groups = texts(stage);
  groups.pop_back();
  const auto batch = f.load(groups);
  REQUIRE(batch.dense("ids").size(1) < padded.dense("ids").size(1));

  check_step(f, batch);
  const double loss = f.accumulate({batch});
  REQUIRE(std::isfinite(loss));
  double largest = 0;
  for (const auto& gradient : gradients(f)) largest = std::max(largest, gradient.abs().max().item<double>());
  CHECK(largest > 0);
  check_same(loss, f.accumulate({batch}), "the same batch again");
  check_same(loss, f.accumulate({padded}), "with more padding");
  if (!f.objective().batch_coupled()) {
    check_same(loss, f.accumulate({batch.select(rows(kItems).view({-1, stage.members}).flip({0}).flatten())}),
               "in another order");
    check_same(loss, f.accumulate(split(batch, (4 + stage.members - 1) / stage.members * stage.members)),
               "in two micro-batches");
  }
  CHECK(gradient_error(f, batch, 2) < 1e-6);
  return {};
}

}  // namespace xp::testing
