#include <algorithm>
#include <cmath>

#include "api/ops.h"
#include "base/error.h"
#include "base/text.h"
#include "kit/hypernetwork.h"
#include "kit/tensors.h"
#include "kit/torch_operators.h"
#include "kit/vocab_tables.h"

namespace xp {
namespace {

constexpr double kScale = 0.02;           // standard deviation of what the network reads
constexpr double kLeastDeviation = 1e-8;  // of a dimension in which all rows are equal

at::Tensor affine(Weights w, Param weight, Param bias, const at::Tensor& x) {
  return ops::linear(x, w[weight], w[bias]);
}

/// Places of the tokens by their number of pieces, at most `most`.
std::vector<std::vector<std::int64_t>> by_length(const std::vector<std::vector<TokenId>>& pieces, std::int64_t most) {
  std::vector<std::vector<std::int64_t>> out(static_cast<std::size_t>(most));
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].empty()) throw Error("a token without pieces has no row to predict");
    out[std::min(pieces[i].size(), out.size()) - 1].push_back(static_cast<std::int64_t>(i));
  }
  return out;
}

}  // namespace

std::vector<VocabTable> vocab_tables(const Parameters& model) {
  std::vector<VocabTable> out;
  for (const auto i : vocab_params(model)) {
    const auto rows = model.values[i].detach().to(at::kFloat);
    out.push_back({model.info[i].role, rows, rows.mean(0), rows.std(0, false).clamp_min(kLeastDeviation)});
  }
  if (std::none_of(out.begin(), out.end(), [](const auto& table) { return table.role == "vocab.input"; }))
    throw Error("the model has no table with role vocab.input");
  return out;
}

void HypernetworkSettings::describe(Fields<HypernetworkSettings>& f) {
  using S = HypernetworkSettings;
  f.add(&S::layers, "layers", "Layers of self-attention over a token's pieces.").min(0).max(100);
  f.add(&S::width, "width", "0: that of the model's input table.").min(0);
  f.add(&S::heads, "heads", "0: one for each 64 of the width.").min(0);
  f.add(&S::max_pieces, "max_pieces", "Pieces of a token that are read, the first ones.").min(1).max(100);
  f.add(&S::residual, "residual",
        "Whether predictions are added to the mean of the pieces' rows and start at zero; published: not.");
}

Hypernetwork::Hypernetwork(const HypernetworkSettings& settings, const std::vector<VocabTable>& tables)
    : s_(settings) {
  std::int64_t read = 0;
  for (const auto& table : tables) {
    if (table.rows.dim() != 2) continue;
    read += table.rows.size(1);
    if (s_.width == 0 && table.role == "vocab.input") s_.width = table.rows.size(1);
  }
  if (s_.heads == 0) s_.heads = std::max<std::int64_t>(1, s_.width / 64);
  if (s_.width % s_.heads != 0)
    throw Error(
        "`heads` is " + std::to_string(s_.heads) + " and does not divide the width " + std::to_string(s_.width),
        Exit::usage);
  in_ = dense("in", read, s_.width, -1, 0.02);
  first_ = projector("first", -1);
  wanted_.push_back({{"position", "position", -1, Lifetime::keep}, {s_.max_pieces, s_.width}, {0, 0.02}});
  position_ = wanted_.size() - 1;
  for (int i = 0; i < static_cast<int>(s_.layers); ++i) {
    const auto name = "layer." + std::to_string(i) + ".";
    const auto square = [&](const char* part) { return dense(name + part, s_.width, s_.width, i, 0.02); };
    Layer layer;
    layer.query = square("query"), layer.key = square("key"), layer.value = square("value"),
    layer.out = square("out");
    layer.attention_norm = norm(name + "attention_norm", i);
    layer.wide = dense(name + "wide", s_.width, 2 * s_.width, i, 0.02);
    layer.narrow = dense(name + "narrow", 2 * s_.width, s_.width, i, 0.02);
    layer.norm = norm(name + "norm", i);
    layers_.push_back(layer);
  }
  for (const auto& table : tables) {
    const auto name = "head." + table.role.substr(table.role.find('.') + 1) + ".";
    // After a norm this gives numbers of standard deviation 1, which are scaled to the table's.
    const double sd = s_.residual ? 0 : 1 / std::sqrt(static_cast<double>(s_.width));
    Head head;
    head.projector = projector(name + "projector", -1);
    head.out = dense(name + "out", s_.width, table.rows.dim() == 2 ? table.rows.size(1) : 1, -1, sd);
    heads_.push_back(head);
  }
}

Hypernetwork::Affine Hypernetwork::dense(const std::string& name, std::int64_t from, std::int64_t to, int layer,
                                         double sd) {
  wanted_.push_back({{name, "dense", layer, Lifetime::keep}, {to, from}, {0, sd}});
  wanted_.push_back({{name + ".bias", "bias", layer, Lifetime::keep}, {to}, {0, 0}});
  return {wanted_.size() - 2, wanted_.size() - 1};
}

Hypernetwork::Affine Hypernetwork::norm(const std::string& name, int layer) {
  wanted_.push_back({{name, "norm", layer, Lifetime::keep}, {s_.width}, {1, 0}});
  wanted_.push_back({{name + ".bias", "bias", layer, Lifetime::keep}, {s_.width}, {0, 0}});
  return {wanted_.size() - 2, wanted_.size() - 1};
}

Hypernetwork::Projector Hypernetwork::projector(const std::string& name, int layer) {
  Projector out;
  out.wide = dense(name + ".wide", s_.width, 2 * s_.width, layer, 0.02);
  out.narrow = dense(name + ".narrow", 2 * s_.width, s_.width, layer, 0.02);
  out.norm = norm(name + ".norm", layer);
  return out;
}

at::Tensor Hypernetwork::normed(Weights w, const Affine& norm, const at::Tensor& x) const {
  return ops::layer_norm(x, {s_.width}, w[norm.weight], w[norm.bias]);
}

at::Tensor Hypernetwork::project(Weights w, const Projector& p, const at::Tensor& x) const {
  const auto wide = ops::gelu(affine(w, p.wide.weight, p.wide.bias, x));
  return normed(w, p.norm, x + ops::gelu(affine(w, p.narrow.weight, p.narrow.bias, wide)));
}

at::Tensor Hypernetwork::run(Weights w, const Layer& layer, const at::Tensor& x) const {
  const auto n = x.size(0), time = x.size(1), size = s_.width / s_.heads;
  const auto split = [&](const Affine& part) {
    return affine(w, part.weight, part.bias, x).view({n, time, s_.heads, size}).transpose(1, 2);
  };
  const auto mixed =
      ops::scaled_dot_product_attention(split(layer.query), split(layer.key), split(layer.value), {}, false, false)
          .transpose(1, 2)
          .reshape({n, time, s_.width});
  const auto attended = normed(w, layer.attention_norm, x + affine(w, layer.out.weight, layer.out.bias, mixed));
  const auto wide = ops::gelu(affine(w, layer.wide.weight, layer.wide.bias, attended));
  return normed(w, layer.norm, attended + affine(w, layer.narrow.weight, layer.narrow.bias, wide));
}

std::vector<at::Tensor> Hypernetwork::same_length(Weights w, const std::vector<VocabTable>& tables,
                                                  const at::Tensor& ids) const {
  const auto n = ids.size(0), time = ids.size(1);
  std::vector<at::Tensor> rows, read;
  for (const auto& table : tables) {
    auto own = table.rows.index_select(0, ids.flatten());
    own = own.view(table.rows.dim() == 2 ? std::vector<std::int64_t>{n, time, own.size(1)}
                                         : std::vector<std::int64_t>{n, time});
    if (table.rows.dim() == 2) read.push_back((own - table.mean) / table.sd * kScale);
    rows.push_back(std::move(own));
  }
  auto x = project(w, first_, affine(w, in_.weight, in_.bias, ops::cat(read, 2)));
  x = x + w[position_].narrow(0, 0, time);
  for (const auto& layer : layers_) x = run(w, layer, x);
  const auto pooled = x.select(1, 0);
  std::vector<at::Tensor> out;
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const auto& head = heads_[t];
    auto made = affine(w, head.out.weight, head.out.bias, project(w, head.projector, pooled));
    if (tables[t].rows.dim() == 1) made = made.squeeze(1);
    out.push_back(made * tables[t].sd + (s_.residual ? rows[t].mean(1) : tables[t].mean));
  }
  return out;
}

std::vector<at::Tensor> Hypernetwork::predict(Weights w, const std::vector<VocabTable>& tables,
                                              const std::vector<std::vector<TokenId>>& pieces) const {
  if (tables.size() != heads_.size())
    throw Error("the hypernetwork predicts " + count(heads_.size(), "table") + ", and the model has " +
                std::to_string(tables.size()));
  if (pieces.empty()) throw Error("there is no token whose rows are to be predicted");
  std::vector<std::vector<at::Tensor>> parts(tables.size());
  std::vector<std::int64_t> order;
  const auto groups = by_length(pieces, s_.max_pieces);
  for (std::size_t length = 1; length <= groups.size(); ++length) {
    const auto& group = groups[length - 1];
    if (group.empty()) continue;
    std::vector<std::int64_t> ids;
    for (const auto i : group) {
      const auto& own = pieces[static_cast<std::size_t>(i)];
      ids.insert(ids.end(), own.begin(), own.begin() + static_cast<std::ptrdiff_t>(length));
    }
    const auto made = same_length(
        w, tables,
        tensor_of(ids, {std::ssize(group), static_cast<std::int64_t>(length)}).to(tables.front().rows.device()));
    for (std::size_t t = 0; t < made.size(); ++t) parts[t].push_back(made[t]);
    order.insert(order.end(), group.begin(), group.end());
  }
  std::vector<std::int64_t> place(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    place[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  const auto back = tensor_of(place).to(tables.front().rows.device());
  std::vector<at::Tensor> out;
  for (const auto& part : parts) out.push_back(ops::cat(part).index_select(0, back));
  return out;
}

}  // namespace xp
