// E5S1: header, pieces, and every tensor's numbers.
#include "kit/files/e5s1.h"

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.e5s1");
  const auto& path = input.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("m.e5s1", [&] {
    const xp::E5s1File file(path);
    std::vector<float> numbers;
    for (const auto& [name, tensor] : file.tensors()) {
      numbers.resize(tensor.count);
      xp::dequantise(tensor.type, tensor.data.data(), tensor.count, numbers.data());
    }
    if (file.pieces().size() != file.scores().size()) xp::fuzz::finding("pieces without scores");
  });
  return 0;
}
