#pragma once
// Normalisation forms by Unicode 9, with the places that the tokenizers library gives to what comes out.
#include "kit/unicode.h"

namespace xp::pipeline {

enum class Form { nfc, nfd, nfkc, nfkd };

void normalise(AlignedText& text, Form form);

/// Writes characters with the library's notion of where they come from: each says how many characters of the old text
/// it takes.
class Replay {
 public:
  explicit Replay(AlignedText& text) : text_(text), edit_(text) {}

  AlignedText::Editor& edit() { return edit_; }
  /// `change` 1: a further character for the one before; 0: in place of the next one; -n: the same, and the n behind
  /// it are left out.
  void put(char32_t c, int change);
  void keep(std::size_t end) { edit_.keep(end), known_ = false; }
  void skip_characters(int n);

 private:
  TextSpan take();

  AlignedText& text_;
  AlignedText::Editor edit_;
  TextSpan last_;       // what the character before the editor's place stands for
  bool known_ = false;  // false: must be looked up
};

}  // namespace xp::pipeline
