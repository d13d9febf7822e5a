#include "kit/vocabulary.h"

#include <array>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace xp {
namespace {

constexpr std::array<const char*, 5> kStandard{"pad", "unk", "begin", "end", "mask"};

bool is_standard(std::string_view purpose) {
  for (const char* one : kStandard)
    if (purpose == one) return true;
  return false;
}

}  // namespace

Vocabulary::Vocabulary(const ReservedNames& names, const Reserve& reserve) {
  const std::array<std::string, 5> tokens{names.pad, names.unk, names.begin, names.end, names.mask};
  for (std::size_t i = 0; i < kStandard.size(); ++i) reserve_id(kStandard[i], tokens[i]);
  for (const auto& [purpose, n] : reserve) {
    if (!is_name(purpose))
      throw Error("reserved purpose " + backquoted(purpose) + " is no name: letters, digits, `_` and `-`",
                  Exit::usage);
    if (n < 0)
      throw Error("purpose " + backquoted(purpose) + " reserves " + std::to_string(n) + " ids; it can be 0 or more",
                  Exit::usage);
    // A standard purpose has its first id already.
    for (std::int64_t i = is_standard(purpose) ? 1 : 0; i < n; ++i) {
      const std::string number = std::to_string(i);
      reserve_id(purpose + "." + number, names.open + purpose + "_" + number + names.close);
    }
  }
  set_purposes();
}

Vocabulary::Vocabulary(std::vector<std::string> tokens, Purposes purposes)
    : tokens_(std::move(tokens)), purposes_(std::move(purposes)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) index(static_cast<TokenId>(i));
  for (const char* one : kStandard)
    if (!purposes_.contains(one)) throw Error("no id is given for purpose " + backquoted(one), Exit::data);
  for (const auto& [purpose, id] : purposes_)
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size())
      throw Error("purpose " + backquoted(purpose) + " has id " + std::to_string(id) + ", but the vocabulary has " +
                      count(tokens_.size(), "token"),
                  Exit::data);
  set_purposes();
}

void Vocabulary::index(TokenId id) {
  const auto& token = tokens_[static_cast<std::size_t>(id)];
  if (const auto [found, is_new] = ids_.emplace(token, id); !is_new)
    throw Error("token " + backquoted(printable(token)) + " has two ids, " + std::to_string(found->second) + " and " +
                    std::to_string(id),
                Exit::data);
}

void Vocabulary::reserve_id(const std::string& purpose, std::string token) {
  purposes_[purpose] = add(std::move(token));
}

void Vocabulary::set_purposes() {
  purpose_of_.assign(tokens_.size(), {});
  const auto take = [&](const std::string& purpose, TokenId id) {
    auto& place = purpose_of_[static_cast<std::size_t>(id)];
    if (!place.empty()) return;  // an id may serve two purposes; the standard one is its name
    place = purpose;
    ++reserved_;
  };
  for (const char* one : kStandard) take(one, purposes_.find(one)->second);
  for (const auto& [purpose, id] : purposes_) take(purpose, id);
}

TokenId Vocabulary::add(std::string token) {
  const auto id = static_cast<TokenId>(tokens_.size());
  tokens_.push_back(std::move(token));
  index(id);
  return id;
}

const std::string& Vocabulary::text(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size())
    throw Error("token id " + std::to_string(id) + " is not in the vocabulary: ids are 0 to " +
                    std::to_string(static_cast<std::int64_t>(tokens_.size()) - 1),
                Exit::data);
  return tokens_[static_cast<std::size_t>(id)];
}

const std::string& Vocabulary::purpose(TokenId id) const {
  static const std::string none;
  text(id);
  return static_cast<std::size_t>(id) < purpose_of_.size() ? purpose_of_[static_cast<std::size_t>(id)] : none;
}

std::optional<TokenId> Vocabulary::find(std::string_view token) const {
  if (const auto found = ids_.find(token); found != ids_.end()) return found->second;
  return std::nullopt;
}

void check_vocab_size(std::int64_t vocab_size, std::size_t reserved, std::size_t least, std::string_view what) {
  const auto need = static_cast<std::int64_t>(reserved + least);
  if (vocab_size < need)
    throw Error("vocab_size " + std::to_string(vocab_size) + " is too small: " + count(reserved, "reserved id") +
                    " and " + std::string(what) + " need " + std::to_string(need),
                Exit::usage);
}

void warn_if_smaller(std::size_t size, std::int64_t vocab_size, std::string_view why) {
  if (static_cast<std::int64_t>(size) < vocab_size)
    log::warn("the vocabulary has " + std::to_string(size) + " tokens, not vocab_size " + std::to_string(vocab_size) +
              ": " + std::string(why));
}

}  // namespace xp
