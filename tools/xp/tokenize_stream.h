#pragma once
// `xp tokenize --json` of whole files: one JSON object per input, read and written in chunks.
#include <string>
#include <string_view>
#include <vector>

#include "kit/pipeline/pipeline.h"

namespace xp::program {

struct StreamOptions {
  bool jsonl = false;                        ///< inputs are lines of JSON instead of lines of text
  bool special = true;                       ///< with the tokens of post-processing
  bool decode = false;                       ///< with the text that the ids give again
  std::int64_t threads = 0;                  ///< 0: one per core
  std::size_t chunk = std::size_t{1} << 23;  ///< bytes that are read before work starts
};

/// Tokenizes the inputs of files (also .zst, .gz; "-": standard input) in order and prints their objects. Throws
/// Error (Exit::data) naming file and line for what cannot be read; what came before is printed.
void tokenize_stream(const pipeline::Pipeline& pipeline, const std::vector<std::string>& files,
                     const StreamOptions& options);

/// "warning: PLACE: invalid UTF-8 at byte 4 and 2 more places" and a line end, or nothing if the text is UTF-8.
std::string invalid_utf8_warning(std::string_view text, const std::string& place);

}  // namespace xp::program
