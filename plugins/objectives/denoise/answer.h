#pragma once
// How a model that was trained to denoise is used: a text's missing part stands behind its sentinel.
#include "api/evaluator.h"
#include "api/objective.h"
#include "settings.h"

namespace xp::denoise {

/// Both passes of the primary model.
struct Passes {
  StepContext& context;
  const Reserved& reserved;
  at::Tensor sample_id;  // [items]

  at::Tensor read(const at::Tensor& source, const at::Tensor& mask) const;
  /// Logits of the tokens of `target` at flat positions `at`, each given those before it; the decoder starts from
  /// `end`.
  at::Tensor predict(const at::Tensor& memory, const at::Tensor& mask, const at::Tensor& target,
                     const at::Tensor& at) const;
};

std::unique_ptr<Handle> make_handle(std::shared_ptr<StepContext> context, Handle& plain, Reserved reserved);

}  // namespace xp::denoise
