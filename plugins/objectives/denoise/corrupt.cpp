#include "corrupt.h"

#include <algorithm>
#include <cmath>

#include "api/tokenizer.h"
#include "base/text.h"

namespace xp::denoise {

void Settings::describe(Fields<Settings>& f) {
  f.add(&Settings::mode, "mode", "Token that announces the task: regular, sequential or extreme denoising.",
        {{"R", Mode::R}, {"S", Mode::S}, {"X", Mode::X}});
  f.add(&Settings::span, "span", "Mean length of a span in tokens; a quarter of the text where that is shorter.")
      .min(1)
      .max(1 << 20);
  f.add(&Settings::rate, "rate", "Share of the tokens that are cut out and predicted.").above(0).below(1);
  f.add(&Settings::prefix, "prefix", "One span, at the end, as long as `rate` says; `span` plays no part.");
  f.needs("field", "ids");
  for (const char* able : {"primary:memory", "primary:causal", "primary:logits"}) f.needs("capability", able);
  for (const char* purpose : {"sentinel[100]", "mode[3]", "end"}) f.needs("reserved", purpose);
}

Reserved::Reserved(const Resources& resources, Mode which)
    : mode(resources.reserved("mode", static_cast<std::int64_t>(which))),
      end(resources.reserved("end")),
      sentinels{resources.reserved("sentinel", 0)} {
  if (const auto* encoder = resources.tokenizer()) begin = encoder->reserved("begin").value_or(-1);
  try {  // nobody says how many there are: the first that is missing ends the list
    while (std::ssize(sentinels) < resources.vocab_size())
      sentinels.push_back(resources.reserved("sentinel", std::ssize(sentinels)));
  } catch (const Error&) {
  }
}

namespace {

struct Cut {
  std::int64_t noise = 0, spans = 0;
};

/// How much of `raw` tokens is cut out, in how many spans: round(rate * raw) and round(noise / span), as in T5
/// (Raffel et al. 2020, section 3.1.4), each at least 1, with at least as many tokens left as there are spans.
/// Neither noise, nor what is left, nor spans falls when `raw` grows. Halves go to the even side, so that they add up
/// to `rate`.
Cut cut(const Settings& p, std::int64_t raw) {
  if (raw <= 1) return {raw, raw};
  const auto noise =
      std::clamp<std::int64_t>(std::llrint(p.rate * static_cast<double>(raw)), 1, std::max<std::int64_t>(raw - 1, 1));
  // Mean spans beyond a quarter of the text would make a single span, and always at the end.
  const auto wanted =
      std::max(std::llrint(static_cast<double>(noise) / static_cast<double>(p.span)), std::llrint(4 * p.rate));
  return {noise, p.prefix ? 1 : std::clamp<std::int64_t>(wanted, 1, std::min(noise, raw - noise))};
}

/// `total` as a sum of `parts` positive numbers, every such sum equally likely.
std::vector<std::int64_t> parted(std::int64_t total, std::int64_t parts, RandomStream& random) {
  std::vector<std::int64_t> sizes;
  std::int64_t last = 0, left = parts - 1;
  for (std::int64_t gap = 1; gap < total && left > 0; ++gap)  // selection sampling (Knuth 1997, 3.4.2, algorithm S)
    if (random.uniform() * static_cast<double>(total - gap) < static_cast<double>(left))
      sizes.push_back(gap - last), last = gap, --left;
  sizes.push_back(total - last);
  return sizes;
}

}  // namespace

Lengths Corrupt::lengths(std::int64_t raw, RandomStream) const {
  const auto [noise, spans] = cut(p_, raw);
  return {raw - noise + spans + 2, noise + spans + 1};
}

void Corrupt::corrupt(Example& item, RandomStream& random) const {
  const auto& ids = item.ints("ids").data;
  auto at = ids.begin(), stop = ids.end();
  if (at < stop && *at == reserved_.begin) ++at;
  if (at < stop && stop[-1] == reserved_.end) --stop;
  const auto [noise, spans] = cut(p_, stop - at);
  if (spans > std::ssize(reserved_.sentinels))
    throw Error("a text of " + count(static_cast<std::size_t>(stop - at), "token") + " gives " +
                count(static_cast<std::size_t>(spans), "span") + ", there are " +
                count(reserved_.sentinels.size(), "sentinel") +
                "; shorten the texts, lengthen `span`, or reserve more where the tokenizer is trained");
  std::vector<std::int64_t> source{reserved_.mode}, target;
  if (spans > 0) {
    const auto whole = stop - at - noise;  // 0 only of a text of one token
    const auto kept = whole ? parted(whole, spans, random) : std::vector<std::int64_t>{0};
    const auto gone = parted(noise, spans, random);
    for (std::size_t s = 0; s < gone.size(); ++s) {
      source.insert(source.end(), at, at + kept[s]), at += kept[s];
      source.push_back(reserved_.sentinels[s]), target.push_back(reserved_.sentinels[s]);
      target.insert(target.end(), at, at + gone[s]), at += gone[s];
    }
  }
  source.push_back(reserved_.end), target.push_back(reserved_.end);
  item.fields["source_ids"] = Ints{std::move(source)}, item.fields["target_ids"] = Ints{std::move(target)};
  const std::string mode(1, "RSX"[static_cast<std::size_t>(p_.mode)]);
  item.source += (item.source.empty() ? "" : ":") + mode;  // losses are shown by mode
}

}  // namespace xp::denoise
