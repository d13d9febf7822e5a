#include "kit/pipeline/fast_normalizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <map>

#include "kit/pipeline/charsmap.h"
#include "kit/pipeline/fast_ids.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

constexpr char32_t kFreeTableEnd = 0x10000;  // characters above are not looked up
constexpr std::size_t kMostReplaced = 64;    // bytes for one character; more, and the steps' limit on lengths counts
constexpr std::size_t kFreeBehind = 8;       // free characters behind which the steps' part of a text ends
constexpr std::string_view kBetweenTexts = "|~|";  // no character becomes one of its ends, and no step changes it
constexpr std::string_view kBlankRun = " {2,}";

/// The characters that a step leaves free; for the step's input.
using FreeTable = std::vector<bool>;

bool is_surrogate_code(char32_t c) { return c >= 0xD800 && c < 0xE000; }

/// Facts of Unicode about grapheme clusters.
struct ClusterFacts {
  FreeTable lone = FreeTable(kFreeTableEnd);  ///< clusters of their own behind and before others of these
  std::vector<char32_t> takers;               ///< they take any character behind them into their cluster

  ClusterFacts() {
    for (char32_t c = 0; c < kFreeTableEnd; ++c)
      if (!is_surrogate_code(c) && c != '\r') look_at(c);
    for (char32_t c = 0x11000; c < 0x12000; ++c) look_at(c);
  }

 private:
  // Hangul vowels and what extends a cluster join the vowel put before; leading consonants, which take in syllables,
  // and the takers join the consonant put behind.
  void look_at(char32_t c) {
    std::string text = "\u1161";
    append_char(text, c);
    const std::size_t end = text.size();
    text += "\u1100";
    if (cluster_end(text, 3) == end) {
      if (c < kFreeTableEnd) lone[c] = cluster_end(text, 0) == 3;
      return;
    }
    text.resize(end);
    text += 'a';
    if (cluster_end(text, 3) != end) takers.push_back(c);
  }
};

const ClusterFacts& cluster_facts() {
  static const ClusterFacts all;
  return all;
}

// A key that begins with a taker could take in a free character.
bool keys_begin_alone(const Charsmap& map) {
  const auto& takers = cluster_facts().takers;
  return std::none_of(takers.begin(), takers.end(), [&](char32_t c) { return map.begins(char_text(c)); });
}

FreeTable form_table(const std::string& type) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = type == "NFC"    ? icu::Normalizer2::getNFCInstance(status)
                                 : type == "NFD"  ? icu::Normalizer2::getNFDInstance(status)
                                 : type == "NFKC" ? icu::Normalizer2::getNFKCInstance(status)
                                                  : icu::Normalizer2::getNFKDInstance(status);
  if (U_FAILURE(status)) throw Error(std::string("getting a normaliser from ICU failed: ") + u_errorName(status));
  FreeTable out(kFreeTableEnd);
  for (char32_t c = 0; c < kFreeTableEnd; ++c) {
    UVersionInfo age{};
    u_charAge(static_cast<UChar32>(c), age);
    // The steps normalise by Unicode 9; what it does not know is left to them.
    out[c] = c < 0x80 ||
             (!is_surrogate_code(c) && age[0] > 0 && age[0] <= 9 && form->hasBoundaryBefore(static_cast<UChar32>(c)));
  }
  return out;
}

/// What is known of a step: whether characters next to each other matter to it, and the characters that are free.
struct KnownStep {
  bool known = false, joins = false;
  FreeTable free;
};

KnownStep replace_step(const Json& step) {
  const auto pattern = step.find("pattern");
  if (pattern == step.end() || !pattern->is_object()) return {};
  if (text_in(step, "content").size() > kMostReplaced) return {};
  const std::string text = text_in(*pattern, "String");
  const bool is_blank_run = text.empty() && text_in(*pattern, "Regex") == kBlankRun;
  const std::string characters = is_blank_run ? " " : text;
  if (characters.empty()) return {};
  const bool alone = text.size() == 1;  // it is replaced wherever it stands
  KnownStep out{true, false, FreeTable(kFreeTableEnd, true)};
  for (const char c : characters) {
    if (static_cast<unsigned char>(c) >= 0x80) return {};
    if (!alone) out.free[static_cast<unsigned char>(c)] = false;
  }
  return out;
}

KnownStep known_step(const Json& step) {
  const std::string type = text_in(step, "type");
  if (type == "Replace") return replace_step(step);
  if (type == "Nmt" || type == "Lowercase" || type == "StripAccents")
    return {true, false, FreeTable(kFreeTableEnd, true)};
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") return {true, true, form_table(type)};
  if (type == "Precompiled") {
    const Charsmap map(step.at("precompiled_charsmap").get<std::string>(), "normalizer");
    return {keys_begin_alone(map), true, cluster_facts().lone};
  }
  if (type == "Strip" && !step.at("strip_left").get<bool>()) {
    KnownStep out{true, false, FreeTable(kFreeTableEnd)};
    for (char32_t c = 0; c < kFreeTableEnd; ++c) out.free[c] = !is_surrogate_code(c) && !has_class(c, kSpace);
    return out;
  }
  return {};
}

void flatten_normalizers(const Json& step, std::vector<const Json*>& out) {
  if (text_in(step, "type") == "Sequence") {
    for (const auto& inner : step.at("normalizers")) flatten_normalizers(inner, out);
  } else {
    out.push_back(&step);
  }
}

bool all_free_chars(std::string_view text, const FreeTable& free) {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (c >= kFreeTableEnd || !free[c]) return false;
  }
  return true;
}

// What the step makes of each text by itself; false if that cannot be told apart.
bool rewrite_each(const Json& step, std::vector<std::string>& texts) {
  const auto with = read_normalizer(Entry(step, "normalizer"));
  std::string all(kBetweenTexts);
  for (const auto& text : texts) all += text, all += kBetweenTexts;
  AlignedText aligned(all);
  with->apply(aligned);
  std::string_view rest = aligned.text();
  if (!rest.starts_with(kBetweenTexts)) return false;
  for (auto& text : texts) {
    rest.remove_prefix(kBetweenTexts.size());
    const std::size_t end = rest.find(kBetweenTexts);
    if (end == rest.npos) return false;
    text = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  return rest == kBetweenTexts;
}

}  // namespace

std::unique_ptr<const FastNormalizer> FastNormalizer::make(const Json& file, const Normalizer* step) {
  std::unique_ptr<FastNormalizer> out(new FastNormalizer(step));
  std::vector<const Json*> steps;
  if (!file.is_null()) flatten_normalizers(file, steps);
  try {
    if (!out->read(steps)) return nullptr;
  } catch (const Error&) {
    return nullptr;  // a map that leads nowhere: the steps say so for the texts that it concerns
  }
  return out;
}

bool FastNormalizer::read(const std::vector<const Json*>& steps) {
  std::vector<std::string> texts(kFreeTableEnd);
  for (char32_t c = 0; c < kFreeTableEnd; ++c)
    if (!is_surrogate_code(c)) texts[c] = char_text(c);
  FreeTable free(kFreeTableEnd, true), joined(kFreeTableEnd);  // joined: not free in the step where that matters
  bool joins = false;
  for (const Json* step : steps) {
    const KnownStep known = known_step(*step);
    if (!known.known || (joins && known.joins)) return false;
    joins = joins || known.joins;
    for (char32_t c = 0; c < kFreeTableEnd; ++c) {
      const bool is_free = !texts[c].empty() && all_free_chars(texts[c], known.free);
      free[c] = free[c] && is_free;
      joined[c] = joined[c] || (known.joins && !is_free);
    }
    const bool strips = text_in(*step, "type") == "Strip";
    if (!strips && !rewrite_each(*step, texts)) return false;
  }
  for (char32_t c = 0; c <= ' '; ++c) blanks_[c] = !joined[c] && texts[c] == " ";
  if (!blanks_[' ']) return false;
  codes_.assign(kFreeTableEnd, kBound);
  std::map<std::string, Code> known;
  for (char32_t c = 0; c < kFreeTableEnd; ++c) {
    if (is_surrogate_code(c) || !free[c]) continue;
    if (texts[c].size() > kMostReplaced) return false;
    if (texts[c] == char_text(c)) {
      codes_[c] = kSame;
      continue;
    }
    const auto [there, fresh] = known.emplace(texts[c], static_cast<Code>(kReplaced + replacements_.size()));
    if (fresh) replacements_.push_back(texts[c]);
    codes_[c] = there->second;
  }
  return true;
}

std::size_t FastNormalizer::free_end(std::string_view text, std::size_t at) const {
  for (std::size_t next = at; at < text.size(); at = next)
    if (!is_free(next_char(text, next))) break;
  return at;
}

// Behind the first of several free characters, of which the next two make a cut possible.
std::size_t FastNormalizer::bound_end(std::string_view text, std::size_t at) const {
  std::size_t end = at, run = 0;
  while (at < text.size() && run < kFreeBehind) {
    run = is_free(next_char(text, at)) ? run + 1 : 0;
    if (run <= 1) end = at;
  }
  return run < kFreeBehind ? text.size() : end;
}

void FastNormalizer::look_up(std::string_view text, std::string& out) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const Code code = codes_[next_char(text, at)];
    if (code == kSame) continue;
    out += text.substr(done, begin - done);
    out += replacements_[code - kReplaced];
    done = at;
  }
  out += text.substr(done);
}

void FastNormalizer::take_step(std::string_view text, std::string& out) const {
  if (step_ == nullptr) {
    out += text;
    return;
  }
  AlignedText aligned(text);
  step_->apply(aligned);
  out += aligned.text();
}

void FastNormalizer::apply(std::string_view text, std::string& out) const {
  if (step_ == nullptr) return void(out += text);
  std::size_t at = 0;
  if (!text.empty() && is_blank(text[0]) && !is_free(static_cast<unsigned char>(text[0]))) {
    if (!two_free(text, 1)) return take_step(text, out);
    out += ' ', at = 1;
  }
  while (at < text.size()) {
    const std::size_t stop = free_end(text, at);
    std::size_t begin = stop;
    if (stop < text.size())
      for (int back = 0; back < 2 && begin > at; ++back)
        while ((static_cast<unsigned char>(text[--begin]) & 0xC0) == 0x80) {
        }
    look_up(text.substr(at, begin - at), out);
    at = stop == text.size() ? stop : bound_end(text, stop);
    if (begin < at) take_step(text.substr(begin, at - begin), out);
  }
}

}  // namespace xp::pipeline
