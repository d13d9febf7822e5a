// Directories written again with other tables, and read by map.
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <fstream>

#include "kit/files/tensor_files.h"
#include "kit/tensors.h"
#include "models_fixture.h"
#include "testing/resident_pages.h"
#include "testing/tokenizer_checks.h"

namespace hugging_face_rewrite_test {

using namespace hugging_face_test;
using at::Tensor;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("hugging_face rewrites a directory with other tables and leaves the rest alone") {
  const auto name = GENERATE("bert", "gpt2", "llama", "llama_tied", "t5", "roberta", "clip_text", "clip");
  INFO(name);
  const Scratch scratch;
  Copy copy(name);
  fs::create_directories(copy.path / "1_Pooling");
  write_file(copy.path / "1_Pooling" / "config.json", "{}");
  write_file(copy.path / "README.md", "about");
  const auto read = format()->read(copy.path);
  Parameters tables;
  std::map<const void*, Tensor> made;
  for (Param i = 0; i < read.checkpoint->parameters.size(); ++i) {
    const auto& info = read.checkpoint->parameters.info[i];
    if (!info.role.starts_with("vocab.")) continue;
    tables.info.push_back(info);
    tables.values.push_back(read.checkpoint->parameters.values[i].narrow(0, 0, 30).clone());
  }
  const auto encoder = testing::fit(*testing::make_tokenizer("bytes"), {"abc"});
  format()->rewrite(scratch.path / "out", copy.path, tables, *encoder);
  const auto again = format()->read(scratch.path / "out");
  CHECK(again.tokenizer != nullptr);
  CHECK(fs::exists(scratch.path / "out" / "1_Pooling" / "config.json"));
  CHECK(read_file(scratch.path / "out" / "README.md") == "about");
  const TensorFiles before(copy.path), after(scratch.path / "out");
  CHECK(before.tensors().size() == after.tensors().size());
  std::size_t changed = 0;
  for (const auto& [tensor, bytes] : after.tensors()) {
    const auto& old = before.at(tensor);
    if (old.shape != bytes.shape) {
      ++changed;
      CHECK(bytes.shape.front() == 30);
    }
    // The first 30 rows are the old ones, and what is no table is the old tensor.
    CHECK(std::equal(bytes.data, bytes.data + bytes.size, old.data));
  }
  CHECK(changed >= 1);
  const auto config = nlohmann::json::parse(read_file(scratch.path / "out" / "config.json"));
  CHECK((config.contains("text_config") ? config.at("text_config") : config).at("vocab_size") == 30);
  CHECK_THROWS_WITH(format()->rewrite(scratch.path / "out", copy.path, tables, *encoder),
                    ContainsSubstring("is there already"));
}

/// A copy of a model whose vocabulary has so many rows, all zero; the file takes no place on the disk.
struct Large : Copy {
  explicit Large(std::int64_t rows) : Copy("bert_trunk") {
    config("vocab_size", rows);
    const auto small = read_file(path / "model.safetensors");
    std::uint64_t size = 0;
    std::memcpy(&size, small.data(), 8);
    auto header = nlohmann::json::parse(small.substr(8, size));
    std::uint64_t at = 0;
    for (auto& [name, one] : header.items()) {
      if (name == "__metadata__") continue;
      if (name == "embeddings.word_embeddings.weight") one["shape"][0] = rows;
      std::uint64_t bytes = 4;
      for (const auto& n : one["shape"]) bytes *= n.get<std::uint64_t>();
      one["data_offsets"] = {at, at + bytes};
      at += bytes;
    }
    auto text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // numbers lie at multiples of their size
    size = text.size();
    std::ofstream file(path / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), 8);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    fs::resize_file(path / "model.safetensors", 8 + text.size() + at);
  }
};

TEST_CASE("hugging_face maps a gigabyte of weights and reads none of it before it is used") {
  constexpr std::int64_t kRows = std::int64_t{1} << 24;  // of 16 numbers of 4 bytes: 1 GiB
  constexpr std::size_t kAround = 32;                    // pages that the kernel maps with one that is touched
  const Large large(kRows);
  struct rusage before {
  }, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto read = format()->read(large.path);
  const auto report = format()->report(large.path);
  const auto& parameters = read.checkpoint->parameters;
  std::size_t bytes = 0, pages = 0;
  for (const auto& value : parameters.values) {
    bytes += value.nbytes();
    pages += testing::resident_pages(value.const_data_ptr(), value.nbytes());
  }
  CHECK(bytes > std::size_t{1} << 30);
  CHECK(pages <= kAround);  // those that lie beside the header
  const auto& table = parameters.values[parameters.find("embedding.token")];
  REQUIRE(table.size(0) == kRows);
  const auto far = table.narrow(0, kRows / 2, kRows / 4);
  CHECK(testing::resident_pages(far.const_data_ptr(), far.nbytes()) == 0);
  CHECK(far[1000].sum().item<float>() == 0);
  const auto touched = testing::resident_pages(far.const_data_ptr(), far.nbytes());
  CHECK(touched >= 1);
  CHECK(touched <= kAround);
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 32 * 1024);  // KiB
}

TEST_CASE("hugging_face leaves ids in a configuration alone where the tokenizers agree on them") {
  const Scratch scratch;
  const Copy copy("llama");
  const auto before = testing::fit(*testing::make_tokenizer("bytes"), {"abc"});
  write_file(copy.path / "tokenizer.json", before->json());
  for (const char* key : {"bos_token_id", "pad_token_id"}) copy.config(key, nullptr);
  copy.config("eos_token_id", nlohmann::json::array({2, 7}));
  const auto read = format()->read(copy.path);
  REQUIRE(read.tokenizer);
  Parameters tables;
  for (Param i = 0; i < read.checkpoint->parameters.size(); ++i)
    if (const auto& info = read.checkpoint->parameters.info[i]; info.role.starts_with("vocab."))
      tables.info.push_back(info), tables.values.push_back(read.checkpoint->parameters.values[i]);
  format()->rewrite(scratch.path / "out", copy.path, tables, *read.tokenizer);
  CHECK(nlohmann::json::parse(read_file(scratch.path / "out" / "config.json")) ==
        nlohmann::json::parse(read_file(copy.path / "config.json")));
}

}  // namespace hugging_face_rewrite_test
