#pragma once
// The parts of a Pipeline, shared by its source files.
#include "kit/pipeline/added_tokens.h"
#include "kit/pipeline/decoder.h"
#include "kit/pipeline/fast_ids.h"
#include "kit/pipeline/lengths.h"
#include "kit/pipeline/model.h"
#include "kit/pipeline/pipeline.h"
#include "kit/pipeline/post_processor.h"

namespace xp::pipeline {

/// The tokens of one text, before post-processing.
struct Run {
  bool want_blanks = false;             ///< to fill in `blanks`
  std::vector<TokenId>* ids = nullptr;  ///< to get the ids alone, and nothing below
  std::vector<Token> tokens;
  std::vector<TokenBlanks> blanks;
  std::uint32_t words = 0;
};

/// The way back from a repaired text to the broken one.
class RepairedText {
 public:
  explicit RepairedText(std::string_view given);
  std::string_view text() const { return repaired_ ? std::string_view(*repaired_) : given_; }
  std::uint32_t original(std::uint32_t at) const;
  bool is_same() const { return !repaired_; }

 private:
  struct Patch {
    std::uint32_t at, begin, end;  // in the repaired text; of the broken sequence
  };
  std::string_view given_;
  std::optional<std::string> repaired_;
  std::vector<Patch> patches_;
};

struct PipelineParts {
  std::string file;
  std::unique_ptr<const Normalizer> normalizer;
  std::unique_ptr<const PreTokenizer> pre_tokenizer;
  std::unique_ptr<const Model> model;
  std::unique_ptr<const AddedTokens> added;
  std::unique_ptr<const PostProcessor> post_processor;
  std::unique_ptr<const Decoder> decoder;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  /// What post-processing puts around one text, unless it does more than that.
  std::optional<FrameEnds> ends;
  Purposes purposes;
  std::map<TokenId, std::string> purpose_of;
  Spelling spelling;
  bool normalizer_marks = false;  ///< it writes marks of its own and is no use for the text of one token
  mutable WordCache cache;
  std::unique_ptr<const FastIds> fast;  ///< null: the steps one by one
  std::uint64_t number = 0;             ///< of this pipeline in this process, for caches of threads

  /// `text` must be valid UTF-8.
  void run(std::string_view text, Run& out) const;
  /// The ids alone, where `fast` is there.
  void run_fast(std::string_view text, std::vector<TokenId>& out) const;
  void cut(std::string_view word, std::vector<CutPiece>& out) const;
  void cut_part(std::string_view word, std::vector<CutPiece>& out) const;
  FramePart part(const RepairedText& text, std::int32_t sequence) const;
  /// The text's tokens with the offsets that post-processing gives them.
  std::vector<Token> trimmed(const RepairedText& text) const;
  FramePart frame(std::string_view text, std::optional<std::string_view> second, bool special) const;
  void pad(FramePart& part, std::size_t longest) const;

 private:
  void stretch(std::string_view text, const AddedMatch& part, Run& out) const;
  void words(Words words, std::uint32_t base, Run& out) const;
  void put(TokenId id, TextSpan from, std::string_view shown, Run& out) const;
};

/// The purposes of a file's tokens: `given` ones first, then those of `special`.
Purposes find_purposes(Purposes given, const SpecialTokens& special, const PipelineParts& parts);

}  // namespace xp::pipeline
