#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "api/format.h"
#include "api/ops.h"
#include "base/file.h"
#include "testing/testing.h"

namespace gguf_test {

using namespace xp;

/// A GGUF file of a decoder with one layer, in floats that count up from one tensor to the next.
class Small {
 public:
  Small() {
    text("general.architecture", "llama");
    for (const auto& [key, value] : {std::pair("llama.embedding_length", 8),
                                     {"llama.attention.head_count", 2},
                                     {"llama.block_count", 1},
                                     {"llama.feed_forward_length", 12},
                                     {"llama.context_length", 16}})
      number(head(key, 4), std::uint32_t(value));
    text("tokenizer.ggml.model", "gpt2"), text("tokenizer.ggml.pre", "smollm");
    texts("tokenizer.ggml.tokens", {"<|end|>", "a", "b", "ab"});
    texts("tokenizer.ggml.merges", {"a b"});
    number(head("tokenizer.ggml.eos_token_id", 4), std::uint32_t{0});
    tensor("token_embd.weight", {8, 4}), tensor("output_norm.weight", {8});
    for (const auto* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
      tensor("blk.0." + std::string(name) + ".weight", {8, 8});
    tensor("blk.0.ffn_gate.weight", {8, 12}), tensor("blk.0.ffn_up.weight", {8, 12});
    tensor("blk.0.ffn_down.weight", {12, 8});
    tensor("blk.0.attn_norm.weight", {8}), tensor("blk.0.ffn_norm.weight", {8});
  }
  std::string all() const {
    std::string out = "GGUF";
    number(out, std::uint32_t{3}), number(out, tensors_), number(out, values_);
    out += metadata_ + about_;
    out.resize((out.size() + 31) / 32 * 32);
    return out + data_;
  }

 private:
  template <class T>
  static void number(std::string& to, T value) {
    std::string bytes(sizeof value, 0);
    std::memcpy(bytes.data(), &value, sizeof value);
    to += bytes;
  }
  static void put(std::string& to, const std::string& value) { number(to, std::uint64_t{value.size()}), to += value; }
  std::string& head(const std::string& key, std::uint32_t type) {
    ++values_, put(metadata_, key), number(metadata_, type);
    return metadata_;
  }
  void text(const std::string& key, const std::string& value) { put(head(key, 8), value); }
  void texts(const std::string& key, const std::vector<std::string>& values) {
    number(head(key, 9), std::uint32_t{8}), number(metadata_, std::uint64_t{values.size()});
    for (const auto& value : values) put(metadata_, value);
  }
  void tensor(const std::string& name, const std::vector<std::uint64_t>& sides) {
    ++tensors_, put(about_, name), number(about_, static_cast<std::uint32_t>(sides.size()));
    std::uint64_t count = 1;
    for (const auto side : sides) number(about_, side), count *= side;
    number(about_, std::uint32_t{0}), number(about_, std::uint64_t{data_.size()});
    for (std::uint64_t i = 0; i < count; ++i) number(data_, static_cast<float>(next_++));
    data_.resize((data_.size() + 31) / 32 * 32);
  }

  std::string metadata_, about_, data_;
  std::uint64_t values_ = 0, tensors_ = 0;
  int next_ = 0;
};

TEST_CASE("gguf: the vocabulary alone is read at once, and the rest parameter by parameter, the same") {
  const testing::Scratch scratch;
  write_file(scratch / "m.gguf", Small().all());
  const auto format = testing::registry().make<Format>({{"type", "gguf"}});
  const auto whole = format->read(scratch / "m.gguf"), part = format->read_vocabulary(scratch / "m.gguf");
  CHECK_FALSE(whole.unread);
  REQUIRE(part.unread);
  const auto &all = whole.checkpoint->parameters, &some = part.checkpoint->parameters;
  REQUIRE(all.size() == 11);
  REQUIRE(some.size() == all.size());
  for (Param i = 0; i < all.size(); ++i) {
    INFO(all.info[i].name);
    CHECK(some.info[i].name == all.info[i].name);
    CHECK(some.values[i].sizes() == all.values[i].sizes());
    CHECK(some.values[i].scalar_type() == all.values[i].scalar_type());
    CHECK(some.values[i].is_meta() == (all.info[i].role != "vocab.input"));
    CHECK(part.unread(i).equal(all.values[i]));
  }
  // Rows of a head that stand in pairs there stand in halves here.
  const auto query = all.values[all.find("layer.0.attention.query")];
  CHECK((query[1] - query[0])[0].item<float>() == 16);
  CHECK((query[2] - query[0])[0].item<float>() == 8);
}

}  // namespace gguf_test
