#pragma once
// How a model with a head over named classes is used: the plain handle, and predict() through the head.
#include <memory>
#include <string>
#include <utility>

#include "api/evaluator.h"
#include "api/objective.h"
#include "base/text.h"

namespace xp {

/// `Head` has field() and predict(batch, context); it must outlive the handle.
template <class Head>
class HeadHandle final : public WrappedHandle {
 public:
  /// `verb`: what the head does, for messages.
  HeadHandle(const Head& head, const char* verb, std::shared_ptr<StepContext> context, Handle& plain)
      : WrappedHandle(plain), head_(head), verb_(verb), context_(std::move(context)) {}

  bool can(std::string_view what) const override { return what == "predict" || plain_.can(what); }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != head_.field())
      throw Error(std::string("the model ") + verb_ + " by " + backquoted(head_.field()) + ", not by " +
                  backquoted(field));
    return head_.predict(batch, *context_);
  }

 private:
  const Head& head_;
  const char* verb_;
  std::shared_ptr<StepContext> context_;
};

}  // namespace xp
