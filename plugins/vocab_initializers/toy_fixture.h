#pragma once
// Vocabularies of a few words, so that rows can be computed by hand.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "api/ops.h"
#include "api/parameters.h"
#include "base/file.h"
#include "kit/mixing.h"
#include "kit/vocab_transfer.h"
#include "testing/testing.h"
#include "testing/torch_toy_weights.h"
#include "testing/toy_encoder.h"

namespace xp::fixture {

struct Toy {
  testing::ToyEncoder source, target;
  Parameters weights = testing::toy_weights(source);
  State vectors = {}, source_vectors = {}, translations = {};
  std::optional<testing::ToyEncoder> donor_tokens = {};
  Checkpoint donor_model = {};

  Toy(const std::vector<std::string>& old_tokens, const std::vector<std::string>& new_tokens)
      : source(old_tokens), target(new_tokens) {}
  Toy(testing::ToyEncoder old_tokens, testing::ToyEncoder new_tokens)
      : source(std::move(old_tokens)), target(std::move(new_tokens)) {}

  using Rows = std::vector<std::pair<std::string, std::vector<float>>>;
  void give_vectors(const Rows& rows) { give(vectors, rows); }
  void give_source_vectors(const Rows& rows) { give(source_vectors, rows); }

  static void give(State& vectors, const Rows& rows) {
    Strings words;
    Floats numbers{{}, {std::ssize(rows), std::ssize(rows.front().second)}};
    for (const auto& [word, row] : rows)
      words.push_back(word), numbers.data.insert(numbers.data.end(), row.begin(), row.end());
    vectors.set("words", words), vectors.set("vectors", std::move(numbers));
  }

  static const State* given(const State& state) { return state.value_names().empty() ? nullptr : &state; }

  /// The whole plan: shared tokens copied, the initializer's rows, the mean for the rest.
  MixPlan plan(const Table& settings) const {
    const auto initializer = testing::registry().make<VocabInitializer>(settings);
    std::optional<Donor> donor;
    if (donor_tokens) donor.emplace(Donor{*donor_tokens, donor_model});
    const VocabSetting setting{.source = source,
                               .target = target,
                               .weights = &weights,
                               .vectors = given(vectors),
                               .random = RandomStreams(3),
                               .donor = donor ? &*donor : nullptr,
                               .source_vectors = given(source_vectors),
                               .translations = given(translations)};
    return plan_vocabulary(setting, *initializer, {MatchLevel::exact});
  }
  MixRow row(const Table& settings, const std::string& token) const {
    return plan(settings).rows()[static_cast<std::size_t>(target.id(token))];
  }
  /// The weight of an old token in a row, 0 if it has none.
  double weight(const MixRow& row, const std::string& token) const {
    for (const auto& part : row.parts)
      if (part.source == source.id(token)) return part.weight;
    return 0;
  }
};

/// A folder of small files that goes with the object.
struct Files {
  std::filesystem::path folder = make_scratch(std::filesystem::temp_directory_path(), "xp-initializer-");
  Files() = default;
  Files(const Files&) = delete;
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  void write(const std::string& name, const std::string& text) const { write_file(folder / name, text); }
  /// As a field of files holds one.
  Value path(const std::string& name) const { return Value(List{Value((folder / name).string())}); }
};

/// A donor as a recipe names one; where it comes from does not matter here.
inline Value a_donor() { return Value(Reference{.text = "donor", .kind = "checkpoint"}); }

}  // namespace xp::fixture
