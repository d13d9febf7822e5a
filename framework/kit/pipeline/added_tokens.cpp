#include "kit/pipeline/added_tokens.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

std::size_t char_before(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool word_char_before(std::string_view text, std::size_t at) {
  if (at == 0) return false;
  at = char_before(text, at);
  return has_class(next_char(text, at), kWord);
}

bool word_char_at(std::string_view text, std::size_t at) {
  return at < text.size() && has_class(next_char(text, at), kWord);
}

/// Where the white space that ends at `at` begins, not before `least`.
std::size_t space_begin(std::string_view text, std::size_t at, std::size_t least) {
  while (at > least) {
    const std::size_t begin = char_before(text, at);
    std::size_t end = begin;
    if (!is_white_space(next_char(text, end))) break;
    at = begin;
  }
  return at;
}

std::size_t space_end(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_white_space(next_char(text, next))) break;
    at = next;
  }
  return at;
}

AddedToken read_added(const Entry& item) {
  AddedToken out;
  out.content = item.text("content");
  out.single_word = item.flag("single_word");
  out.lstrip = item.flag("lstrip");
  out.rstrip = item.flag("rstrip");
  out.normalized = item.flag("normalized");
  out.special = item.flag("special");
  out.normalised = out.content;
  return out;
}

bool same_settings(const AddedToken& a, const AddedToken& b) {
  return a.content == b.content && a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip &&
         a.normalized == b.normalized && a.special == b.special;
}

}  // namespace

AddedTokens::AddedTokens(const Entry& entry, const Model& model, const Normalizer* normalizer)
    : next_(static_cast<TokenId>(model.tokens().count())) {
  const auto items = entry.has("added_tokens") ? entry.items("added_tokens") : std::vector<Entry>();
  std::map<std::int64_t, std::string> file_ids;
  for (const auto& item : items) {
    AddedToken token = read_added(item);
    const auto id = item.number("id");
    if (id < 0 || id >= INT32_MAX)
      item.at("id").refuse(std::to_string(id) + " is no id; ids are whole numbers from 0 to 2^31 - 2");
    const auto [there, fresh] = file_ids.emplace(id, token.content);
    if (!fresh && there->second != token.content)
      item.at("id").refuse("id " + std::to_string(id) + " is also that of token " +
                           backquoted(printable(there->second)));
    if (token.normalized && normalizer != nullptr) {
      AlignedText text(token.content);
      normalizer->apply(text);
      token.normalised = text.text();
    }
    add(std::move(token), id, model);
  }
  if (renumbered_ > 0)
    log::warn(entry.place() + "added_tokens: " + count(renumbered_, "token") +
              " got other ids than the file says, as in the tokenizers library: the model's, or the next free ones");
  prepare(raw_, false);
  prepare(normalised_, true);
}

void AddedTokens::add(AddedToken token, std::int64_t file_id, const Model& model) {
  if (token.content.empty()) return;
  auto id = find(token.content);
  if (id && same_settings(tokens_.at(*id), token)) return;
  if (!id) id = model.tokens().find(token.content);
  if (!id) id = next_++;
  token.id = *id;
  if (*id != file_id) ++renumbered_;
  if (token.special) specials_[token.content] = true;
  ids_[token.content] = *id;
  tokens_[*id] = std::move(token);
}

void AddedTokens::prepare(Search& search, bool normalised) {
  std::set<std::string_view> seen;
  for (const auto& [id, token] : tokens_) {
    // Of tokens that normalise to the same text the one with the smallest id is found; one that vanishes, nowhere.
    if (token.normalized != normalised || token.normalised.empty() || !seen.insert(token.normalised).second) continue;
    search.trie.insert(token.normalised, static_cast<std::int32_t>(search.tokens.size()));
    search.first[static_cast<unsigned char>(token.normalised[0])] = true;
    search.tokens.push_back(&token);
    search.any = true;
  }
  if (std::count(std::begin(search.first), std::end(search.first), true) == 1)
    search.only = search.tokens.front()->normalised.substr(0, 1);
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

std::optional<TokenId> AddedTokens::find(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? std::nullopt : std::optional<TokenId>(found->second);
}

void AddedTokens::split(std::string_view text, bool normalised, std::vector<AddedMatch>& out) const {
  const Search& search = normalised ? normalised_ : raw_;
  std::size_t done = 0;
  for (std::size_t at = 0; search.any && at < text.size();) {
    if (!search.only.empty()) at = std::min(text.find(search.only[0], at), text.size());
    if (at == text.size()) break;
    if (!search.first[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    std::size_t length = 0;
    std::int32_t which = -1;
    search.trie.prefixes(text, at, [&](std::size_t n, std::int32_t value) { length = n, which = value; });
    if (which < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = *search.tokens[static_cast<std::size_t>(which)];
    std::size_t begin = at, end = at + length;
    at = end;
    if (token.single_word && (word_char_before(text, begin) || word_char_at(text, end))) continue;
    if (token.lstrip) begin = std::max(space_begin(text, begin, std::min(done, begin)), done);
    if (token.rstrip) end = space_end(text, end);
    if (begin >= end) continue;  // it lies in the space that the token before took
    if (done < begin) out.push_back({nullptr, static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(begin)});
    out.push_back({&token, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    done = end;
  }
  if (done < text.size())
    out.push_back({nullptr, static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(text.size())});
}

}  // namespace xp::pipeline
