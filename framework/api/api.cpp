// Out-of-line parts of the torch-free interfaces: one vtable and one type_info each, whoever implements them.
#include <utility>

#include "api/callback.h"
#include "api/checkpoint_transform.h"
#include "api/constraint.h"
#include "api/dataset.h"
#include "api/document_stage.h"
#include "api/fitter.h"
#include "api/generator.h"
#include "api/optimizer.h"
#include "api/recorder.h"
#include "api/resources.h"
#include "api/search.h"
#include "api/selector.h"
#include "api/strategy.h"
#include "api/tokenizer.h"
#include "api/transform.h"
#include "base/text.h"

namespace xp {

Resources::~Resources() = default;
Recorder::~Recorder() = default;
DataSource::~DataSource() = default;
Dataset::~Dataset() = default;
Transform::~Transform() = default;
Encoder::~Encoder() = default;
TextFrame Encoder::around() const { return {reserved("begin"), reserved("end")}; }
Tokenizer::~Tokenizer() = default;
DocumentContext::~DocumentContext() = default;
AnyStage::~AnyStage() = default;
DocumentStage::~DocumentStage() = default;
Fitter::~Fitter() = default;
Backend::~Backend() = default;
Generator::~Generator() = default;
Scorer::~Scorer() = default;
Selector::~Selector() = default;
Search::~Search() = default;
Pruner::~Pruner() = default;
Launcher::~Launcher() = default;
Optimizer::~Optimizer() = default;
Schedule::~Schedule() = default;
Constraint::~Constraint() = default;
CheckpointTransform::~CheckpointTransform() = default;
Callback::~Callback() = default;
Trainer::~Trainer() = default;
TrainingStrategy::~TrainingStrategy() = default;

void Search::adopt(const Trial& trial) {
  const auto text = [](const Trial& one) {
    Table values;
    for (const auto& [key, value] : one.values) values.insert_or_assign(key, value);
    return "trial " + std::to_string(one.number) + " " + to_text(Value(std::move(values)));
  };
  const auto mine = propose();
  if (!mine || mine->number != trial.number || mine->values != trial.values)
    throw Error("the journal has " + text(trial) + "; the search now proposes " + (mine ? text(*mine) : "nothing"),
                Exit::verdict);
}
std::string Dataset::split(std::int64_t) const { return {}; }
void Transform::start(const Resources&) {}
Lengths Transform::lengths(std::int64_t raw, RandomStream) const { return {raw, 0}; }
std::vector<Subscription> Transform::subscriptions() const { return {}; }
void Transform::receive(const Feedback&) {}
void Scorer::start(const Resources&) {}
void Constraint::after_backward(Parameters&) {}
void Constraint::after_update(Parameters&, Optimizer&) {}
double Constraint::density(const ParameterInfo&) const { return 1; }
std::vector<Coefficient> CheckpointTransform::coefficients(std::size_t) const { return {}; }
Next Callback::after_step(const StepReport&) { return Next::go_on; }
Next Callback::after_evaluation(const StepReport&, const std::map<std::string, double>&) { return Next::go_on; }
void Callback::finished(std::string_view) noexcept {}

std::optional<TokenId> Encoder::reserved(std::string_view purpose, std::int64_t index) const {
  const auto& all = purposes();
  if (const auto found = all.find(std::string(purpose) + "." + std::to_string(index)); found != all.end())
    return found->second;
  if (index == 0)
    if (const auto found = all.find(purpose); found != all.end()) return found->second;
  return std::nullopt;
}

namespace {

template <class Wanted>
const Wanted& field_of(const Example& example, std::string_view name, std::string_view kind) {
  const auto found = example.fields.find(name);
  if (found == example.fields.end()) {
    Strings names;
    for (const auto& [key, value] : example.fields) names.push_back(key);
    throw Error("no field " + backquoted(name) + " in the example; there is " + listed(names));
  }
  if (const auto* values = std::get_if<Wanted>(&found->second)) return *values;
  throw Error("field " + backquoted(name) + " of the example does not hold " + std::string(kind));
}

}  // namespace

Ints& Example::ints(std::string_view field) { return const_cast<Ints&>(std::as_const(*this).ints(field)); }
const Ints& Example::ints(std::string_view field) const { return field_of<Ints>(*this, field, "integers"); }
const Floats& Example::floats(std::string_view field) const { return field_of<Floats>(*this, field, "real numbers"); }
const Strings& Example::strings(std::string_view field) const { return field_of<Strings>(*this, field, "texts"); }

std::int64_t raw_tokens_for(const Transform& transform, Lengths fit, RandomStream random, std::int64_t limit) {
  std::int64_t low = 0, high = limit;  // lengths() does not fall, so halving finds the last that fits
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    const Lengths got = transform.lengths(middle, random);
    if (got.input <= fit.input && got.target <= fit.target)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

}  // namespace xp
