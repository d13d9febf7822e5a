#include "kit/pipeline/lengths.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

constexpr std::int64_t kMostPadding = std::int64_t{1} << 24;  // tokens; a file must not ask for any amount of memory

std::int64_t read_size(const Entry& entry, const char* key, std::int64_t most) {
  const auto value = entry.number(key);
  if (value < 0 || value > most)
    entry.at(key).refuse(std::to_string(value) + " is no number of tokens from 0 to " + std::to_string(most));
  return value;
}

bool read_left(const Entry& entry) {
  const std::string direction = entry.text("direction");
  if (direction != "Left" && direction != "Right")
    entry.at("direction").refuse(backquoted(printable(direction)) + " is neither `Left` nor `Right`");
  return direction == "Left";
}

void shorten(FramePart& part, std::size_t n, const Truncation& to) {
  if (n >= part.size()) return;
  if (n > 0 && to.stride >= n)
    throw Error("truncation: a stride of " + std::to_string(to.stride) + " needs more than the " + count(n, "token") +
                    " that a text may keep",
                Exit::data);
  part.keep(n, !to.left);
}

// Takes from the longer text first; if that is not enough, both keep half.
void shorten_longest(FramePart& first, FramePart& second, std::size_t most, const Truncation& to) {
  std::size_t shorter = std::min(first.size(), second.size());
  std::size_t longer = shorter > most ? shorter : std::max(shorter, most - shorter);
  if (shorter + longer > most) shorter = most / 2, longer = shorter + most % 2;
  const bool swapped = first.size() > second.size();
  shorten(first, swapped ? longer : shorter, to);
  shorten(second, swapped ? shorter : longer, to);
}

}  // namespace

std::optional<Truncation> read_truncation(const Entry& entry) {
  if (entry.is_null()) return std::nullopt;
  Truncation out;
  out.left = entry.contains("direction") && read_left(entry);
  out.max_length = static_cast<std::uint64_t>(read_size(entry, "max_length", INT64_MAX));
  out.stride = static_cast<std::uint64_t>(read_size(entry, "stride", INT64_MAX));
  const std::string strategy = entry.text("strategy");
  if (strategy == "OnlyFirst") {
    out.strategy = Truncation::Strategy::only_first;
  } else if (strategy == "OnlySecond") {
    out.strategy = Truncation::Strategy::only_second;
  } else if (strategy != "LongestFirst") {
    entry.at("strategy")
        .refuse(backquoted(printable(strategy)) + " is not known; there are LongestFirst, OnlyFirst and OnlySecond");
  }
  return out;
}

void truncate(std::vector<FramePart>& parts, const Truncation& to, std::size_t added) {
  if (to.max_length < added)
    throw Error("truncation: max_length " + std::to_string(to.max_length) + " is less than the " +
                    count(added, "token") + " that post-processing adds",
                Exit::data);
  const std::uint64_t most = to.max_length - added;
  std::size_t total = 0;
  for (const auto& part : parts) total += part.size();
  if (total <= most) return;
  if (most == 0) {
    for (auto& part : parts) part.keep(0, true);
    return;
  }
  if (to.strategy == Truncation::Strategy::longest_first) {
    if (parts.size() == 2) return shorten_longest(parts[0], parts[1], most, to);
    return shorten(parts[0], most, to);
  }
  const std::size_t which = to.strategy == Truncation::Strategy::only_first ? 0 : 1;
  const std::size_t excess = total - most;
  if (which >= parts.size())
    throw Error("truncation: the strategy is OnlySecond, but there is no second text to shorten", Exit::data);
  if (parts[which].size() <= excess)
    throw Error("truncation: " + count(total, "token") + " do not fit into " + std::to_string(most) + ", and the " +
                    (which == 0 ? "first" : "second") + " text alone, which may be shortened, has only " +
                    std::to_string(parts[which].size()),
                Exit::data);
  shorten(parts[which], parts[which].size() - excess, to);
}

std::optional<Padding> read_padding(const Entry& entry) {
  if (entry.is_null()) return std::nullopt;
  Padding out;
  out.left = read_left(entry);
  const Entry strategy = entry.at("strategy");
  if (strategy.json().is_object()) {
    out.fixed = static_cast<std::size_t>(read_size(strategy, "Fixed", kMostPadding));
  } else if (strategy.json() != "BatchLongest") {
    strategy.refuse("`BatchLongest` or { Fixed: number of tokens } is expected");
  }
  if (entry.has("pad_to_multiple_of"))
    out.multiple = static_cast<std::size_t>(read_size(entry, "pad_to_multiple_of", kMostPadding));
  const auto id = entry.number("pad_id"), type = entry.number("pad_type_id");
  if (id < 0 || id >= INT32_MAX) entry.at("pad_id").refuse(std::to_string(id) + " is no id from 0 to 2^31 - 2");
  if (type < 0 || type > INT32_MAX) entry.at("pad_type_id").refuse(std::to_string(type) + " is no segment id");
  entry.text("pad_token");
  out.id = static_cast<TokenId>(id), out.type = static_cast<std::int32_t>(type);
  return out;
}

std::size_t padded_length(const Padding& padding, std::size_t longest) {
  std::size_t out = padding.fixed.value_or(longest);
  if (padding.multiple > 0 && out % padding.multiple > 0) out += padding.multiple - out % padding.multiple;
  return out;
}

}  // namespace xp::pipeline
