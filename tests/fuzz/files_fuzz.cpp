// Feeds damaged files of other tools to their readers: no input may crash one, hang it or make it say anything but an
// Error of unreadable data. The first byte says which reader. With -DXP_LIBFUZZER and clang this is a libFuzzer
// target; otherwise a loop that mutates the files of a folder (tests/golden/files) for some seconds:
//   files_fuzz FOLDER SECONDS [SEED]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "../scratch.h"
#include "base/error.h"
#include "base/file.h"
#include "kit/files/e5s1.h"
#include "kit/files/gguf_tokenizer.h"
#include "kit/files/rank_files.h"
#include "kit/files/sentencepiece_model.h"
#include "kit/files/tensor_files.h"
#include "kit/files/word_vectors.h"

namespace {

namespace fs = std::filesystem;

struct Reader {
  const char* name;  // of the file it reads
  std::function<void(const fs::path&)> read;
};

void read_gguf(const fs::path& path) {
  const xp::GgufFile file(path);
  std::vector<float> numbers;
  for (const auto& [name, tensor] : file.tensors()) {
    numbers.resize(tensor.count);
    xp::dequantise(tensor.type, tensor.data.data(), tensor.count, numbers.data());
  }
  xp::gguf_tokenizer_json(file);
}

void read_vectors(const fs::path& path) {
  const xp::WordVectors vectors(path);
  std::vector<float> numbers(vectors.width());
  for (std::size_t i = 0; i < std::min<std::size_t>(vectors.size(), 1000); ++i) vectors.copy(i, numbers.data());
  vectors.vector("Wörter", numbers.data());
}

void touch(const xp::TensorFiles& files) {
  unsigned sum = 0;
  for (const auto& [name, tensor] : files.tensors())
    for (std::size_t i = 0; i < tensor.size; ++i) sum += std::to_integer<unsigned>(tensor.data[i]);
  if (sum == 1) std::puts("");  // so that the bytes are read
}

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all{
      {"m.safetensors", [](const fs::path& path) { touch(xp::TensorFiles(path)); }},
      {"m.safetensors.index.json", [](const fs::path& path) { touch(xp::TensorFiles(path)); }},
      {"m.gguf", read_gguf},
      {"m.e5s1", [](const fs::path& path) { xp::E5s1File{path}; }},
      {"m.model",
       [](const fs::path& path) { xp::sentencepiece_tokenizer_json(xp::read_sentencepiece(path), path.string()); }},
      {"m.tiktoken", [](const fs::path& path) { xp::tiktoken_tokenizer_json(path, "cl100k_base"); }},
      {"tekken.json", [](const fs::path& path) { xp::tekken_tokenizer_json(path); }},
      {"m.vec", read_vectors}};
  return all;
}

void feed(const std::string& bytes) {
  static const xp::Scratch scratch;
  if (bytes.empty()) return;
  const auto& reader = readers()[static_cast<unsigned char>(bytes[0]) % readers().size()];
  const auto file = scratch / reader.name;
  if (FILE* out = std::fopen(file.c_str(), "wb")) {
    std::fwrite(bytes.data() + 1, 1, bytes.size() - 1, out);
    std::fclose(out);
  }
  try {
    reader.read(file);
  } catch (const xp::Error& error) {
    if (error.exit() != xp::Exit::data) std::abort();
  }
}

}  // namespace

#ifdef XP_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  feed(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}

#else

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); }

// Which reader a file of the folder is for; -1: none.
int reader_of(const fs::path& path) {
  const auto name = path.filename().string();
  if (name == "tekken.json") return 6;
  const auto ending = path.extension().string();
  if (ending == ".safetensors") return 0;
  if (ending == ".gguf") return 2;
  if (ending == ".model") return 4;
  if (ending == ".tiktoken") return 5;
  if (ending == ".bin" || ending == ".ftz" || ending == ".vec" || ending == ".txt") return 7;
  return -1;
}

// What no file of the folder has.
std::vector<std::string> seeds() {
  std::string e5s1 = "E5S1";
  const auto number = [&](auto value) { e5s1.append(reinterpret_cast<const char*>(&value), sizeof value); };
  for (const int n : {1, 32, 1, 2, 64, 6, 16, 1}) number(n);
  number(1e-12f);
  for (const int n : {32, 2, 0, 1, 0, 1}) number(n);
  number(std::uint64_t{2});
  for (const unsigned n : {0u, 1u, 2u}) number(n);
  for (const float n : {0.0f, -1.0f}) number(n);
  e5s1 += "ab";
  for (const int n : {0, 0, 1}) number(n);
  number(std::uint16_t{1});
  e5s1 += "b";
  e5s1 += '\0';
  number(std::uint32_t{1});
  number(static_cast<std::uint64_t>(e5s1.size() + 16));
  number(std::uint64_t{4});
  number(0.5f);
  return {std::string(1, '\3') + e5s1,
          std::string(1, '\1') +
              R"({"metadata":{"total_size":8},"weight_map":{"a":"m.safetensors","b":"n.safetensors"}})"};
}

// Sizes and words that a blind mutation would hardly find.
const std::vector<std::string> kPieces{std::string(8, '\xff'),
                                       std::string(7, '\0') + "\x80",
                                       std::string("\0\0\0\0\0\0\0\x40", 8),
                                       std::string("\1\0\0\0", 4),
                                       std::string(4, '\0'),
                                       "[[[[[[[[",
                                       "{\"a\":",
                                       "\"data_offsets\":[0,0]",
                                       "F8_E5M2",
                                       "tokenizer.ggml.model",
                                       "llama",
                                       "general.alignment",
                                       " ",
                                       "\n",
                                       "1e999",
                                       "nan"};

std::string mutate(std::string text, const std::vector<std::string>& corpus, Random& random) {
  const auto times = 1 + below(random, 6);
  for (std::size_t i = 0; i < times; ++i) {
    // Most of what can be wrong stands near the beginning.
    const auto room = below(random, 2) == 0 ? std::min<std::size_t>(text.size(), 400) : text.size();
    const auto at = 1 + below(random, std::max<std::size_t>(room, 1));
    if (at > text.size()) continue;
    const auto length = std::min(below(random, 24), text.size() - at);
    const auto& piece = kPieces[below(random, kPieces.size())];
    switch (below(random, 7)) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, piece); break;
      case 2: text.replace(at, std::min(piece.size(), text.size() - at), piece); break;
      case 3: text.insert(1 + below(random, text.size()), text.substr(at, length)); break;
      case 4: text.resize(at); break;
      case 5: {
        const auto& other = corpus[below(random, corpus.size())];
        text.insert(at, other.substr(below(random, other.size()), below(random, 100)));
        break;
      }
      default:
        if (at < text.size()) text[at] = static_cast<char>(random());
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: files_fuzz FOLDER SECONDS [SEED]\n"), 2;
  auto corpus = seeds();
  for (const auto& entry : fs::recursive_directory_iterator(argv[1]))
    if (const int reader = entry.is_regular_file() ? reader_of(entry.path()) : -1; reader >= 0)
      corpus.push_back(static_cast<char>(reader) + xp::read_file(entry.path()));
  std::sort(corpus.begin(), corpus.end());
  if (corpus.size() < 3) return std::fprintf(stderr, "no file of a known kind below %s\n", argv[1]), 2;
  const auto seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  Random random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  std::size_t runs = 0;
  // What crashes is left in the working folder.
  const std::string kept = "files_fuzz_last";
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const auto input = mutate(corpus[below(random, corpus.size())], corpus, random);
    if (FILE* out = std::fopen(kept.c_str(), "wb")) {
      std::fwrite(input.data(), 1, input.size(), out);
      std::fclose(out);
    }
    const auto start = std::chrono::steady_clock::now();
    feed(input);
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(20))
      return std::fprintf(stderr, "%s hangs\n", kept.c_str()), 1;
  }
  fs::remove(kept);
  std::printf("%zu files, seed %llu\n", runs, static_cast<unsigned long long>(seed));
  return runs > 0 ? 0 : 1;
}

#endif
