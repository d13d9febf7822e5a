#include <ATen/Parallel.h>
#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "api/ops.h"
#include "base/error.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"

namespace xp {
namespace {

std::string capitalised(const std::string& word) {
  auto text = icu::UnicodeString::fromUTF8(word);
  const auto first = text.moveIndex32(0, 1);
  icu::UnicodeString head(text, 0, first);
  head.toUpper(icu::Locale::getRoot());
  text.replace(0, first, head);
  std::string out;
  text.toUTF8String(out);
  return out;
}

/// Calls fn(word, token) for each token of each writing of each word, once a writing.
template <class Fn>
void for_each_use(const Encoder& encoder, const Strings& words, const WordUse& use, Fn fn) {
  for (std::size_t w = 0; w < words.size(); ++w) {
    std::vector<std::string> writings{" " + words[w]};
    if (use.plain) writings.push_back(words[w]);
    if (use.capitalised) writings.push_back(" " + capitalised(words[w]));
    for (const auto& writing : writings) {
      std::set<TokenId> distinct;
      for (const auto& token : encoder.encode(writing)) distinct.insert(token.id);
      for (const auto id : distinct) fn(w, static_cast<std::size_t>(id));
    }
  }
}

/// Vectors of `rows` of a table and of the covered tokens of another.
class TokenSearch {
 public:
  TokenSearch(const SubwordVectors& of, const std::vector<TokenId>& rows, const SubwordVectors& among)
      : rows_(rows.begin(), rows.end()), queries_(of.vectors.contiguous()), keys_(among.vectors.contiguous()) {
    for (std::size_t i = 0; i < among.covered.size(); ++i)
      if (among.covered[i]) candidates_.push_back(static_cast<std::int64_t>(i));
  }
  bool empty() const { return rows_.empty() || candidates_.empty(); }
  VectorRows queries() const { return view(queries_, rows_); }
  VectorRows keys() const { return view(keys_, candidates_); }
  template <class Found>
  std::vector<Near> tokens(const Found& found) const {
    std::vector<Near> out;
    out.reserve(found.size());
    for (const Neighbour& one : found)
      out.push_back({static_cast<TokenId>(candidates_[static_cast<std::size_t>(one.row)]), one.cosine});
    return out;
  }

 private:
  static VectorRows view(const at::Tensor& table, const std::vector<std::int64_t>& at) {
    return {table.const_data_ptr<float>(), at.size(), static_cast<std::size_t>(table.size(1)), at.data()};
  }
  std::vector<std::int64_t> rows_, candidates_;
  at::Tensor queries_, keys_;
};

}  // namespace

std::vector<std::size_t> vector_order(std::size_t words, bool shuffled, RandomStream random) {
  std::vector<std::size_t> order(words);
  std::iota(order.begin(), order.end(), 0);
  if (shuffled)
    for (std::size_t i = words; i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  return order;
}

SubwordVectors subword_vectors(const Encoder& encoder, const Strings& words, const Floats& vectors,
                               const std::vector<std::size_t>& order, const WordUse& use) {
  if (!use.counts.empty() && use.counts.size() != words.size())
    throw Error(
        "there are " + std::to_string(words.size()) + " words and counts of " + std::to_string(use.counts.size()),
        Exit::data);
  if (vectors.shape.size() != 2 || vectors.shape[0] != std::ssize(words))
    throw Error("static vectors hold " + std::to_string(words.size()) + " words and another number of vectors",
                Exit::data);
  const auto dim = static_cast<std::size_t>(vectors.shape[1]);
  const auto n = use.tokens ? use.tokens->size() : static_cast<std::size_t>(encoder.size());
  const auto sets = word_sets(encoder, words, use);
  SubwordVectors out{ops::zeros({static_cast<std::int64_t>(n), vectors.shape[1]}, at::kFloat), std::vector<bool>(n)};
  auto* to = out.vectors.mutable_data_ptr<float>();
  std::vector<double> sum(dim);
  for (std::size_t i = 0; i < n; ++i, to += dim) {
    std::fill(sum.begin(), sum.end(), 0);
    double times = 0, norm = 0;
    for (const auto w : use.tokens ? sets[static_cast<std::size_t>((*use.tokens)[i])] : sets[i]) {
      const float* vector = vectors.data.data() + order[w] * dim;
      const double count = use.counts.empty() ? 1 : use.counts[w];
      for (std::size_t d = 0; d < dim; ++d) sum[d] += count * vector[d];
      times += count;
    }
    for (const double one : sum) norm += one * one;
    if (times == 0 || norm == 0) continue;
    out.covered[i] = true;
    for (std::size_t d = 0; d < dim; ++d) to[d] = static_cast<float>(sum[d] / std::sqrt(norm));
  }
  return out;
}

std::vector<std::vector<std::uint32_t>> word_sets(const Encoder& encoder, const Strings& words, const WordUse& use) {
  std::vector<std::vector<std::uint32_t>> out(static_cast<std::size_t>(encoder.size()));
  for_each_use(encoder, words, use,
               [&](std::size_t w, std::size_t id) { out[id].push_back(static_cast<std::uint32_t>(w)); });
  if (!use.specials)
    for (const auto& [purpose, id] : encoder.purposes()) out[static_cast<std::size_t>(id)].clear();
  return out;
}

std::vector<std::vector<Near>> nearest_tokens(const SubwordVectors& of, const std::vector<TokenId>& rows,
                                              const SubwordVectors& among, std::int64_t k) {
  const TokenSearch search(of, rows, among);
  std::vector<std::vector<Near>> out(rows.size());
  if (k <= 0 || search.empty()) return out;
  const auto found =
      nearest_rows(search.queries(), search.keys(), static_cast<std::size_t>(k), at::get_num_threads());
  const auto each = found.size() / rows.size();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = search.tokens(std::span(found).subspan(i * each, each));
  return out;
}

std::vector<std::vector<Near>> supporting_tokens(const SubwordVectors& of, const std::vector<TokenId>& rows,
                                                 const SubwordVectors& among, const LeastCosine& least) {
  const TokenSearch search(of, rows, among);
  std::vector<std::vector<Near>> out(rows.size());
  if (search.empty()) return out;
  auto found = support_rows(search.queries(), search.keys(), least, at::get_num_threads());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = search.tokens(std::exchange(found[i], {}));
  return out;
}

}  // namespace xp
