// The index of a sharded model beside two shards.
#include "json_mutator.h"
#include "kit/files/tensor_files.h"
#include "target.h"

XP_FUZZ_JSON("weight_map", "metadata", "total_size", "a.safetensors", "b.safetensors", "../a.safetensors",
             "/etc/a.safetensors", "a", "b", "c.safetensors")

namespace {

struct Folder {
  xp::Scratch scratch;
  Folder() {
    const float numbers[2] = {1, 2};
    const xp::TensorBytes bytes{"F32", {2}, reinterpret_cast<const std::byte*>(numbers), sizeof numbers};
    xp::write_safetensors(scratch / "a.safetensors", {{"a", bytes}, {"c", bytes}});
    xp::write_safetensors(scratch / "b.safetensors", {{"b", bytes}});
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const Folder folder;
  const auto path = folder.scratch / "model.safetensors.index.json";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  xp::fuzz::read_or_refuse("safetensors", [&] {
    const xp::TensorFiles files(path);
    for (const auto& file : files.files())
      if (file.tensors().empty()) xp::fuzz::finding("a shard that is none of the two");
    if (files.tensors().size() > 3) xp::fuzz::finding("more tensors than the shards have");
  });
  return 0;
}
