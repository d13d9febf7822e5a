#pragma once
#include <string>

#include "program.h"

namespace xp::program {

/// "svg" "png" "pdf".
const std::vector<std::string>& picture_formats();

/// SVG text as a file of that format: itself, a PNG with two pixels for each of its own, or a PDF. The library for it
/// lies in a program of its own, xp-draw, since loading it takes longer than most verbs. Throws Error if this build
/// has none.
std::string drawn(const Program& program, const std::string& svg, const std::string& format);

}  // namespace xp::program
