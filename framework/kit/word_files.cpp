#include "kit/word_files.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/word_vectors.h"
#include "kit/text_files.h"

namespace xp {
namespace {

DataFile only_file(const std::vector<Value>& field) {
  const auto files = data_files(field);
  if (files.size() != 1)
    throw Error("one file of words is read, and " + count(files.size(), "file") + " are named", Exit::usage);
  return files.front();
}

/// Nothing unless the text is a count: finite and not below 0.
std::optional<double> count_of(std::string_view digits) {
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value) || value < 0) return {};
  return value;
}

}  // namespace

NamedVectors named_vectors(const State& vectors) { return {vectors.strings("words"), vectors.floats("vectors")}; }

NamedVectors named_vectors(const std::vector<Value>& field) {
  const WordVectors file(only_file(field).path);
  NamedVectors out;
  out.vectors = {std::vector<float>(file.size() * file.width()),
                 {static_cast<std::int64_t>(file.size()), static_cast<std::int64_t>(file.width())}};
  for (std::size_t i = 0; i < file.size(); ++i) {
    out.words.emplace_back(file.word(i));
    file.copy(i, out.vectors.data.data() + i * file.width());
  }
  return out;
}

std::vector<PairCount> pair_counts(const State& translations) {
  const auto &from = translations.strings("source"), &to = translations.strings("target");
  const auto& counts = translations.ints("counts").data;
  if (from.size() != to.size() || from.size() != counts.size())
    throw Error("the columns of the translations differ in length; make them again with `word_alignment`",
                Exit::data);
  std::vector<PairCount> out;
  out.reserve(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) out.push_back({from[i], to[i], static_cast<double>(counts[i])});
  return out;
}

std::vector<std::pair<std::string, std::string>> likeliest_translations(const State& translations) {
  std::map<std::string, PairCount> best;
  for (auto& pair : pair_counts(translations)) {
    auto& most = best[pair.source];
    if (pair.count > most.count || most.target.empty()) most = std::move(pair);
  }
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [word, pair] : best) out.emplace_back(word, pair.target);
  return out;
}

std::vector<double> word_counts(const std::vector<Value>& field, const Strings& words) {
  std::unordered_map<std::string, double> counts;
  const auto file = only_file(field);
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    const auto tab = line.rfind('\t');
    const auto value = tab == std::string_view::npos ? std::nullopt : count_of(line.substr(tab + 1));
    if (!value) bad_line(file, number, "a word, a tab and a count are wanted");
    counts[std::string(line.substr(0, tab))] += *value;
  });
  std::vector<double> out;
  for (const auto& word : words) {
    const auto found = counts.find(word);
    out.push_back(found == counts.end() ? 0 : found->second);
  }
  return out;
}

std::vector<PairCount> pair_counts(const std::vector<Value>& field) {
  std::vector<PairCount> out;
  const auto file = only_file(field);
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    const auto first = line.find('\t'), last = line.rfind('\t');
    const auto value = last == std::string_view::npos ? std::nullopt : count_of(line.substr(last + 1));
    if (first == last || !value)
      bad_line(file, number, "an old token, a new token and a count with tabs between are wanted");
    out.push_back(
        {std::string(line.substr(0, first)), std::string(line.substr(first + 1, last - first - 1)), *value});
  });
  return out;
}

std::vector<std::pair<std::string, std::string>> word_pairs(const std::vector<Value>& field) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto file = only_file(field);
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    auto cut = line.find('\t');
    if (cut == std::string_view::npos) cut = line.find(' ');
    const auto right = cut == std::string_view::npos ? cut : line.find_first_not_of(" \t", cut);
    if (cut == 0 || right == std::string_view::npos)
      bad_line(file, number, "two words with a tab between are wanted");
    out.emplace_back(line.substr(0, cut), line.substr(right));
  });
  return out;
}

std::vector<std::string> cases_of(const std::string& word) {
  const auto& root = icu::Locale::getRoot();
  const auto plain = icu::UnicodeString::fromUTF8(word);
  std::vector<std::string> out{word, {}, {}};
  icu::UnicodeString(plain).toLower(root).toUTF8String(out[1]);
  icu::UnicodeString(plain).toTitle(nullptr, root).toUTF8String(out[2]);
  return out;
}

}  // namespace xp
