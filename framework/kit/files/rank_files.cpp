#include "kit/files/rank_files.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/files/base64.h"
#include "kit/files/mapped_file.h"
#include "kit/files/split_patterns.h"
#include "kit/files/strict_json.h"
#include "kit/files/tokenizer_draft.h"

namespace xp {
namespace {

using nlohmann::json;
namespace steps = tokenizer_steps;

// Beyond any vocabulary; ids index a vector.
constexpr std::uint64_t kMostId = 16'000'000;
constexpr std::uint64_t kMostReserved = 65'536;

// Reserved tokens that encodings of OpenAI have beside their ranks.
const std::map<std::string, std::uint32_t>& reserved_of(std::string_view encoding) {
  using Tokens = std::map<std::string, std::uint32_t>;
  static const std::map<std::string, Tokens, std::less<>> all{
      {"gpt2", {{"<|endoftext|>", 50256}}},
      {"r50k_base", {{"<|endoftext|>", 50256}}},
      {"p50k_base", {{"<|endoftext|>", 50256}}},
      {"p50k_edit",
       {{"<|endoftext|>", 50256}, {"<|fim_prefix|>", 50281}, {"<|fim_middle|>", 50282}, {"<|fim_suffix|>", 50283}}},
      {"cl100k_base",
       {{"<|endoftext|>", 100257},
        {"<|fim_prefix|>", 100258},
        {"<|fim_middle|>", 100259},
        {"<|fim_suffix|>", 100260},
        {"<|endofprompt|>", 100276}}},
      {"o200k_base", {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}}};
  static const Tokens none;
  const auto found = all.find(encoding);
  return found == all.end() ? none : found->second;
}

/// Tokens by id that come in any order.
class RankedTokens {
 public:
  /// `most`: no token has a higher rank, since the file has not that many bytes.
  RankedTokens(std::string where, std::uint64_t most) : most_(most) { draft_.where = std::move(where); }

  [[noreturn]] void refuse(const std::string& what) const { throw Error(draft_.where + ": " + what, Exit::data); }

  /// `place` names the line or entry in messages.
  void add(const std::string& place, std::string_view base64, std::uint64_t rank, std::uint32_t first) {
    const auto bytes = from_base64(base64);
    if (!bytes || bytes->empty())
      refuse(place + ": " + backquoted(printable(base64.substr(0, 200))) + " is not a token in base64");
    if (rank > most_) refuse(place + ": the rank " + std::to_string(rank) + " is beyond what the file can hold");
    if (bytes->size() == 1) single_.insert((*bytes)[0]);
    put(place, to_byte_level(*bytes), rank + first);
  }

  void add_reserved(const std::string& place, const std::string& text, std::uint64_t id) {
    put(place, text, id);
    draft_.added[static_cast<std::uint32_t>(id)] = {};
  }

  /// The finished file; patterns as in SplitRule.
  std::string json_text(const std::vector<std::string_view>& patterns) {
    if (single_.size() != 256) refuse("it has tokens for " + std::to_string(single_.size()) + " of the 256 bytes");
    const auto size = draft_.tokens.size();
    std::vector<double> scores(size);
    std::vector<bool> derived(size);
    for (std::size_t id = 0; id < size; ++id) {
      const auto key = static_cast<std::uint32_t>(id);
      scores[id] = -static_cast<double>(id);
      if (draft_.tokens[id].empty()) draft_.holes.insert(key);
      derived[id] = !draft_.tokens[id].empty() && draft_.added.count(key) == 0;
    }
    derive_merges(draft_, scores, derived, MergeOrder::lower_id_first);
    std::vector<json> cuts;
    for (const auto pattern : patterns) cuts.push_back(steps::split(pattern));
    cuts.push_back(steps::byte_level(patterns.empty()));
    draft_.pre_tokenizer = cuts.size() == 1 ? cuts.front() : steps::sequence("pretokenizers", cuts);
    draft_.decoder = steps::byte_level(true);
    draft_.model = bpe_settings(nullptr, false, false, true);
    return tokenizer_json_text(draft_);
  }

 private:
  void put(const std::string& place, std::string text, std::uint64_t id) {
    if (id > kMostId) refuse(place + ": the id " + std::to_string(id) + " is beyond any vocabulary");
    if (text.empty()) refuse(place + ": a token has no text");
    if (draft_.tokens.size() <= id) draft_.tokens.resize(id + 1);
    auto& token = draft_.tokens[id];
    if (!token.empty())
      refuse(place + ": the id " + std::to_string(id) + " is that of " + backquoted(printable(token)) + " too");
    token = std::move(text);
  }

  TokenizerDraft draft_;
  std::uint64_t most_;
  std::unordered_set<char> single_;
};

/// A key of an object, with its type checked.
class TekkenReader {
 public:
  TekkenReader(const json& file, RankedTokens& tokens) : file_(file), tokens_(tokens) {}

  std::string read() {
    const auto& config = member(file_, "config", json::value_t::object, "the file");
    const auto size = whole(config, "default_vocab_size", "config");
    const auto reserved = whole(config, "default_num_special_tokens", "config");
    const auto& pattern = member(config, "pattern", json::value_t::string, "config").get_ref<const std::string&>();
    const auto& vocabulary = member(file_, "vocab", json::value_t::array, "the file");
    if (reserved > size || size - reserved > vocabulary.size() || reserved > kMostReserved)
      tokens_.refuse("it wants " + std::to_string(size) + " tokens, " + std::to_string(reserved) +
                     " of them reserved, and has " + std::to_string(vocabulary.size()));
    read_reserved(reserved);
    // A smaller vocabulary is the one with the lowest ranks, which must all be there.
    std::uint64_t taken = 0;
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
      const auto place = "entry " + std::to_string(i) + " of vocab";
      const auto rank = whole(vocabulary[i], "rank", place);
      if (rank >= size - reserved) continue;
      tokens_.add(place,
                  member(vocabulary[i], "token_bytes", json::value_t::string, place).get_ref<const std::string&>(),
                  rank, static_cast<std::uint32_t>(reserved));
      ++taken;
    }
    if (taken != size - reserved)
      tokens_.refuse("it has " + std::to_string(taken) + " of the " + std::to_string(size - reserved) +
                     " lowest ranks");
    return tokens_.json_text({pattern});
  }

 private:
  const json& member(const json& object, const char* key, json::value_t type, const std::string& place) const {
    const auto found = object.is_object() ? object.find(key) : object.end();
    const bool fits = object.is_object() && found != object.end() && found->type() == type;
    if (!fits) tokens_.refuse(place + " has no " + json(type).type_name() + " " + backquoted(key));
    return *found;
  }

  std::uint64_t whole(const json& object, const char* key, const std::string& place) const {
    return member(object, key, json::value_t::number_unsigned, place).get<std::uint64_t>();
  }

  void read_reserved(std::uint64_t reserved) {
    // Files up to version 7 leave these out.
    static constexpr const char* kNames[] = {"<unk>",
                                             "<s>",
                                             "</s>",
                                             "[INST]",
                                             "[/INST]",
                                             "[AVAILABLE_TOOLS]",
                                             "[/AVAILABLE_TOOLS]",
                                             "[TOOL_RESULTS]",
                                             "[/TOOL_RESULTS]",
                                             "[TOOL_CALLS]",
                                             "[IMG]",
                                             "<pad>",
                                             "[IMG_BREAK]",
                                             "[IMG_END]",
                                             "[PREFIX]",
                                             "[MIDDLE]",
                                             "[SUFFIX]",
                                             "[SYSTEM_PROMPT]",
                                             "[/SYSTEM_PROMPT]",
                                             "[TOOL_CONTENT]"};
    std::vector<std::string> names(reserved);
    const auto listed = file_.find("special_tokens");
    if (listed != file_.end() && !listed->is_null()) {
      if (!listed->is_array()) tokens_.refuse("its `special_tokens` are no list");
      for (std::size_t i = 0; i < listed->size(); ++i) {
        const auto place = "entry " + std::to_string(i) + " of special_tokens";
        const auto rank = whole((*listed)[i], "rank", place);
        if (rank >= reserved || !names[rank].empty())
          tokens_.refuse(place + " has the rank " + std::to_string(rank) + ", which is beyond " +
                         std::to_string(reserved) + " or there twice");
        names[rank] = member((*listed)[i], "token_str", json::value_t::string, place).get<std::string>();
      }
    } else {
      std::copy_n(std::begin(kNames), std::min<std::size_t>(std::size(kNames), reserved), names.begin());
    }
    for (std::size_t id = 0; id < reserved; ++id)
      tokens_.add_reserved("reserved token " + std::to_string(id),
                           names[id].empty() ? "<SPECIAL_" + std::to_string(id) + ">" : names[id], id);
  }

  const json& file_;
  RankedTokens& tokens_;
};

std::string_view next_line(std::string_view& rest) {
  const auto end = std::min(rest.find('\n'), rest.size());
  auto line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

std::string tiktoken_tokenizer_json(const std::filesystem::path& file, std::string_view encoding,
                                    const std::map<std::string, std::uint32_t>& special) {
  const auto* rule = split_rule_of_encoding(encoding);
  if (!rule) rule = split_rule_of_gguf(encoding);
  if (!rule || rule->digits || rule->nfc)
    throw Error("how the encoding " + backquoted(encoding) + " cuts text is not known; known are " +
                    listed(known_encodings()) + ", and `llama3`",
                Exit::data);
  const MappedFile map(file);
  RankedTokens tokens(file.string() + " is not a readable list of ranks", map.size());
  auto rest = map.text();
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto line = next_line(rest);
    if (line.empty()) continue;
    const auto place = "line " + std::to_string(number);
    const auto space = line.find(' ');
    std::uint32_t rank = 0;
    const auto digits = space == line.npos ? std::string_view() : line.substr(space + 1);
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (problem != std::errc() || end != digits.data() + digits.size())
      tokens.refuse(place + ", " + backquoted(printable(line.substr(0, 200))) +
                    ", is not a token in base64, a space and a rank");
    tokens.add(place, line.substr(0, space), rank, 0);
  }
  for (const auto& [text, id] : special.empty() ? reserved_of(encoding) : special)
    tokens.add_reserved("the reserved token " + backquoted(printable(text)), text, id);
  return tokens.json_text(rule->patterns);
}

std::string tekken_tokenizer_json(const std::filesystem::path& file) {
  const MappedFile map(file);
  const auto where = file.string() + " is not a readable Tekken file";
  const auto parsed = parse_strict_json(map.text(), where);
  RankedTokens tokens(where, map.size());
  if (!parsed.is_object()) tokens.refuse("it is not a JSON object");
  return TekkenReader(parsed, tokens).read();
}

}  // namespace xp
