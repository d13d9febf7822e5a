#include "kit/word_table.h"

#include <charconv>
#include <cmath>
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

}  // namespace

WordTable word_table(const State& vectors) { return {vectors.strings("words"), vectors.floats("vectors")}; }

WordTable word_table(const std::vector<Value>& field) {
  const WordVectors file(only_file(field).path);
  WordTable out;
  out.vectors = {std::vector<float>(file.size() * file.width()),
                 {static_cast<std::int64_t>(file.size()), static_cast<std::int64_t>(file.width())}};
  for (std::size_t i = 0; i < file.size(); ++i) {
    out.words.emplace_back(file.word(i));
    file.copy(i, out.vectors.data.data() + i * file.width());
  }
  return out;
}

std::vector<double> word_counts(const std::vector<Value>& field, const Strings& words) {
  std::unordered_map<std::string, double> counts;
  const auto file = only_file(field);
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    const auto tab = line.rfind('\t');
    const auto digits = tab == std::string_view::npos ? std::string_view() : line.substr(tab + 1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value) || value < 0)
      bad_line(file, number, "a word, a tab and a count are wanted");
    counts[std::string(line.substr(0, tab))] += value;
  });
  std::vector<double> out;
  for (const auto& word : words) {
    const auto found = counts.find(word);
    out.push_back(found == counts.end() ? 0 : found->second);
  }
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
    if (cut == 0 || right == std::string_view::npos) bad_line(file, number, "two words with a tab between are wanted");
    out.emplace_back(line.substr(0, cut), line.substr(right));
  });
  return out;
}

}  // namespace xp
