// JSON as our readers take it: what is read is written and read again as the same.
#include "kit/files/strict_json.h"

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  xp::fuzz::read_or_refuse("m.json", [&] {
    const auto json = xp::parse_strict_json(xp::fuzz::text_of(data, size), "m.json");
    if (xp::parse_strict_json(json.dump(), "again") != json) xp::fuzz::finding("another value after writing");
  });
  return 0;
}
