#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>

#include "api/format.h"
#include "base/file.h"
#include "testing/testing.h"

namespace e5s1_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// An encoder of width 4 with one layer, 3 tokens, 5 positions and one type; its floats count up from one tensor to
/// the next.
class Small {
 public:
  Small() {
    add("emb.word", 12), add("emb.pos", 20), add("emb.type", 4), add("emb.ln.w", 4), add("emb.ln.b", 4);
    for (const auto* name : {"q", "k", "v", "ao"})
      add("l0." + std::string(name) + ".w", 16), add("l0." + std::string(name) + ".b", 4);
    add("l0.aln.w", 4), add("l0.aln.b", 4);
    add("l0.fi.w", 24), add("l0.fi.b", 6), add("l0.fo.w", 24), add("l0.fo.b", 4);
    add("l0.oln.w", 4), add("l0.oln.b", 4);
  }
  Small& resize(const std::string& name, std::uint32_t count) {
    for (auto& tensor : tensors_)
      if (tensor.name == name) tensor.count = count;
    return *this;
  }
  std::string all() const {
    std::string out = "E5S1";
    number(out, std::uint32_t{1});
    for (const std::int32_t n : {4, 1, 2, 6, 3, 5, 1}) number(out, n);
    number(out, 1e-12F), number(out, std::int32_t{32}), number(out, std::int32_t{3});
    for (const std::int32_t id : {0, 2, 1, 2}) number(out, id);
    number(out, std::uint64_t{3});
    for (const std::uint32_t offset : {0, 1, 2, 3}) number(out, offset);
    for (const float score : {0.0F, -1.0F, -2.0F}) number(out, score);
    out += "abc";
    number(out, std::int32_t{0}), number(out, std::uint32_t{0});  // of the normalizer
    number(out, static_cast<std::int32_t>(tensors_.size()));
    std::size_t place = out.size();
    for (const auto& tensor : tensors_) place += 2 + tensor.name.size() + 1 + 4 + 8 + 8;
    std::string data;
    float next = 0;
    for (const auto& tensor : tensors_) {
      number(out, static_cast<std::uint16_t>(tensor.name.size())), out += tensor.name;
      number(out, std::uint8_t{0}), number(out, tensor.count);
      number(out, std::uint64_t{place + data.size()}), number(out, std::uint64_t{4} * tensor.count);
      for (std::uint32_t i = 0; i < tensor.count; ++i) number(data, next++);
    }
    return out + data;
  }

 private:
  struct Tensor {
    std::string name;
    std::uint32_t count;
  };
  template <class T>
  static void number(std::string& to, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    to.append(bytes, sizeof value);
  }
  void add(const std::string& name, std::uint32_t count) { tensors_.push_back({name, count}); }
  std::vector<Tensor> tensors_;
};

struct Files {
  std::filesystem::path put(const std::string& bytes) const {
    write_file(scratch / "m.bin", bytes);
    return scratch / "m.bin";
  }
  testing::Scratch scratch;
  std::unique_ptr<Format> format = testing::registry().make<Format>({{"type", "e5s1"}});
};

TEST_CASE("e5s1: every tensor of the file is a parameter of an encoder, row by row") {
  const Files files;
  const auto path = files.put(Small().all());
  CHECK(files.format->recognises(path));
  const auto read = files.format->read(path);
  REQUIRE(read.checkpoint);
  CHECK_FALSE(read.tokenizer);
  CHECK(read.checkpoint->settings.at("heads") == Value(2));
  CHECK(read.checkpoint->settings.at("pooling") == Value("mean"));
  const auto& all = read.checkpoint->parameters;
  REQUIRE(all.size() == 21);
  const auto first = [&](const char* name) { return all.values[all.find(name)].flatten()[0].item<float>(); };
  CHECK(all.values[all.find("embedding.token")].sizes() == at::IntArrayRef{3, 4});
  CHECK(all.values[all.find("layer.0.ffn.down")].sizes() == at::IntArrayRef{4, 6});
  CHECK(all.values[all.find("embedding.token")][1][0].item<float>() == 4);
  CHECK(first("embedding.position") == 12);
  CHECK(first("layer.0.attention.query") == 44);
  CHECK(first("layer.0.attention.query.bias") == 60);
  CHECK(first("layer.0.ffn.norm.bias") == 194);
  CHECK(all.info[all.find("embedding.token")].role == "vocab.input");
  CHECK(files.format->report(path).tensors.size() == 21);
}

TEST_CASE("e5s1: the vocabulary alone is read at once, and the rest parameter by parameter, the same") {
  const Files files;
  const auto path = files.put(Small().all());
  const auto whole = files.format->read(path), part = files.format->read_vocabulary(path);
  REQUIRE(part.unread);
  const auto &all = whole.checkpoint->parameters, &some = part.checkpoint->parameters;
  REQUIRE(some.size() == all.size());
  for (Param i = 0; i < all.size(); ++i) {
    INFO(all.info[i].name);
    CHECK(some.values[i].is_meta() == (all.info[i].role != "vocab.input"));
    CHECK(part.unread(i).equal(all.values[i]));
  }
}

TEST_CASE("e5s1: a tensor of another size is refused by its name, other files are not recognised") {
  const Files files;
  CHECK_THROWS_WITH(files.format->read(files.put(Small().resize("l0.fi.w", 20).all())),
                    ContainsSubstring("m.bin: tensor `l0.fi.w` has 20 numbers, the model wants 24"));
  CHECK_FALSE(files.format->recognises(files.put("E5S")));
  CHECK_FALSE(files.format->recognises(files.scratch / "none"));
}

}  // namespace e5s1_test
