// From a text to its tokens: added tokens, normalising, words, pieces, and what stands around them.
#include <algorithm>
#include <utility>

#include "kit/pipeline/pipeline_impl.h"

namespace xp::pipeline {
namespace {

bool is_blank(char32_t c) { return c == 0x120 || is_white_space(c); }  // U+0120 is a byte-level space

bool is_inner_byte(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

TokenBlanks blanks_of(std::string_view text) {
  TokenBlanks out;
  std::uint32_t run = 0;
  bool leading = true;
  for (std::size_t at = 0; at < text.size();) {
    const bool blank = is_blank(next_char(text, at));
    run = blank ? run + 1 : 0;
    leading = leading && blank;
    if (leading) ++out.leading;
  }
  out.trailing = run;
  return out;
}

}  // namespace

void PipelineParts::put(TokenId id, TextSpan from, std::string_view shown, Run& out) const {
  if (out.ids != nullptr) return out.ids->push_back(id);
  out.tokens.push_back({id, from.begin, from.end, out.words});
  if (out.want_blanks) out.blanks.push_back(blanks_of(shown));
}

namespace {

// The caches of the pipelines that a thread used last.
IdCache& cache_of(std::uint64_t pipeline) {
  constexpr std::size_t kMost = 4;
  static thread_local std::vector<std::pair<std::uint64_t, std::unique_ptr<IdCache>>> caches;
  auto found = std::find_if(caches.begin(), caches.end(), [&](const auto& one) { return one.first == pipeline; });
  if (found == caches.end()) {
    if (caches.size() == kMost) caches.pop_back();
    found = caches.emplace(caches.end(), pipeline, std::make_unique<IdCache>());
  }
  std::rotate(caches.begin(), found, found + 1);
  return *caches.front().second;
}

}  // namespace

void PipelineParts::run_fast(std::string_view text, std::vector<TokenId>& out) const {
  auto& cache = cache_of(number);
  std::vector<AddedMatch> parts, inner;
  added->split(text, false, parts);
  for (const auto& part : parts) {
    if (part.token != nullptr) {
      out.push_back(part.token->id);
      continue;
    }
    const auto stretch = text.substr(part.begin, part.end - part.begin);
    inner.clear();
    added->split(stretch, true, inner);
    for (const auto& one : inner) {
      if (one.token != nullptr)
        out.push_back(one.token->id);
      else
        fast->append(stretch.substr(one.begin, one.end - one.begin), part.begin + one.begin == 0, cache, out);
    }
  }
}

void PipelineParts::run(std::string_view text, Run& out) const {
  if (fast && out.ids != nullptr) return run_fast(text, *out.ids);
  std::vector<AddedMatch> parts;
  added->split(text, false, parts);
  for (const auto& part : parts) {
    if (part.token == nullptr) {
      stretch(text, part, out);
    } else {
      put(part.token->id, {part.begin, part.end}, text.substr(part.begin, part.end - part.begin), out);
      ++out.words;
    }
  }
}

void PipelineParts::stretch(std::string_view text, const AddedMatch& part, Run& out) const {
  AlignedText aligned(text.substr(part.begin, part.end - part.begin));
  if (normalizer) normalizer->apply(aligned);
  std::vector<AddedMatch> parts;
  added->split(aligned.text(), true, parts);
  // What a normaliser took from the front is not part of the stretch any more: it does not begin the input then.
  if (parts.size() == 1 && parts.front().token == nullptr) {
    const TextSpan whole{0, parts.front().end};
    const bool at_start = part.begin == 0 && aligned.original(whole.begin, whole.end).begin == 0;
    return words({std::move(aligned), {whole}, at_start}, part.begin, out);
  }
  for (const auto& one : parts) {
    TextSpan from = aligned.original(one.begin, one.end);
    from.begin += part.begin, from.end += part.begin;
    if (one.token != nullptr) {
      put(one.token->id, from, std::string_view(aligned.text()).substr(one.begin, one.end - one.begin), out);
      ++out.words;
    } else {
      words({aligned.slice(one.begin, one.end), {{0, one.end - one.begin}}, from.begin == 0}, part.begin, out);
    }
  }
}

void PipelineParts::cut(std::string_view word, std::vector<CutPiece>& out) const {
  const std::string_view joint = model->joint();
  if (joint.empty()) return cut_part(word, out);
  // A text that no pre-tokenizer cut is one word; in parts, most of it is remembered.
  for (std::size_t begin = 0; begin < word.size();) {
    const auto joins = [&](std::size_t at) {
      return word.substr(0, at).ends_with(joint) || model->joins_behind(static_cast<unsigned char>(word[at - 1]));
    };
    std::size_t end = word.find(joint, begin + 1);
    while (end != word.npos && joins(end)) end = word.find(joint, end + 1);
    end = std::min(end, word.size());
    const std::size_t first = out.size();
    cut_part(word.substr(begin, end - begin), out);
    for (std::size_t i = first; i < out.size(); ++i) out[i].end += static_cast<std::uint32_t>(begin);
    begin = end;
  }
}

void PipelineParts::cut_part(std::string_view word, std::vector<CutPiece>& out) const {
  if (cache.find(word, out)) return;
  const std::size_t before = out.size();
  model->cut(word, out);
  cache.keep(word, out.data() + before, out.size() - before);
}

void PipelineParts::words(Words words, std::uint32_t base, Run& out) const {
  static thread_local std::vector<CutPiece> pieces;
  if (pre_tokenizer) pre_tokenizer->apply(words);
  const std::string_view text = words.text.text();
  for (const auto& span : words.spans) {
    if (span.begin == span.end) continue;
    const auto word = text.substr(span.begin, span.end - span.begin);
    pieces.clear();
    cut(word, pieces);
    if (out.ids != nullptr) {
      for (const auto& piece : pieces) out.ids->push_back(piece.id);
      continue;
    }
    std::uint32_t begin = 0, end = 0;
    for (const auto& piece : pieces) {
      if (piece.end != end) begin = end, end = piece.end;
      TextSpan from{begin, end};  // what the library gives a piece that ends behind its word
      if (end <= word.size()) {
        // A byte of a character stands for all of it.
        std::uint32_t first = span.begin + begin, last = span.begin + end;
        while (first > span.begin && is_inner_byte(text[first])) --first;
        while (last < span.end && is_inner_byte(text[last])) ++last;
        from = words.text.original(first, last);
        from.begin += base, from.end += base;
      }
      std::string_view shown;
      if (out.want_blanks)
        shown = model->shown(piece.id, word.substr(std::min<std::size_t>(begin, word.size()), end - begin));
      put(piece.id, from, shown, out);
    }
    ++out.words;
  }
}

FramePart PipelineParts::part(const RepairedText& text, std::int32_t sequence) const {
  Run run;
  run.want_blanks = post_processor && post_processor->trims();
  this->run(text.text(), run);
  FramePart out;
  out.text = text.text();
  const std::size_t n = run.tokens.size();
  out.ids.reserve(n), out.offsets.reserve(n), out.words.reserve(n);
  for (const auto& token : run.tokens) {
    out.ids.push_back(token.id);
    out.offsets.push_back({token.begin, token.end});
    out.words.push_back(static_cast<std::int32_t>(token.word));
  }
  out.types.assign(n, sequence), out.attention.assign(n, 1), out.special.assign(n, 0);
  out.blanks = std::move(run.blanks);
  return out;
}

FramePart PipelineParts::frame(std::string_view text, std::optional<std::string_view> second, bool special) const {
  const RepairedText first(text);
  const RepairedText other(second.value_or(""));
  std::vector<FramePart> parts;
  parts.push_back(part(first, 0));
  if (second) parts.push_back(part(other, 1));
  if (truncation) {
    const std::size_t more = special && post_processor ? post_processor->added(second.has_value()) : 0;
    truncate(parts, *truncation, more);
  }
  if (post_processor || second)
    for (std::size_t i = 0; i < parts.size(); ++i)
      parts[i].set_range(static_cast<std::int32_t>(i), 0, static_cast<std::uint32_t>(parts[i].size()));
  if (post_processor) post_processor->apply(parts, special);
  FramePart out;
  for (auto& one : parts) {
    // Parts without a text of their own have empty offsets at 0, which every text maps to 0.
    const RepairedText& from = one.text.data() == other.text().data() && second ? other : first;
    if (!from.is_same())
      for (auto& span : one.offsets) span = {from.original(span.begin), from.original(span.end)};
    out.append(one);
  }
  return out;
}

std::vector<Token> PipelineParts::trimmed(const RepairedText& text) const {
  std::vector<FramePart> parts;
  parts.push_back(part(text, 0));
  post_processor->apply(parts, false);
  std::vector<Token> out;
  for (const auto& one : parts)
    for (std::size_t i = 0; i < one.size(); ++i)
      out.push_back({one.ids[i], one.offsets[i].begin, one.offsets[i].end, static_cast<std::uint32_t>(one.words[i])});
  return out;
}

void PipelineParts::pad(FramePart& part, std::size_t longest) const {
  const std::size_t length = padded_length(*padding, longest);
  if (length > part.size()) part.insert(padding->left, length - part.size(), padding->id, padding->type, false);
}

}  // namespace xp::pipeline
