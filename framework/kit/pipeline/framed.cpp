#include "kit/pipeline/framed.h"

#include <algorithm>

namespace xp::pipeline {
namespace {

template <class Value>
void insert_values(std::vector<Value>& to, bool front, std::size_t n, const Value& value) {
  to.insert(front ? to.begin() : to.end(), n, value);
}

template <class Value>
void append_values(std::vector<Value>& to, const std::vector<Value>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class Value>
void keep_values(std::vector<Value>& values, std::size_t n, bool first) {
  if (values.size() <= n) return;
  if (!first) std::move(values.end() - static_cast<std::ptrdiff_t>(n), values.end(), values.begin());
  values.resize(n);
}

}  // namespace

void FramePart::set_range(std::int32_t sequence, std::uint32_t begin, std::uint32_t end) {
  const auto same = [&](const Range& range) { return range.sequence == sequence; };
  const auto found = std::find_if(ranges.begin(), ranges.end(), same);
  if (found == ranges.end()) {
    ranges.push_back({sequence, begin, end});
  } else {
    *found = {sequence, begin, end};
  }
}

void FramePart::insert(bool front, std::size_t n, TokenId id, std::int32_t type, bool attended) {
  insert_values(ids, front, n, id);
  insert_values(offsets, front, n, TextSpan{});
  insert_values(words, front, n, std::int32_t{-1});
  insert_values(types, front, n, type);
  insert_values(attention, front, n, static_cast<std::uint8_t>(attended));
  insert_values(special, front, n, std::uint8_t{1});
  if (!blanks.empty()) insert_values(blanks, front, n, TokenBlanks{});
  const auto shift = static_cast<std::uint32_t>(front ? n : 0);
  for (auto& range : ranges) range.begin += shift, range.end += shift;
}

void FramePart::append(const FramePart& other) {
  const auto before = static_cast<std::uint32_t>(ids.size());
  append_values(ids, other.ids);
  append_values(offsets, other.offsets);
  append_values(words, other.words);
  append_values(types, other.types);
  append_values(attention, other.attention);
  append_values(special, other.special);
  for (const auto& range : other.ranges) set_range(range.sequence, before + range.begin, before + range.end);
}

void FramePart::keep(std::size_t n, bool first) {
  keep_values(ids, n, first);
  keep_values(offsets, n, first);
  keep_values(words, n, first);
  keep_values(types, n, first);
  keep_values(attention, n, first);
  keep_values(special, n, first);
  keep_values(blanks, n, first);
  ranges.clear();
}

void FramePart::finish() {
  sequences.assign(ids.size(), -1);
  const std::size_t texts = std::max<std::size_t>(1, ranges.size());
  for (std::size_t sequence = 0; sequence < texts; ++sequence) {
    Range range{static_cast<std::int32_t>(sequence), 0, static_cast<std::uint32_t>(ids.size())};
    for (const auto& one : ranges)
      if (one.sequence == range.sequence) range = one;
    std::fill(sequences.begin() + range.begin, sequences.begin() + range.end, range.sequence);
  }
}

}  // namespace xp::pipeline
