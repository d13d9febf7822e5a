// fastText's .bin and .ftz: words, n-grams, quantised rows.
#include "vectors_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.bin");
  const auto& path = input.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("m.bin", [&] { xp::fuzz::use(xp::WordVectors(path, xp::VectorFormat::fasttext)); });
  return 0;
}
