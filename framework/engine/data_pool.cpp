#include "engine/data_pool.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include "base/text.h"
#include "engine/collate.h"

namespace xp {
namespace {

std::string dataset_key(const Reference& dataset) {
  return dataset.digest + "|" + dataset.text + "|" + dataset.split;
}

// Those of a source keep the groups that its splits never cut, which may well have one member each.
bool all_share_groups(const Corpus& corpus) {
  std::map<std::string_view, std::size_t> members;
  for (const auto& document : corpus.documents) ++members[document.group];
  return std::all_of(members.begin(), members.end(),
                     [](const auto& group) { return !group.first.empty() && group.second > 1; });
}

/// Texts of similar length share a batch, so that little of it is padding. Those with the same first text stay
/// together, so that a model may read it once for all.
void sort_by_length(std::vector<std::size_t>& units, const std::vector<Document>& documents) {
  const auto length = [&](std::size_t unit) {
    const auto second = documents[unit].fields.find("text_b");
    return documents[unit].text.size() + (second == documents[unit].fields.end() ? 0 : second->second.size());
  };
  std::unordered_map<std::string_view, std::size_t> longest;
  for (const auto unit : units) {
    auto& most = longest[documents[unit].text];
    most = std::max(most, length(unit));
  }
  const auto key = [&](std::size_t unit) {
    const std::string_view text = documents[unit].text;
    return std::tuple(longest.at(text), text, length(unit));
  };
  std::stable_sort(units.begin(), units.end(), [&](auto a, auto b) { return key(a) < key(b); });
}

class Reader final : public BatchReader {
 public:
  Reader(std::shared_ptr<const ExampleSource> source, std::vector<std::size_t> units, std::int64_t tokens)
      : source_(std::move(source)), units_(std::move(units)), fields_(source_->fields()), tokens_(tokens) {}

  bool next(Batch& batch) override {
    std::vector<Example> items;
    std::int64_t longest = 0;
    const RandomStreams none(0, "read");
    while (unit_ < units_.size()) {
      if (groups_.empty()) groups_ = source_->groups(units_[unit_], 0, nullptr, none), group_ = 0;
      bool full = false;
      for (; group_ < groups_.size(); ++group_) {
        std::int64_t width = longest;
        for (const auto& example : groups_[group_]) width = std::max(width, length_of(example, fields_));
        const auto n = std::ssize(items) + std::ssize(groups_[group_]);
        full = !items.empty() && n * std::max<std::int64_t>(width, 1) > tokens_;
        if (full) break;
        for (auto& example : groups_[group_]) items.push_back(example);
        longest = width;
      }
      if (full) break;
      groups_.clear(), ++unit_;
    }
    if (items.empty()) return false;
    std::vector<const Example*> pointers;
    for (const auto& item : items) pointers.push_back(&item);
    batch = collate(pointers, fields_);
    return true;
  }
  void rewind() override { unit_ = 0, group_ = 0, groups_.clear(); }

 private:
  std::shared_ptr<const ExampleSource> source_;
  std::vector<std::size_t> units_;
  std::vector<FieldSpec> fields_;
  std::int64_t tokens_;
  std::size_t unit_ = 0, group_ = 0;
  std::vector<std::vector<Example>> groups_;
};

class Context final : public EvaluationContext {
 public:
  Context(DataPool& pool, std::int64_t time, std::shared_ptr<const Encoder> encoder,
          const std::map<std::string, Strings>& categories, const RandomStreams& random, Recorder& recorder)
      : pool_(pool),
        time_(time),
        encoder_(std::move(encoder)),
        categories_(categories),
        random_(random),
        recorder_(recorder) {}

  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) override {
    return pool_.read(data, request, time_, encoder_, categories_);
  }
  std::shared_ptr<const DataSource> documents(const Reference& data) override {
    return as_source(pool_.corpus(data), random_);
  }
  std::shared_ptr<const Encoder> tokenizer(const Reference& artifact) override {
    const auto& read = pool_.artifacts().tokenizer;
    return read ? read(artifact) : EvaluationContext::tokenizer(artifact);
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return recorder_; }

 private:
  DataPool& pool_;
  std::int64_t time_;
  std::shared_ptr<const Encoder> encoder_;
  std::map<std::string, Strings> categories_;
  RandomStreams random_;
  Recorder& recorder_;
};

}  // namespace

bool DataPool::is_text(const Reference& dataset) const {
  if (!dataset.node.empty()) return true;
  if (!dataset.component) throw Error(backquoted(dataset.text) + " is not a dataset");
  const auto type = dataset.component->find("type");
  return type != dataset.component->end() && type->second.as<std::string>() &&
         registry_.catalogue().find(DataSource::kInterface, *type->second.as<std::string>());
}

bool DataPool::is_grouped(const Reference& dataset) {
  if (!dataset.node.empty()) return all_share_groups(*corpus(dataset));
  if (!is_text(dataset)) return false;
  const auto& type = *dataset.component->at("type").as<std::string>();
  const auto& gives = registry_.catalogue().find(DataSource::kInterface, type)->schema.gives;
  return std::any_of(gives.begin(), gives.end(), [](const Trait& one) { return one.what == "group"; });
}

std::shared_ptr<const Corpus> DataPool::corpus(const Reference& dataset) {
  auto& known = corpora_[dataset_key(dataset)];
  if (!known && !dataset.node.empty()) {
    if (!artifacts_.folder) throw Error("datasets that stages make cannot be read here: " + backquoted(dataset.text));
    known = std::make_shared<const Corpus>(made_corpus(artifacts_.folder(dataset) / "documents.jsonl", dataset.text));
  }
  if (!known) known = std::make_shared<const Corpus>(load_corpus(dataset, registry_));
  return known;
}

std::shared_ptr<const ExampleSource> DataPool::examples(const Reference& dataset,
                                                        std::shared_ptr<const Encoder> encoder, const CutRule& asked,
                                                        const std::map<std::string, Strings>& categories) {
  CutRule rule = asked;
  rule.groups = is_grouped(dataset), rule.windows = rule.windows && !rule.groups;
  const auto key = dataset_key(dataset) + "|" + std::to_string(rule.length) + (rule.windows ? "w" : "c") +
                   (rule.offsets ? "o" : "-") + join(rule.categorical, ",");
  auto& known = examples_[key];
  if (known) return known;
  if (is_text(dataset)) {
    if (!encoder)
      throw Error("text of " + backquoted(dataset.text) + " needs a tokenizer; give the stage a `tokenizer`");
    known = text_examples(corpus(dataset), std::move(encoder), rule, categories, threads_);
  } else {
    Table settings = *dataset.component;
    const auto shares = split_shares(settings);
    settings.erase("split"), settings.erase("sampling");
    known = dataset_examples(registry_.make<Dataset>(settings), dataset.split, shares, dataset.text);
  }
  return known;
}

std::unique_ptr<BatchReader> DataPool::read(const Reference& dataset, const ReadRequest& request,
                                            std::int64_t model_time, std::shared_ptr<const Encoder> encoder,
                                            const std::map<std::string, Strings>& categories, std::int64_t tokens) {
  CutRule rule;
  rule.length = request.max_time > 0 ? request.max_time : model_time > 0 ? model_time : 512;
  if (model_time > 0) rule.length = std::min(rule.length, model_time);
  rule.windows = request.windows, rule.offsets = true;
  if (is_text(dataset))
    for (const auto& [field, names] : categories)
      if (std::any_of(corpus(dataset)->documents.begin(), corpus(dataset)->documents.end(),
                      [&](const auto& d) { return has_class(d, field); }))
        rule.categorical.push_back(field);
  auto source = examples(dataset, std::move(encoder), rule, categories);
  const bool by_document = is_text(dataset) && !is_grouped(dataset);
  std::vector<std::size_t> units(source->units());
  std::iota(units.begin(), units.end(), 0);
  if (request.most > 0 && std::ssize(units) > request.most) {
    const RandomStreams pick(0, "subset");
    const auto key = [&](std::size_t u) {
      const auto id = by_document ? document_key(corpus(dataset)->documents[u].id) : static_cast<std::int64_t>(u);
      return std::pair(pick.stream(0, static_cast<std::uint64_t>(id)).next(), u);
    };
    std::sort(units.begin(), units.end(), [&](auto a, auto b) { return key(a) < key(b); });
    units.resize(static_cast<std::size_t>(request.most));
    std::sort(units.begin(), units.end());
  }
  // Windows of long texts are alike anyway.
  if (by_document && !request.windows) sort_by_length(units, corpus(dataset)->documents);
  return std::make_unique<Reader>(std::move(source), std::move(units), tokens);
}

std::unique_ptr<EvaluationContext> evaluation_context(DataPool& pool, std::int64_t model_time,
                                                      std::shared_ptr<const Encoder> encoder,
                                                      const std::map<std::string, Strings>& categories,
                                                      const RandomStreams& random, Recorder& recorder) {
  return std::make_unique<Context>(pool, model_time, std::move(encoder), categories, random, recorder);
}

}  // namespace xp
