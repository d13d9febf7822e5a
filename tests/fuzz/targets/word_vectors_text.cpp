// Word vectors as text, with or without a first line, and files whose kind must be found out.
#include "vectors_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.vec");
  const auto& path = input.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("m.vec", [&] { xp::fuzz::use(xp::WordVectors(path)); });
  return 0;
}
