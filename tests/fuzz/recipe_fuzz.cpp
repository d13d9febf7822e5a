// Feeds damaged recipes to resolve(): no input may crash it, hang it or leak. With -DXP_LIBFUZZER and clang this is a
// libFuzzer target; otherwise a loop that mutates the recipes below a folder for some seconds:
//   recipe_fuzz FOLDER SECONDS [SEED]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "../recipe/catalogue.h"
#include "../scratch.h"
#include "base/file.h"
#include "recipe/plan.h"

namespace {

namespace fs = std::filesystem;

void feed(const std::string& bytes) {
  static const xp::Scratch scratch;
  static const xp::Catalogue catalogue = xp::small_catalogue();
  static bool first = true;
  if (first) {
    fs::create_directories(scratch / "data");
    xp::write_file(scratch / "data/en.txt", "One.\n");
    first = false;
  }
  const auto file = scratch / "r.toml";
  if (FILE* out = std::fopen(file.c_str(), "wb")) {
    std::fwrite(bytes.data(), 1, bytes.size(), out);
    std::fclose(out);
  }
  xp::ResolveOptions options;
  options.root = scratch.path();
  options.smoke = bytes.size() % 2 == 0;
  if (const auto line = bytes.substr(0, bytes.find('\n')); bytes.size() % 3 == 0) options.set = {line};
  xp::Problems problems;
  const auto plan = xp::resolve(file, catalogue, options, problems);
  if (plan.has_value() != (problems.errors() == 0)) std::abort();
  if (plan && xp::to_text(*plan).empty()) std::abort();
  problems.text();
  xp::Problems ignored;
  xp::origins(file, options, ignored);
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

// Pieces that a grammar-blind mutation would hardly find.
const std::vector<std::string> kPieces{"[[",
                                       "]]",
                                       "\"",
                                       "'''",
                                       "\"\"\"",
                                       "[*]",
                                       "{task}",
                                       " = ",
                                       "\n[stage.",
                                       "\n[arm.",
                                       "type = \"",
                                       "each = { task = [\"a\"] }\n",
                                       "extends = \"r.toml\"\n",
                                       "9223372036854775808",
                                       "1e999",
                                       "nan",
                                       "\\u0000",
                                       "\xff",
                                       "a.b.c.d.e.f",
                                       "..",
                                       "package:x/y",
                                       "hf:",
                                       "none",
                                       "expand = [{}]\n",
                                       "x0.25",
                                       "2024-01-01"};

std::string mutate(std::string text, const std::vector<std::string>& corpus, Random& random) {
  const auto times = 1 + below(random, 6);
  for (std::size_t i = 0; i < times; ++i) {
    const auto at = below(random, text.size() + 1);
    const auto length = std::min(below(random, 40), text.size() - at);
    switch (below(random, 6)) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, kPieces[below(random, kPieces.size())]); break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 3: text.insert(below(random, text.size() + 1), text.substr(at, length)); break;
      case 4: {
        const auto& other = corpus[below(random, corpus.size())];
        const auto from = below(random, other.size());
        text.insert(at, other.substr(from, below(random, 200)));
        break;
      }
      default: {  // swap two lines
        const auto a = text.rfind('\n', at), b = text.find('\n', at);
        if (a != std::string::npos && b != std::string::npos && a < b)
          text = text.substr(0, a) + text.substr(b) + text.substr(a, b - a);
      }
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: recipe_fuzz FOLDER SECONDS [SEED]\n"), 2;
  std::vector<std::string> corpus;
  for (const auto& entry : fs::recursive_directory_iterator(argv[1]))
    if (entry.path().extension() == ".toml") corpus.push_back(xp::read_file(entry.path()));
  std::sort(corpus.begin(), corpus.end());
  if (corpus.empty()) return std::fprintf(stderr, "no recipe below %s\n", argv[1]), 2;
  const auto seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  Random random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  std::size_t runs = 0;
  // What crashes is left in the working folder.
  const std::string kept = "recipe_fuzz_last.toml";
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
  std::printf("%zu recipes, seed %llu\n", runs, static_cast<unsigned long long>(seed));
  return runs > 0 ? 0 : 1;
}

#endif
