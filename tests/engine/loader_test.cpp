#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <map>
#include <set>

#include "engine/training_state.h"

namespace xp::engine_test {
namespace {

/// Masked language modelling, so that the transform draws for every item.
struct Source {
  Stage stage{letters(23, 60)};
  Session session{testing::registry(),
                  RandomStreams(1),
                  {.encoder = stage.encoder, .artifact = {}, .checkpoints = {}, .categories = {}},
                  at::kFloat};
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Transform> transform;
  std::uint64_t seed = 7;

  explicit Source(Table settings = {{"type", "mlm"}})
      : objective(testing::registry().make<Objective>(std::move(settings))), transform(objective->input_transform()) {
    if (transform) transform->start(session.resources());
  }
  std::shared_ptr<const ExampleSource> examples(int threads) {
    return text_examples(stage.pool().corpus(stage.data), stage.encoder, {.length = 16}, {}, threads);
  }
  std::unique_ptr<Loader> loader(int threads, int ahead, BatchSize size = {.tokens = 90}, bool by_epoch = false) {
    LoaderSettings settings;
    settings.size = size, settings.micro_items = 3, settings.threads = threads, settings.ahead = ahead;
    settings.end_at_epoch = by_epoch;
    return std::make_unique<Loader>(std::vector<Loader::Part>{{examples(threads), 1}}, transform.get(),
                                    RandomStreams(seed), settings);
  }
};

/// Everything that a batch holds, in order.
std::string print(const LogicalBatch& batch) {
  std::string out;
  for (const auto& micro : batch.micro) {
    for (const auto& [name, column] : micro.columns()) {
      const auto* dense = std::get_if<at::Tensor>(&column);
      if (!dense) continue;
      out += name + ":";
      const auto flat = dense->to(at::kLong).contiguous();
      for (std::int64_t i = 0; i < flat.numel(); ++i)
        out += " " + std::to_string(flat.const_data_ptr<std::int64_t>()[i]);
    }
    for (std::int64_t i = 0; i < micro.items(); ++i)
      out += " #" + std::to_string(micro.sample_id[i].item<std::int64_t>());
    out += "\n";
  }
  const auto& c = batch.counters;
  out += std::to_string(batch.fingerprint) + " ";
  return out + std::to_string(c.steps) + " " + std::to_string(c.input_tokens) + " " + std::to_string(c.items) + " " +
         std::to_string(c.bytes) + " " + std::to_string(c.epochs);
}

std::vector<LogicalBatch> take(Loader& loader, double epochs) {
  std::vector<LogicalBatch> out;
  do out.push_back(loader.next());
  while (out.back().counters.epochs < epochs);
  return out;
}

TEST_CASE("loader: one and four threads give the same batches over two epochs, made ahead or on demand") {
  Source source;
  std::vector<std::string> first;
  for (const auto& [threads, ahead] : {std::pair(1, 0), std::pair(4, 0), std::pair(1, 3), std::pair(4, 3)}) {
    const auto loader = source.loader(threads, ahead);
    loader->start({}, {});
    std::vector<std::string> pages;
    for (const auto& batch : take(*loader, 2.2)) pages.push_back(print(batch));
    CHECK(pages.size() > 10);
    if (first.empty()) first = pages;
    CHECK(pages == first);
  }
  std::set<std::string> distinct(first.begin(), first.end());
  CHECK(distinct.size() == first.size());
}

TEST_CASE(
    "loader: arms with other objectives see the same documents in the same order, those of another seed do not") {
  const auto read = [](Table settings, std::uint64_t seed = 7) {
    Source source(std::move(settings));
    source.seed = seed;
    const auto loader = source.loader(1, 0);
    loader->start({}, {});
    std::vector<std::int64_t> items;
    std::string drawn;
    for (const auto& batch : take(*loader, 2.2)) {
      drawn += print(batch);
      for (const auto& micro : batch.micro)
        for (std::int64_t i = 0; i < micro.items(); ++i) items.push_back(micro.sample_id[i].item<std::int64_t>());
    }
    return std::pair(items, drawn);
  };
  const Table plain{{"type", "mlm"}};
  const auto masked = read(plain), often = read(Table{{"type", "mlm"}, {"mask_rate", 0.6}});
  const auto next = read(Table{{"type", "causal_lm"}}), other = read(plain, 8);
  CHECK(masked.first == often.first);
  CHECK(masked.second != often.second);
  CHECK(masked.first == next.first);
  CHECK(masked.first != other.first);
}

TEST_CASE("loader: it goes on exactly from the position after any batch, through a saved state") {
  Source source;
  const auto loader = source.loader(1, 3);
  loader->start({}, {});
  const auto all = take(*loader, 2.2);
  bool within_a_document = false;
  for (std::size_t k = 0; k + 1 < all.size(); ++k) {
    TrainingState state, back;
    state.position = all[k].after, state.counters = all[k].counters;
    within_a_document |= all[k].after.group.at(0) > 0;
    State saved;
    state.save(saved), back.load(saved);
    const auto again = source.loader(4, k % 2 ? 2 : 0);
    again->start(back.position, back.counters);
    for (std::size_t i = k + 1; i < std::min(k + 4, all.size()); ++i) CHECK(print(again->next()) == print(all[i]));
  }
  CHECK(within_a_document);
}

TEST_CASE("loader: an epoch has every window once, in another order each time") {
  Source source;
  const auto loader = source.loader(2, 1, {.items = 5}, true);
  loader->start({}, {});
  std::vector<std::vector<std::int64_t>> epochs;
  for (int e = 1; e <= 2; ++e) {
    auto& ids = epochs.emplace_back();
    const auto batches = take(*loader, e);
    CHECK(batches.back().counters.epochs == e);  // no batch crosses the end
    for (const auto& batch : batches)
      for (const auto& micro : batch.micro)
        for (std::int64_t i = 0; i < micro.items(); ++i) ids.push_back(micro.sample_id[i].item<std::int64_t>());
  }
  std::int64_t windows = 0, bytes = 0;
  for (const auto& document : source.stage.pool().corpus(source.stage.data)->documents) {
    const auto n = std::ssize(document.text);
    windows += (n + 13) / 14, bytes += n;  // 16 tokens with begin and end
  }
  CHECK(std::ssize(epochs[0]) == windows);
  CHECK(epochs[0] != epochs[1]);
  std::set<std::int64_t> one(epochs[0].begin(), epochs[0].end()), two(epochs[1].begin(), epochs[1].end());
  CHECK(std::ssize(one) == windows);
  CHECK(one == two);
  loader->start({}, {});
  CHECK(take(*loader, 2).back().counters.bytes == 2 * bytes);
}

TEST_CASE("loader: parts are served by their weights, however long their documents are") {
  Stage short_ones(letters(40, 4)), long_ones(letters(40, 14, 8));
  const auto part = [](Stage& stage, double weight) {
    return Loader::Part{text_examples(stage.pool().corpus(stage.data), stage.encoder, {.length = 16}, {}, 1), weight};
  };
  LoaderSettings settings;
  settings.size.tokens = 100;
  Loader loader({part(short_ones, 1), part(long_ones, 3)}, nullptr, RandomStreams(1), settings);
  loader.start({}, {});
  LogicalBatch batch;
  for (int i = 0; i < 30; ++i) batch = loader.next();
  CHECK(std::abs(batch.after.served.at(1) / batch.after.served.at(0) - 3) < 0.1);
  CHECK(batch.counters.input_tokens ==
        static_cast<std::int64_t>(batch.after.served.at(0) + batch.after.served.at(1)));
}

/// Items of one number each.
struct Numbers final : ExampleSource {
  const std::string& name() const override { return name_; }
  std::vector<std::size_t> order(std::int64_t, const RandomStreams&) const override { return {0, 1, 2}; }
  std::size_t units() const override { return 3; }
  std::vector<std::vector<Example>> groups(std::size_t unit, std::int64_t, const Transform*,
                                           const RandomStreams&) const override {
    Example example{.fields = {{"x", Floats{{static_cast<float>(unit)}}}}};
    example.sample_id = example.group_id = static_cast<std::int64_t>(unit);
    return {{example}};
  }
  std::vector<FieldSpec> fields() const override { return {{.name = "x", .axis = ""}}; }
  std::string name_ = "numbers";
};

TEST_CASE("loader: data without tokens are counted in items") {
  const std::vector<Loader::Part> parts{{std::make_shared<Numbers>(), 1}};
  CHECK_THROWS_WITH(Loader(parts, nullptr, RandomStreams(1), {.size = {.tokens = 90}}),
                    Catch::Matchers::ContainsSubstring("data `numbers` have none; count items: batch = { items"));
  LoaderSettings settings;
  settings.size = {.items = 2}, settings.ahead = 0;
  Loader loader(parts, nullptr, RandomStreams(1), settings);
  loader.start({}, {});
  CHECK(loader.next().counters.items == 2);
}

TEST_CASE("loader: what does not fit together is refused with a sentence") {
  Source source;
  const auto loader = source.loader(1, 0);
  CHECK_THROWS_WITH(loader->start({.epoch = {0, 0}, .unit = {0, 0}, .group = {0, 0}, .served = {0, 0}}, {}),
                    Catch::Matchers::ContainsSubstring("the saved position is of 2 data parts, the stage has 1"));
  CHECK_THROWS_WITH(Loader({}, nullptr, RandomStreams(1), {}),
                    Catch::Matchers::ContainsSubstring("training needs data"));
}

}  // namespace
}  // namespace xp::engine_test
