#include "kit/files/tokenizer_draft.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_trie.h"
#include "kit/files/base64.h"

namespace xp {
namespace {

using nlohmann::json;

[[noreturn]] void refuse_token(const TokenizerDraft& draft, std::size_t id, const std::string& what) {
  throw Error(draft.where + ": its token " + std::to_string(id) + ", " +
                  backquoted(printable(draft.tokens[id].substr(0, 200))) + ", " + what,
              Exit::data);
}

void check_tokens(const TokenizerDraft& draft, bool unique) {
  std::unordered_map<std::string_view, std::size_t> ids(draft.tokens.size());
  for (std::size_t id = 0; id < draft.tokens.size(); ++id) {
    if (draft.holes.count(static_cast<std::uint32_t>(id)) > 0) continue;
    if (!is_utf8(draft.tokens[id])) refuse_token(draft, id, "is not UTF-8");
    const auto [other, is_new] = ids.emplace(draft.tokens[id], id);
    if (!is_new && unique) refuse_token(draft, id, "is token " + std::to_string(other->second) + " too");
  }
}

json added_tokens(const TokenizerDraft& draft) {
  json added = json::array();
  for (const auto& [id, token] : draft.added)
    added.push_back({{"id", id},
                     {"content", draft.tokens.at(id)},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  return added;
}

// Real vocabularies have two or three merges a piece.
constexpr std::size_t kMostWays = 100;

std::size_t character_count(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

struct Derived {
  double score;
  std::size_t left_length, right_length;
  std::uint32_t left, right;
};

json sequence_of(const char* name, int type) { return {{"Sequence", {{"id", name}, {"type_id", type}}}}; }

}  // namespace

std::string tokenizer_json_text(const TokenizerDraft& draft) {
  const bool list = !draft.scores.empty();
  check_tokens(draft, !list);
  json model = draft.model;
  if (list) {
    json vocabulary = json::array();
    for (std::size_t id = 0; id < draft.tokens.size(); ++id)
      vocabulary.push_back({draft.tokens[id], draft.scores.at(id)});
    model["vocab"] = std::move(vocabulary);
  } else {
    json vocabulary = json::object();
    for (std::size_t id = 0; id < draft.tokens.size(); ++id)
      if (draft.holes.count(static_cast<std::uint32_t>(id)) == 0) vocabulary[draft.tokens[id]] = id;
    model["vocab"] = std::move(vocabulary);
  }
  if (model.at("type") == "BPE") {
    json merges = json::array();
    for (const auto& [left, right] : draft.merges) merges.push_back({draft.tokens.at(left), draft.tokens.at(right)});
    model["merges"] = std::move(merges);
  }
  const json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_tokens(draft)},
                     {"normalizer", draft.normalizer},
                     {"pre_tokenizer", draft.pre_tokenizer},
                     {"post_processor", draft.post_processor},
                     {"decoder", draft.decoder},
                     {"model", std::move(model)}};
  return file.dump() + "\n";
}

void derive_merges(TokenizerDraft& draft, const std::vector<double>& scores, const std::vector<bool>& derived,
                   MergeOrder order) {
  const auto& pieces = draft.tokens;
  // Two tries give all parts of a piece in one walk from each side, however long it is.
  ByteTrie heads, tails;
  std::string reversed;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (draft.holes.count(static_cast<std::uint32_t>(id)) > 0) continue;
    heads.insert(pieces[id], static_cast<std::int32_t>(id));
    reversed.assign(pieces[id].rbegin(), pieces[id].rend());
    tails.insert(reversed, static_cast<std::int32_t>(id));
  }
  std::vector<Derived> all;
  std::vector<std::int32_t> head_of;  // the piece that is the first n bytes, or -1
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (!derived[id]) continue;
    const auto& piece = pieces[id];
    head_of.assign(piece.size() + 1, -1);
    heads.prefixes(piece, 0, [&](std::size_t length, std::int32_t head) { head_of[length] = head; });
    reversed.assign(piece.rbegin(), piece.rend());
    const auto first = all.size();
    tails.prefixes(reversed, 0, [&](std::size_t length, std::int32_t tail) {
      const auto head = length < piece.size() ? head_of[piece.size() - length] : -1;
      if (head < 0) return;
      const auto left = static_cast<std::size_t>(head), right = static_cast<std::size_t>(tail);
      all.push_back({scores[id], character_count(pieces[left]), character_count(pieces[right]),
                     static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(tail)});
    });
    if (all.size() / kMostWays > pieces.size())
      throw Error(draft.where + ": its pieces are made of each other in more than " +
                      std::to_string(kMostWays * pieces.size()) + " ways",
                  Exit::data);
    std::sort(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), [](const Derived& a, const Derived& b) {
      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
  }
  std::stable_sort(all.begin(), all.end(), [order](const Derived& a, const Derived& b) {
    if (order == MergeOrder::lower_id_first) return a.score > b.score;
    return std::tuple(a.score, a.left_length, a.right_length) > std::tuple(b.score, b.left_length, b.right_length);
  });
  draft.merges.clear();
  draft.merges.reserve(all.size());
  for (const auto& merge : all) draft.merges.emplace_back(merge.left, merge.right);
}

json bpe_settings(const json& unknown, bool byte_pieces, bool fuse_unknown, bool ignore_merges) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", fuse_unknown},
          {"byte_fallback", byte_pieces},
          {"ignore_merges", ignore_merges}};
}

namespace tokenizer_steps {

json sequence(const char* list, std::vector<json> steps) { return {{"type", "Sequence"}, {list, std::move(steps)}}; }

json replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

json replace_matches(const char* pattern, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", pattern}}}, {"content", to}};
}

json prepend(const char* text) { return {{"type", "Prepend"}, {"prepend", text}}; }

json split(std::string_view pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

json byte_level(bool words) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", words}};
}

json metaspace(const char* scheme, bool split) {
  return {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}};
}

json marked_decoder(bool strip) {
  std::vector<json> steps{replace("▁", " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (strip) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return sequence("decoders", std::move(steps));
}

json precompiled(std::string_view charsmap) {
  return {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(charsmap)}};
}

json around(const std::vector<std::pair<std::string, int>>& single,
            const std::vector<std::pair<std::string, int>>& pair, const std::map<std::string, std::uint32_t>& ids) {
  const auto pieces = [](const std::vector<std::pair<std::string, int>>& parts) {
    json list = json::array();
    for (const auto& [name, type] : parts)
      list.push_back(name == "$A" || name == "$B" ? sequence_of(name.c_str() + 1, type)
                                                  : json{{"SpecialToken", {{"id", name}, {"type_id", type}}}});
    return list;
  };
  json special = json::object();
  for (const auto& [name, id] : ids)
    special[name] = {{"id", name}, {"ids", json::array({id})}, {"tokens", json::array({name})}};
  return {{"type", "TemplateProcessing"},
          {"single", pieces(single)},
          {"pair", pieces(pair)},
          {"special_tokens", std::move(special)}};
}

json around(const std::string& before, const std::string& after, const std::map<std::string, std::uint32_t>& ids) {
  std::vector<std::pair<std::string, int>> single, pair;
  for (const int type : {0, 1}) {
    if (!before.empty()) pair.emplace_back(before, type);
    pair.emplace_back(type == 0 ? "$A" : "$B", type);
    if (!after.empty()) pair.emplace_back(after, type);
    if (type == 0) single = pair;
  }
  return around(single, pair, ids);
}

}  // namespace tokenizer_steps
}  // namespace xp
