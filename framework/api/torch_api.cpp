// Out-of-line parts of the interfaces that meet tensors.

#include "api/evaluator.h"
#include "api/format.h"
#include "api/objective.h"
#include "api/stage.h"
#include "base/text.h"

namespace xp {

Model::~Model() = default;
StepContext::~StepContext() = default;
Objective::~Objective() = default;
Handle::~Handle() = default;
ForwardOutput Handle::encode_with(const Batch&, const ForwardRequest&, const at::Tensor&) {
  throw Error("this model cannot read tokens that it has no rows for");
}
const Encoder* WrappedHandle::tokenizer() const { return plain_.tokenizer(); }
ModelShape WrappedHandle::shape() const { return plain_.shape(); }
bool WrappedHandle::can(std::string_view what) const { return plain_.can(what); }
bool WrappedHandle::has(std::string_view capability) const { return plain_.has(capability); }
ForwardOutput WrappedHandle::encode(const Batch& batch, const ForwardRequest& want) {
  return plain_.encode(batch, want);
}
ForwardOutput WrappedHandle::encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) {
  return plain_.encode_with(batch, want, more);
}
at::Tensor WrappedHandle::logits(const at::Tensor& hidden) { return plain_.logits(hidden); }
std::vector<Score> WrappedHandle::score(const Batch& batch) { return plain_.score(batch); }
Strings WrappedHandle::generate(const Batch& batch, const Table& sampling, RandomStream random) {
  return plain_.generate(batch, sampling, random);
}
at::Tensor WrappedHandle::predict(const Batch& batch, std::string_view field) { return plain_.predict(batch, field); }
const Strings& WrappedHandle::categories(std::string_view field) const { return plain_.categories(field); }
BatchReader::~BatchReader() = default;
EvaluationContext::~EvaluationContext() = default;
std::shared_ptr<const Encoder> EvaluationContext::tokenizer(const Reference& artifact) {
  throw Error("other tokenizers than the model's cannot be read here: " + backquoted(artifact.text));
}
Evaluator::~Evaluator() = default;
StageContext::~StageContext() = default;
Stage::~Stage() = default;
Format::~Format() = default;
Imported Format::read_vocabulary(const std::filesystem::path& path) const { return read(path); }
void Format::write(const std::filesystem::path&, const Checkpoint&, const Encoder*, const ReadParameter&) const {
  throw Error("files of the format " + backquoted(type()) + " are read and not written", Exit::usage);
}
void Format::rewrite(const std::filesystem::path&, const std::filesystem::path&, const Parameters&,
                     const Encoder&) const {
  throw Error("files of the format " + backquoted(type()) + " are read and not written", Exit::usage);
}

double Model::flops(const ForwardInput&, const ForwardRequest&) const { return 0; }
std::optional<Table> Model::factorised(std::int64_t) const { return std::nullopt; }
std::optional<Checkpoint> Model::exported(Weights) const { return std::nullopt; }
std::unique_ptr<Transform> Objective::input_transform() { return nullptr; }
std::unique_ptr<Handle> Objective::handle(std::shared_ptr<StepContext>, Handle&) { return nullptr; }

bool matches(const ParameterInfo& info, std::string_view pattern) {
  const auto fits = [](std::string_view text, std::string_view p) {
    return p.ends_with('*') ? text.starts_with(p.substr(0, p.size() - 1)) : text == p;
  };
  if (pattern.starts_with("role:")) return fits(info.role, pattern.substr(5));
  if (pattern.starts_with("name:")) return fits(info.name, pattern.substr(5));
  if (pattern.starts_with("layer:")) return std::to_string(info.layer) == pattern.substr(6);
  return fits(info.name, pattern);
}

Param Parameters::find(std::string_view name) const {
  for (Param i = 0; i < info.size(); ++i)
    if (info[i].name == name) return i;
  Strings names;
  for (const auto& one : info) names.push_back(one.name);
  const auto near = nearest(name, names);
  throw Error("no parameter " + backquoted(name) + (near ? "; did you mean " + backquoted(*near) + "?" : ""));
}
std::vector<Param> Parameters::select(std::string_view pattern) const {
  std::vector<Param> found;
  for (Param i = 0; i < info.size(); ++i)
    if (matches(info[i], pattern)) found.push_back(i);
  return found;
}
std::vector<Param> Parameters::distinct() const {
  std::map<const void*, Param> first;
  std::vector<Param> found;
  for (Param i = 0; i < values.size(); ++i)
    if (first.emplace(values[i].unsafeGetTensorImpl(), i).second) found.push_back(i);
  return found;
}

ForwardOutput serve(const ForwardOutput& full, const at::Tensor& mask, const ForwardRequest& want) {
  ForwardOutput out;
  at::Tensor hidden = want.view.layers ? full.layers.at(static_cast<std::size_t>(want.view.layers)) : full.tokens;
  if (want.view.width) hidden = hidden.narrow(-1, 0, want.view.width);
  if (want.tokens) out.tokens = hidden;
  if (want.layers) out.layers = full.layers;
  if (want.at.defined()) out.picked = hidden.flatten(0, 1).index_select(0, want.at);
  const auto keep =
      mask.defined() ? mask.unsqueeze(-1).to(hidden.dtype()) : hidden.new_ones({hidden.size(0), hidden.size(1), 1});
  switch (want.pooling) {
    case Pooling::none: break;
    case Pooling::own: throw Error("serve() does not know the pooling of a model's own; the model fills `pooled`");
    case Pooling::first: out.pooled = hidden.select(1, 0); break;
    case Pooling::mean: out.pooled = hidden.mul(keep).sum(1).div(keep.sum(1).clamp_min(1)); break;
    case Pooling::last: {
      const auto last = keep.squeeze(-1).sum(1).sub(1).clamp_min(0).to(at::kLong).view({-1, 1, 1});
      out.pooled = hidden.gather(1, last.expand({-1, 1, hidden.size(-1)})).squeeze(1);
    }
  }
  return out;
}

void append(StepResult& into, StepResult child, std::string_view name, double weight) {
  const std::string front = std::string(name) + ".";
  for (auto& term : child.terms) into.terms.push_back({front + term.name, term.sum, term.weight * weight});
  for (auto& metric : child.metrics) into.metrics.push_back({front + metric.name, metric.sum, metric.count});
  for (auto& message : child.feedback) into.feedback.push_back(std::move(message));  // topics are not name-spaced
  for (auto& [key, tensor] : child.published) into.published[front + key] = tensor;
}
void append(Counts& into, const Counts& child, std::string_view name) {
  for (const auto& [key, count] : child) into[std::string(name) + "." + key] = count;
}

}  // namespace xp
