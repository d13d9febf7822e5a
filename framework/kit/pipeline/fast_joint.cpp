// BPE over text whose blanks became marks, so that no pre-tokenizer need cut it: a cut between two characters that
// stand side by side in no token changes nothing, as every merge makes a token.
#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {
namespace {

constexpr std::string_view kJoint = "\u2581";
constexpr char32_t kJointChar = 0x2581, kJointCharsEnd = 0x10000;

/// Which characters must not be cut apart.
class JointPairs {
 public:
  /// `cuts`: a mark always begins a word.
  JointPairs(const TokenTable& tokens, bool cuts) : known_(kJointCharsEnd), cuts_(cuts) {
    std::size_t bytes = 0;
    tokens.for_each([&](std::string_view text, TokenId) {
      std::size_t at = 0;
      bytes += text.size();
      if (text.empty()) return;
      if (const char32_t c = next_char(text, at); at == text.size() && c < kJointCharsEnd) known_[c] = true;
    });
    far_.assign(std::bit_ceil(std::max<std::size_t>(bytes, 64)) / 8, 0);
    shift_ = 64 - std::countr_zero(far_.size() * 64);
    tokens.for_each([&](std::string_view text, TokenId) { add(text); });
    known_[' '] = known_[kJointChar];
    for (char32_t a = 0; a < 128; ++a)
      for (char32_t b = 0; b < 128; ++b)
        if (!parts_far(a, b)) near_[a][b / 64] |= std::uint64_t{1} << b % 64;
  }

  /// Whether a cut between the two, of which a blank is a mark, changes nothing.
  bool parts(char32_t a, char32_t b) const {
    if ((a | b) < 128) return (near_[a][b / 64] >> b % 64 & 1) == 0;
    return parts_far(a, b);
  }
  bool parts_ascii(unsigned char a, unsigned char b) const { return (near_[a][b / 64] >> b % 64 & 1) == 0; }

 private:
  static char32_t marked(char32_t c) { return c == ' ' ? kJointChar : c; }
  std::size_t place(char32_t a, char32_t b) const {
    return ((std::uint64_t{a} << 32 | b) * 0x9E3779B97F4A7C15u) >> shift_;
  }
  void add(std::string_view text) {
    if (text.empty()) return;
    std::size_t at = 0;
    for (char32_t before = next_char(text, at); at < text.size();) {
      const char32_t c = next_char(text, at);
      const std::size_t bit = place(before, c);
      far_[bit / 64] |= std::uint64_t{1} << bit % 64;
      before = c;
    }
  }
  // A character without a token becomes bytes or something unknown, which may join its neighbours.
  bool parts_far(char32_t a, char32_t b) const {
    a = marked(a), b = marked(b);
    if (cuts_ && b == kJointChar) return true;
    if (a >= kJointCharsEnd || b >= kJointCharsEnd || !known_[a] || !known_[b]) return false;
    const std::size_t bit = place(a, b);
    return (far_[bit / 64] >> bit % 64 & 1) == 0;
  }

  std::array<std::array<std::uint64_t, 2>, 128> near_{};  // a bit for each pair that stays together
  std::vector<bool> known_;
  std::vector<std::uint64_t> far_;  // the same by hashes of pairs, so that some stay together without need
  int shift_ = 0;
  bool cuts_;
};

/// What stands before a text, as the file says.
enum class JointPrefix { none, always, unless_marked, unless_marked_at_start };

struct JointShape {
  JointPrefix prefix = JointPrefix::none;
  bool cuts = false;  ///< before each mark
};

class JointIds final : public FastIds {
 public:
  JointIds(const Model& model, JointShape shape) : model_(model), shape_(shape), pairs_(model.tokens(), shape.cuts) {}

  void append(std::string_view text, bool at_start, IdCache& cache, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    if (wants_prefix(text, at_start)) {
      const std::string with = " " + std::string(text);
      return words(with, cache, out);
    }
    words(text, cache, out);
  }

 private:
  bool wants_prefix(std::string_view text, bool at_start) const {
    if (shape_.prefix == JointPrefix::none || shape_.prefix == JointPrefix::always)
      return shape_.prefix == JointPrefix::always;
    if (text[0] == ' ' || text.starts_with(kJoint)) return false;
    return at_start || shape_.prefix == JointPrefix::unless_marked;
  }

  void words(std::string_view text, IdCache& cache, std::vector<TokenId>& out) const {
    IdSink sink(out);
    WordQueue queue(cache, sink, [this](std::string_view word, std::vector<TokenId>& ids) { cut(word, ids); });
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = word_end(text, at);
      queue.put(text.substr(at, end - at), text.size() - at);
      at = end;
    }
    queue.finish();
  }

  std::size_t word_end(std::string_view text, std::size_t at) const {
    char32_t before = next_char(text, at);
    while (at < text.size()) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if ((before | byte) < 128) {
        if (pairs_.parts_ascii(static_cast<unsigned char>(before), byte)) return at;
        before = byte, ++at;
        continue;
      }
      std::size_t next = at;
      const char32_t c = next_char(text, next);
      if (pairs_.parts(before, c)) return at;
      before = c, at = next;
    }
    return at;
  }

  void cut(std::string_view word, std::vector<TokenId>& ids) const {
    static thread_local std::string marked;
    marked.clear();
    for (const char c : word) {
      if (c == ' ')
        marked += kJoint;
      else
        marked += c;
    }
    append_ids(model_, marked, ids);
    if (marked.capacity() > kMostKept) marked = {};
  }

  static constexpr std::size_t kMostKept = std::size_t{1} << 16;  // bytes that a thread keeps for the next text

  const Model& model_;
  JointShape shape_;
  JointPairs pairs_;
};

bool is_blank_pattern(const Json& step) {
  const auto pattern = step.find("pattern");
  return pattern != step.end() && *pattern == Json{{"String", " "}};
}

/// What a file's normalizer does; none if it does anything else.
struct JointNormalizer {
  bool known = true, prepends = false, replaces = false;
};

JointNormalizer joint_normalizer(const Json& normalizer) {
  JointNormalizer out;
  if (normalizer.is_null()) return out;
  const Json one = is_step(normalizer, "Sequence") ? normalizer.at("normalizers") : Json::array({normalizer});
  for (const auto& step : one) {
    const bool prepend = is_step(step, "Prepend") && step.at("prepend") == kJoint && !out.prepends;
    const bool replace = is_step(step, "Replace") && is_blank_pattern(step) && step.at("content") == kJoint;
    out.known = out.known && (prepend || replace);
    out.prepends = out.prepends || prepend, out.replaces = out.replaces || replace;
  }
  return out;
}

// No blank is left for this step to cut at.
bool is_idle_split(const Json& step) {
  return step.is_null() || (is_step(step, "Split") && is_blank_pattern(step) &&
                            step.at("behavior") == "MergedWithPrevious" && step.at("invert") == false);
}

std::optional<JointShape> joint_shape(const FastParts& parts) {
  const auto normalizer = joint_normalizer(parts.normalizer);
  if (!normalizer.known) return std::nullopt;
  JointShape out;
  if (is_step(parts.pre_tokenizer, "Metaspace")) {
    const Entry entry(parts.pre_tokenizer, "pre_tokenizer");
    if (entry.text("replacement") != kJoint) return std::nullopt;
    const std::string scheme = entry.text("prepend_scheme", "always");
    out.prefix = scheme == "always"  ? JointPrefix::unless_marked
                 : scheme == "first" ? JointPrefix::unless_marked_at_start
                                     : JointPrefix::none;
    out.cuts = entry.flag("split", true);
  } else if (!normalizer.replaces || !is_idle_split(parts.pre_tokenizer)) {
    return std::nullopt;
  }
  if (normalizer.prepends) out.prefix = JointPrefix::always;
  return out;
}

}  // namespace

std::unique_ptr<const FastIds> make_fast_joint(const FastParts& parts) {
  if (parts.model.joint() != kJoint) return nullptr;
  const auto shape = joint_shape(parts);
  return shape ? std::make_unique<JointIds>(parts.model, *shape) : nullptr;
}

}  // namespace xp::pipeline
