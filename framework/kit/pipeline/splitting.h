#pragma once
// What becomes of matches and what lies between them when a text is split.
#include <vector>

#include "kit/pipeline/steps.h"
#include "kit/unicode.h"

namespace xp::pipeline {

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// The text `key` of a step, or `otherwise` if it may be missing.
Behavior read_behavior(const Entry& step, const char* key);

/// Takes the pieces of one text in order and gives words; empty ones are dropped.
class Splitter {
 public:
  Splitter(Behavior behavior, std::uint32_t shift, std::vector<TextSpan>& words)
      : behavior_(behavior), shift_(shift), words_(words) {}

  void piece(std::size_t begin, std::size_t end, bool match) {
    switch (behavior_) {
      case Behavior::removed:
        if (!match) give(begin, end);
        break;
      case Behavior::isolated: give(begin, end); break;
      case Behavior::contiguous: join_or_open(match == previous_, begin, end); break;
      case Behavior::merged_with_previous: join_or_open(match && !previous_, begin, end); break;
      // The last of several matches in a row goes to what follows.
      case Behavior::merged_with_next: join_or_open(previous_ && !match, begin, end); break;
    }
    previous_ = match;
  }
  void finish() {
    if (open_) give(begin_, end_);
    open_ = false;
  }

 private:
  void give(std::size_t begin, std::size_t end) {
    if (begin < end)
      words_.push_back({shift_ + static_cast<std::uint32_t>(begin), shift_ + static_cast<std::uint32_t>(end)});
  }
  void join_or_open(bool joins, std::size_t begin, std::size_t end) {
    if (!joins || !open_) finish(), begin_ = begin;
    end_ = end, open_ = true;
  }

  Behavior behavior_;
  std::uint32_t shift_;
  std::vector<TextSpan>& words_;
  std::size_t begin_ = 0, end_ = 0;
  bool open_ = false, previous_ = false;
};

}  // namespace xp::pipeline
