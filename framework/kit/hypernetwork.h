#pragma once
// A network that predicts rows of a model's vocabulary tables for any token from the rows of its pieces. Minixhofer,
// Ponti and Vulic 2024, "Zero-shot tokenizer transfer" (ZeTT), section 3.
#include <string>
#include <vector>

#include "api/parameters.h"
#include "api/tokenizer.h"

namespace xp {

/// One table of a model whose rows are tokens. Tied tables are one.
struct VocabTable {
  std::string role;     ///< "vocab.input", "vocab.output", "vocab.bias"
  at::Tensor rows;      ///< [tokens, width] or [tokens], float32, without gradient
  at::Tensor mean, sd;  ///< [width] or []: of all rows
};

/// Throws Error if the model has no table with role vocab.input.
XP_API std::vector<VocabTable> vocab_tables(const Parameters& model);

struct HypernetworkSettings {
  std::int64_t layers = 3;
  std::int64_t width = 0;       ///< 0: that of the input table
  std::int64_t heads = 0;       ///< 0: one for each 64 of the width, at least one
  std::int64_t max_pieces = 7;  ///< further pieces of a token are not read
  bool residual = false;        ///< predictions are added to the mean of the pieces' rows and start at zero

  XP_API static void describe(Fields<HypernetworkSettings>& f);
};

/// Rows of the pieces, scaled to mean 0 and standard deviation 0.02 by dimension, go through a projector, layers of
/// self-attention (post-norm) and, from the first position, a head for each table. Predictions are scaled to each
/// table's mean and standard deviation by dimension; without `residual` they start near those.
class XP_API Hypernetwork {
 public:
  /// Throws Error (Exit::usage) if heads do not divide the width.
  Hypernetwork(const HypernetworkSettings& settings, const std::vector<VocabTable>& tables);

  struct Wanted {
    ParameterInfo info;
    std::vector<std::int64_t> shape;
    Init init;
  };
  /// Its weights, in the order in which predict() reads them.
  const std::vector<Wanted>& wanted() const { return wanted_; }

  /// For each of `tables` the rows [n, width] (a bias: [n]) of n tokens by their pieces' ids. `tables` are those of a
  /// model with the same roles and widths. Throws Error if there is no token, or one without pieces.
  std::vector<at::Tensor> predict(Weights w, const std::vector<VocabTable>& tables,
                                  const std::vector<std::vector<TokenId>>& pieces) const;

 private:
  struct Affine {
    Param weight = 0, bias = 0;
  };
  struct Projector {
    Affine wide, narrow, norm;
  };
  struct Layer {
    Affine query, key, value, out, attention_norm, wide, narrow, norm;
  };
  struct Head {
    Projector projector;
    Affine out;
  };
  Affine dense(const std::string& name, std::int64_t from, std::int64_t to, int layer, double sd);
  Affine norm(const std::string& name, int layer);
  Projector projector(const std::string& name, int layer);
  std::vector<at::Tensor> same_length(Weights w, const std::vector<VocabTable>& tables, const at::Tensor& ids) const;
  at::Tensor project(Weights w, const Projector& p, const at::Tensor& x) const;
  at::Tensor normed(Weights w, const Affine& norm, const at::Tensor& x) const;
  at::Tensor run(Weights w, const Layer& layer, const at::Tensor& x) const;

  HypernetworkSettings s_;
  std::vector<Wanted> wanted_;
  Affine in_;
  Projector first_;
  Param position_ = 0;
  std::vector<Layer> layers_;
  std::vector<Head> heads_;
};

}  // namespace xp
