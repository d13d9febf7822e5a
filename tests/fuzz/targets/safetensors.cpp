// One file of safetensors: its header, then every byte of every tensor.
#include "kit/safetensors.h"

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile file("m.safetensors");
  const auto& path = file.holding(xp::fuzz::text_of(data, size));
  xp::fuzz::read_or_refuse("m.safetensors", [&] {
    const xp::SafetensorsFile tensors(path);
    std::size_t sum = 0;
    for (const auto& [name, tensor] : tensors.tensors())
      for (std::size_t i = 0; i < tensor.size; ++i) sum += std::to_integer<std::size_t>(tensor.data[i]);
    if (sum > 255 * size) xp::fuzz::finding("more bytes than the file has");
  });
  return 0;
}
