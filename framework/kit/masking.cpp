#include "kit/masking.h"

#include <cmath>

#include "base/text.h"

namespace xp {

namespace {

void check_rate(double rate) {
  if (!(rate >= 0 && rate <= 1))
    throw Error("`mask_rate` is " + number_text(rate) + "; a share between 0 and 1 is needed");
}

}  // namespace

MaskOptions mask_options(double rate, const std::vector<double>& mix, bool whole_words) {
  check_rate(rate);
  double sum = 0;
  bool good = mix.size() == 3;
  for (const double share : mix) good = good && share >= 0, sum += share;
  if (!good || std::abs(sum - 1) > 1e-6) {
    std::vector<std::string> found;
    for (const double share : mix) found.push_back(number_text(share));
    throw Error("`mix` is [" + join(found, ", ") +
                "]; three shares that sum to 1 are needed: mask, random token, unchanged");
  }
  return {rate, {mix[0], mix[1], mix[2]}, whole_words};
}

void MaskTokens::start(const Resources& resources) {
  if (options_.mix[0] > 0) mask_ = resources.reserved("mask");
  const auto vocab = resources.vocab_size();
  text_.clear();
  is_text_.assign(static_cast<std::size_t>(vocab), 0);
  for (std::int64_t id = 0; id < vocab; ++id)
    if (resources.is_text(id)) text_.push_back(id), is_text_[static_cast<std::size_t>(id)] = 1;
  if (text_.empty())
    throw Error("none of the tokenizer's " + std::to_string(vocab) + " ids stands for text; nothing can be masked");
}

void MaskTokens::set(std::string_view parameter, double value) {
  if (parameter != "mask_rate") return;
  check_rate(value);
  options_.rate = value;
}

FieldUse MaskTokens::fields() const {
  FieldUse use{{"ids"}, {"maskable"}, {{"masked_ids", "input", 0}, {"labels", "input", -1}}};
  if (options_.whole_words) use.reads.push_back("word");
  return use;
}

void MaskTokens::apply(std::vector<Example>& group, RandomStream& random) const {
  for (auto& item : group) mask(item, random);
}

void MaskTokens::mask(Example& item, RandomStream& random) const {
  const auto& ids = item.ints("ids").data;
  const auto column = [&](const char* name) {
    const auto* data = &item.ints(name).data;
    if (data->size() != ids.size())
      throw Error("field " + backquoted(name) + " has " + count(data->size(), "value") + " for " +
                  count(ids.size(), "token"));
    return data;
  };
  const auto* maskable = item.fields.contains("maskable") ? column("maskable") : nullptr;
  const auto* word = options_.whole_words ? column("word") : nullptr;
  Ints masked{ids}, labels{std::vector<std::int64_t>(ids.size(), -1)};
  bool chosen = false;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] < 0 || static_cast<std::size_t>(ids[t]) >= is_text_.size())
      throw Error("token id " + std::to_string(ids[t]) + " does not fit a vocabulary of " +
                  std::to_string(is_text_.size()));
    const bool goes_on = word && t > 0 && (*word)[t] == (*word)[t - 1];
    if (!goes_on) chosen = random.uniform() < options_.rate;
    if (!chosen || !is_text_[static_cast<std::size_t>(ids[t])] || (maskable && !(*maskable)[t])) continue;
    labels.data[t] = ids[t];
    const double fate = random.uniform();
    if (fate < options_.mix[0])
      masked.data[t] = mask_;
    else if (fate < options_.mix[0] + options_.mix[1])
      masked.data[t] = text_[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(text_.size())))];
  }
  item.fields["masked_ids"] = std::move(masked);
  item.fields["labels"] = std::move(labels);
}

}  // namespace xp
