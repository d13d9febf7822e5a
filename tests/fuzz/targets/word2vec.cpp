// word2vec's binary files.
#include "vectors_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("w.bin");
  const auto& path = input.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("w.bin", [&] { xp::fuzz::use(xp::WordVectors(path, xp::VectorFormat::word2vec_binary)); });
  return 0;
}
