#include "engine/fingerprints.h"

#include <array>
#include <cstring>
#include <string>

#include "base/random.h"

namespace xp {
namespace {

constexpr std::int64_t kEvery = 100;

// Four chains, since one would wait for each product; every step is one-to-one in the word that it takes in, so that
// contents which differ in one word never meet.
class ContentHash {
 public:
  explicit ContentHash(std::uint64_t start = 0) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i] = RandomStream::mix(start + i + 1);
  }

  ContentHash& add(const void* content, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(content);
    std::size_t at = 0;
    for (; at + kBlock <= size; at += kBlock)
      for (std::size_t i = 0; i < lanes_.size(); ++i) take(i, word(bytes + at + i * kWord, kWord));
    for (std::size_t i = 0; at < size; at += kWord, ++i) take(i, word(bytes + at, std::min(size - at, kWord)));
    return add(static_cast<std::int64_t>(size));
  }
  ContentHash& add(std::string_view text) { return add(text.data(), text.size()); }
  ContentHash& add(std::int64_t number) {
    take(0, static_cast<std::uint64_t>(number));
    return *this;
  }
  ContentHash& add(const at::Tensor& tensor) {
    add(static_cast<std::int64_t>(tensor.scalar_type()));
    for (const auto size : tensor.sizes()) add(size);
    const auto plain = tensor.detach().cpu().contiguous();
    return add(plain.const_data_ptr(), plain.nbytes());
  }

  std::uint64_t value() const {
    std::uint64_t out = 0;
    for (const auto lane : lanes_) out = RandomStream::mix(out ^ lane) + RandomStream::kStep;
    return out;
  }

 private:
  static constexpr std::size_t kWord = 8, kBlock = 4 * kWord;

  static std::uint64_t word(const unsigned char* from, std::size_t size) {
    std::uint64_t out = 0;
    std::memcpy(&out, from, size);
    return out;
  }
  void take(std::size_t lane, std::uint64_t word) { lanes_[lane] = RandomStream::mix(lanes_[lane] ^ word); }

  std::array<std::uint64_t, 4> lanes_{};
};

void add_column(ContentHash& hash, const Column& column) {
  hash.add(static_cast<std::int64_t>(column.index()));
  if (const auto* dense = std::get_if<at::Tensor>(&column)) {
    hash.add(*dense);
  } else if (const auto* ragged = std::get_if<Ragged>(&column)) {
    hash.add(ragged->values).add(ragged->offsets);
  } else if (const auto* graphs = std::get_if<Graphs>(&column)) {
    hash.add(graphs->row_start).add(graphs->column).add(graphs->node_start);
  } else {
    for (const auto& text : std::get<Strings>(column)) hash.add(text);
  }
}

}  // namespace

std::uint64_t fingerprint(const Batch& batch, std::uint64_t before) {
  ContentHash hash(before);
  for (const auto* ids : {&batch.sample_id, &batch.group_id})
    if (ids->defined()) hash.add(*ids);
  for (const auto& [name, column] : batch.columns()) {
    hash.add(name);
    add_column(hash, column);
  }
  return hash.value();
}

std::uint64_t fingerprint(const at::Tensor& tensor) { return ContentHash().add(tensor).value(); }

bool weights_due(std::int64_t step) { return (step & (step - 1)) == 0 || step % kEvery == 0; }

void record_weights(const FingerprintSink& to, std::int64_t step, const Parameters& all,
                    const std::vector<Param>& distinct, const std::vector<at::Tensor>& averages) {
  if (!to.weight) return;
  for (const auto i : distinct) to.weight(step, all.info[i].name, fingerprint(all.values[i]));
  for (std::size_t i = 0; i < averages.size(); ++i)
    to.weight(step, "average." + std::to_string(i), fingerprint(averages[i]));
}

}  // namespace xp
