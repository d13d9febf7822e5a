#include "kit/files/split_patterns.h"

#include <map>

namespace xp {
namespace {

// Names that stand in files, each for the rule that the models of that name were trained with.
using Rules = std::map<std::string, const SplitRule*, std::less<>>;

constexpr std::string_view kLlama3 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
                                     R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The end of the text is \z: `$` would be the end of a line for some libraries.
constexpr std::string_view kCl100k = R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kDeepseekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const Rules& gguf_rules() {
  static const SplitRule gpt2{};
  static const SplitRule digits{.patterns = {}, .digits = true};
  static const SplitRule llama3{.patterns = {kLlama3}, .ignore_merges = true, .add_bos = true};
  static const SplitRule plain_llama3{.patterns = {kLlama3}};
  static const SplitRule qwen2{.patterns = {kQwen2}, .nfc = true};
  static const SplitRule qwen35{.patterns = {kQwen35}, .nfc = true};
  static const SplitRule plain_qwen2{.patterns = {kQwen2}};
  static const SplitRule tekken{.patterns = {kTekken}, .ignore_merges = true, .add_bos = true};
  static const SplitRule o200k{.patterns = {kO200k}};
  static const SplitRule deepseek{
      .patterns = {R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+", kDeepseekWords}};
  static const Rules rules{{"gpt-2", &gpt2},
                           {"phi-2", &gpt2},
                           {"roberta-bpe", &gpt2},
                           {"smollm", &digits},
                           {"starcoder", &digits},
                           {"refact", &digits},
                           {"llama3", &llama3},
                           {"llama-v3", &llama3},
                           {"llama-bpe", &llama3},
                           {"falcon3", &llama3},
                           {"falcon-h1", &llama3},
                           {"pixtral", &llama3},
                           {"midm-2.0", &llama3},
                           {"lfm2", &llama3},
                           {"jina-v5-nano", &llama3},
                           {"dbrx", &plain_llama3},
                           {"smaug-bpe", &plain_llama3},
                           {"qwen2", &qwen2},
                           {"qwen35", &qwen35},
                           {"deepseek-r1-qwen", &plain_qwen2},
                           {"kormo", &plain_qwen2},
                           {"f2llmv2", &plain_qwen2},
                           {"megrez", &plain_qwen2},
                           {"tekken", &tekken},
                           {"gpt-4o", &o200k},
                           {"llama4", &o200k},
                           {"kanana2", &o200k},
                           {"talkie", &o200k},
                           {"minimax-m2", &o200k},
                           {"deepseek-v3", &deepseek}};
  return rules;
}

const Rules& encoding_rules() {
  static const SplitRule gpt2{}, cl100k{.patterns = {kCl100k}}, o200k{.patterns = {kO200k}};
  static const Rules rules{{"gpt2", &gpt2},          {"r50k_base", &gpt2},     {"p50k_base", &gpt2},
                           {"p50k_edit", &gpt2},     {"cl100k_base", &cl100k}, {"o200k_base", &o200k},
                           {"o200k_harmony", &o200k}};
  return rules;
}

std::vector<std::string> names_of(const Rules& rules) {
  std::vector<std::string> names;
  for (const auto& [name, rule] : rules) names.push_back(name);
  return names;
}

const SplitRule* find_rule(const Rules& rules, std::string_view name) {
  const auto found = rules.find(name);
  return found == rules.end() ? nullptr : found->second;
}

}  // namespace

const SplitRule* split_rule_of_gguf(std::string_view pre) { return find_rule(gguf_rules(), pre); }
std::vector<std::string> known_gguf_rules() { return names_of(gguf_rules()); }
const SplitRule* split_rule_of_encoding(std::string_view name) { return find_rule(encoding_rules(), name); }
std::vector<std::string> known_encodings() { return names_of(encoding_rules()); }

}  // namespace xp
