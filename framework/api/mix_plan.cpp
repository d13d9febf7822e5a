#include <cmath>

#include "api/vocab_initializer.h"
#include "base/text.h"

namespace xp {

const std::vector<MixPart>& MixRow::parts_for(std::string_view role) const {
  const auto own = role_parts.find(role);
  return own == role_parts.end() ? parts : own->second;
}

MixPlan::MixPlan(std::int64_t source_size, std::int64_t target_size)
    : source_size_(source_size), rows_(static_cast<std::size_t>(target_size)) {}

std::vector<TokenId> MixPlan::open_rows() const {
  std::vector<TokenId> open;
  for (std::size_t i = 0; i < rows_.size(); ++i)
    if (!rows_[i].set) open.push_back(static_cast<TokenId>(i));
  return open;
}

MixRow& MixPlan::at(TokenId row) {
  if (row < 0 || row >= target_size())
    throw Error("row " + std::to_string(row) + " is outside the target vocabulary of " +
                std::to_string(target_size()));
  return rows_[static_cast<std::size_t>(row)];
}

MixRow& MixPlan::open(TokenId row) {
  auto& into = at(row);
  if (into.set) throw Error("row " + std::to_string(row) + " was set by rule " + backquoted(into.rule) + " already");
  return into;
}

void MixPlan::check_parts(TokenId row, const std::vector<MixPart>& parts, std::string_view rule) const {
  for (const auto& part : parts)
    if (part.source < 0 || part.source >= source_size_ || !std::isfinite(part.weight))
      throw Error("row " + std::to_string(row) + ": rule " + backquoted(rule) + " gave source " +
                  std::to_string(part.source) + " the weight " + number_text(part.weight) + "; sources are 0 to " +
                  std::to_string(source_size_ - 1) + ", weights finite");
}

void MixPlan::set_row(TokenId row, std::vector<MixPart> parts, std::string_view rule, std::string_view note) {
  auto& into = open(row);
  if (parts.empty()) throw Error("row " + std::to_string(row) + " was given no parts by rule " + backquoted(rule));
  check_parts(row, parts, rule);
  into.set = true, into.parts = std::move(parts), into.rule = rule, into.note = note;
}

void MixPlan::set_role_parts(TokenId row, std::string_view role, std::vector<MixPart> parts) {
  auto& into = at(row);
  if (into.parts.empty())
    throw Error("row " + std::to_string(row) + " mixes nothing that tables of role " + backquoted(role) +
                " could mix otherwise");
  if (parts.empty())
    throw Error("row " + std::to_string(row) + " was given no parts for tables of role " + backquoted(role));
  check_parts(row, parts, into.rule);
  if (!into.role_parts.emplace(role, std::move(parts)).second)
    throw Error("row " + std::to_string(row) + " was given parts for role " + backquoted(role) + " already");
}

void MixPlan::set_uniform_row(TokenId row, std::string_view rule, std::string_view note, double weight,
                              std::vector<MixPart> parts) {
  auto& into = open(row);
  if (!std::isfinite(weight) || weight == 0)
    throw Error("row " + std::to_string(row) + ": rule " + backquoted(rule) + " gave the mean the weight " +
                number_text(weight));
  check_parts(row, parts, rule);
  into.set = true, into.uniform = weight, into.parts = std::move(parts), into.rule = rule, into.note = note;
}

void MixPlan::set_dense_row(TokenId row, std::string_view role, std::span<const float> numbers, std::string_view rule,
                            std::string_view note) {
  auto& into = at(row);
  if (into.set && (into.dense.empty() || into.dense.contains(role)))
    throw Error("row " + std::to_string(row) + " was set by rule " + backquoted(into.rule) + " already");
  for (const float number : numbers)
    if (!std::isfinite(number))
      throw Error("row " + std::to_string(row) + ": rule " + backquoted(rule) + " gave a number that is not finite");
  into.set = true, into.rule = rule, into.note = note;
  into.dense.emplace(role, std::vector<float>(numbers.begin(), numbers.end()));
}

VocabInitializer::~VocabInitializer() = default;
std::optional<Factorisation> VocabInitializer::factorise(const VocabSetting&) { return std::nullopt; }

}  // namespace xp
