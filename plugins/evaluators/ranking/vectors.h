#pragma once
// Texts as a model's inputs, one by one or in pairs, and what it makes of them.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/batch.h"
#include "api/evaluator.h"
#include "schema/fields.h"

namespace xp::ranking {

/// How texts become inputs.
struct Reading {
  Pooling pooling = Pooling::mean;
  std::int64_t max_time = 0;  ///< tokens of an input; 0: what the model takes
  /// Adds the two fields to those of an evaluator.
  template <class P>
  static void describe(Fields<P>& f, Pooling P::*pooling, std::int64_t P::*max_time) {
    f.add(pooling, "pooling", "Which output stands for a text; `own` is the model's own way.",
          {{"first", Pooling::first}, {"mean", Pooling::mean}, {"last", Pooling::last}, {"own", Pooling::own}});
    f.add(max_time, "max_time", "Tokens of an input that are read; 0: what the model takes.").min(0);
  }
};

/// Vectors of texts at unit length, [texts, width] in float32. Throws Error if the model reads no text.
at::Tensor unit_vectors(Handle& subject, const std::vector<std::string>& texts, const Reading& how);

/// The model's score of each pair of texts as one input, `begin` first `end` second `end`, cut as the framework cuts
/// documents with `text_b`: the second beyond half of the room, then the first. It is the output of the head for
/// `field`, or of a head with several classes the log-odds of the last one.
std::vector<double> pair_scores(Handle& subject, const std::vector<std::pair<std::string, std::string>>& pairs,
                                const std::string& field, const Reading& how);

}  // namespace xp::ranking
