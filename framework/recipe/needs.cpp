// What the components of a stage need against what its models, tokenizer and data give.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "recipe/graph.h"
#include "recipe/resolver.h"

namespace xp::recipe {
namespace {

enum class Known : std::uint8_t { no, yes, unknown };

bool given_by(const Schema& schema, const Table& settings, std::string_view what, std::string_view name) {
  return std::any_of(schema.gives.begin(), schema.gives.end(), [&](const Trait& one) {
    return one.what == what && fits(name, one.name) && holds(one.when, settings);
  });
}

std::vector<std::string> all_given(const Schema& schema, const Table& settings, std::string_view what) {
  std::vector<std::string> out;
  for (const auto& one : schema.gives)
    if (one.what == what && holds(one.when, settings)) out.push_back(one.name);
  return out;
}

class Needs {
 public:
  Needs(const Graph& graph, const StageNode& node) : g_(graph), node_(node), problems_(graph.world().problems) {}

  void run() {
    for (const auto& need : node_.inside.needs) {
      const auto& what = need.trait.what;
      if (what == "capability")
        capability(need);
      else if (what == "reserved")
        reserved(need);
      else if (what == "field")
        field(need);
      else if (what == "group")
        group(need);
      else if (what == "artifact")
        artifact(need);
      else if (what == "metric")
        metric(need);
      else if (what == "output")
        output(need);
      else if (what == "training_state")
        training_state(need);
      else
        problems_.error(
            "unknown-need",
            need.owner + " declares a need of kind " + backquoted(printable(what)) + ", which nothing can meet",
            need.span,
            "plugins need a capability, reserved, field, group, artifact, metric, output, training_state or "
            "parameter");
    }
    if (node_.info && !no_tokenizer_ && tokenizer_known(node_) == Known::no)
      units(node_.info->schema.fields, node_.settings, "");
  }

 private:
  const StageNode* source_of(const Reference* reference) const {
    const auto found = reference ? g_.nodes().find(reference->node) : g_.nodes().end();
    return found == g_.nodes().end() ? nullptr : &found->second;
  }

  std::vector<const Reference*> models_of(const StageNode& node) const {
    const auto* own = setting(node.settings, "model");
    std::vector<const Reference*> out{reference_in(own)};
    if (own && own->as<Table>())  // a merge is made of checkpoints
      for (const auto& [key, value] : *own->as<Table>())
        if (const auto* inside = reference_in(&value); inside && inside->kind == "checkpoint") out.push_back(inside);
    const auto* towers = setting(node.settings, "towers");
    if (towers && towers->as<List>())
      for (const auto& one : *towers->as<List>())
        if (const auto* tower = one.as<Table>()) out.push_back(reference_in(setting(*tower, "model")));
    std::erase(out, nullptr);
    return out;
  }

  const StageNode* tokenizer_of(const StageNode& node) const {
    const auto* own = reference_in(setting(node.settings, "tokenizer"));
    auto from = models_of(node);
    if (own) from.insert(from.begin(), own);
    for (const auto* reference : from)
      if (const auto* source = source_of(reference))
        return reference->kind == "tokenizer" ? source : tokenizer_of(*source);
    return nullptr;
  }

  Known tokenizer_known(const StageNode& node) const {
    if (reference_in(setting(node.settings, "tokenizer"))) return Known::yes;
    auto out = Known::no;
    for (const auto* reference : models_of(node)) {
      const auto* source = source_of(reference);
      const auto its = !source || !source->info || source->broken ? Known::unknown : tokenizer_known(*source);
      if (its == Known::yes) return its;
      if (its == Known::unknown) out = its;
    }
    return out;
  }

  void capability(const Need& need) {
    const auto colon = need.trait.name.find(':');
    const auto role = colon == std::string::npos ? std::string("primary") : need.trait.name.substr(0, colon);
    const auto wanted = colon == std::string::npos ? need.trait.name : need.trait.name.substr(colon + 1);
    Table settings;
    const auto* model = g_.model_of(node_, role, &settings);
    if (!model || given_by(model->schema, settings, "capability", wanted))
      return;  // unknown: checked when the run starts
    problems_.error("missing-capability",
                    need.owner + " needs " + backquoted(wanted) + " of the model, which model " +
                        backquoted(model->type) + " of stage " + backquoted(node_.name) + " does not give",
                    need.span,
                    "with these settings it gives " + listed(all_given(model->schema, settings, "capability")));
  }

  void reserved(const Need& need) {
    static const std::vector<std::string> always{"pad", "unk", "begin", "end", "mask"};
    const auto bracket = need.trait.name.find('[');
    const auto purpose = need.trait.name.substr(0, bracket);
    std::int64_t wanted = 1;
    if (bracket != std::string::npos) wanted = std::atoll(need.trait.name.c_str() + bracket + 1);
    if (tokenizer_known(node_) == Known::no) {
      if (std::exchange(no_tokenizer_, true)) return;  // said already
      problems_.error("missing-reserved",
                      need.owner + " needs an id for " + backquoted(purpose) + ", and stage " +
                          backquoted(node_.name) + " has no tokenizer",
                      need.span, "write tokenizer = \"...\" in [stage." + node_.stage + "]");
      return;
    }
    if (std::find(always.begin(), always.end(), purpose) != always.end()) return;
    const auto* tokenizer = tokenizer_of(node_);
    if (!tokenizer || !tokenizer->info || tokenizer->broken || !tokenizer->info->schema.find("reserve")) return;
    const auto* reserve = setting(tokenizer->settings, "reserve");
    const auto* table = reserve ? reserve->as<Table>() : nullptr;
    const auto* there = table ? setting(*table, purpose) : nullptr;
    const std::int64_t have = there && there->as<std::int64_t>() ? *there->as<std::int64_t>() : 0;
    if (have >= wanted) return;
    problems_.error(
        "missing-reserved",
        need.owner + " needs " + count(static_cast<std::size_t>(wanted), "reserved id") + " for " +
            backquoted(purpose) + ", and tokenizer " + backquoted(tokenizer->name) + " has " + std::to_string(have),
        need.span,
        "write reserve = { " + purpose + " = " + std::to_string(wanted) + " } in [stage." + tokenizer->stage + "]");
  }

  // Fields of a batch: what a dataset declares and, of text, what tokenizing adds. One that declares none is not
  // known.
  void field(const Need& need) {
    static const std::vector<std::string> tokenized{"ids", "word", "bytes", "segment"};
    const bool of_tokens = std::find(tokenized.begin(), tokenized.end(), need.trait.name) != tokenized.end();
    for (const auto& reference : need.data.empty() ? data_of_stage() : need.data) {
      if (!reference.component) continue;
      const auto& table = *reference.component;
      const auto* info = g_.world().find(interfaces_of_kind("dataset"), *table.at("type").as<std::string>());
      if (!info || given_by(info->schema, table, "field", need.trait.name)) continue;
      const bool text = info->interface == interfaces_of_kind("dataset").front();
      const bool declares = std::any_of(info->schema.gives.begin(), info->schema.gives.end(),
                                        [](const Trait& one) { return one.what == "field"; });
      if (text && of_tokens) {
        if (tokenizer_known(node_) != Known::no) continue;
        if (std::exchange(no_tokenizer_, true)) return;
        problems_.error("missing-field",
                        need.owner + " needs the field " + backquoted(need.trait.name) +
                            " of its data, which text has only with a tokenizer",
                        need.span, "write tokenizer = \"...\" in [stage." + node_.stage + "]");
        return;
      }
      if (!declares) continue;
      auto there = all_given(info->schema, table, "field");
      problems_.error("missing-field",
                      need.owner + " needs the field " + backquoted(need.trait.name) + " of its data, which " +
                          backquoted(reference.text) + " of type " + backquoted(info->type) + " does not have",
                      need.span, there.empty() ? "it has none" : "it has " + listed(there));
      return;
    }
  }

  // Members that each group of the data has. Data that declare none are not known.
  void group(const Need& need) {
    for (const auto& reference : need.data.empty() ? data_of_stage() : need.data) {
      if (!reference.component) continue;
      const auto& table = *reference.component;
      const auto* info = g_.world().find(interfaces_of_kind("dataset"), *table.at("type").as<std::string>());
      if (!info) continue;
      const auto there = all_given(info->schema, table, "group");
      if (there.empty() || given_by(info->schema, table, "group", need.trait.name)) continue;
      problems_.error("missing-group",
                      need.owner + " reads groups of " + need.trait.name + ", and " + backquoted(reference.text) +
                          " of type " + backquoted(info->type) + " has groups of " + join(there, " or "),
                      need.span, "name data with groups of " + need.trait.name);
      return;
    }
  }

  std::vector<Reference> data_of_stage() const {
    std::vector<Reference> out;
    const auto add = [&](const Value* value) {
      const auto* reference = value ? value->as<Reference>() : nullptr;
      if (reference && reference->kind == "dataset") out.push_back(*reference);
    };
    for (const auto& [key, value] : node_.settings) {
      add(&value);
      if (const auto* list = value.as<List>())
        for (const auto& one : *list) {
          add(&one);
          const auto* entry = one.as<Table>();
          if (entry && !entry->contains("type")) add(setting(*entry, "dataset"));
        }
    }
    return out;
  }

  void artifact(const Need& need) {
    if (reference_in(setting(node_.settings, need.trait.name))) return;
    problems_.error("missing-artifact",
                    need.owner + " needs " + backquoted(need.trait.name) + " of stage " + backquoted(node_.name),
                    need.span, "write " + need.trait.name + " = \"...\" in [stage." + node_.stage + "]");
  }

  void metric(const Need& need) {
    std::vector<std::string> there = node_.inside.metrics;
    for (const auto& use : node_.inside.evaluators)
      for (const auto& one : all_given(use.info->schema, use.settings, "metric"))
        there.push_back(use.name + "." + one);
    if (std::any_of(there.begin(), there.end(), [&](const auto& one) { return fits(need.trait.name, one); })) return;
    problems_.error("missing-metric",
                    need.owner + " needs the metric " + backquoted(need.trait.name) + ", which stage " +
                        backquoted(node_.name) + " does not measure",
                    need.span, there.empty() ? "it measures nothing" : "it measures " + listed(there));
  }

  void output(const Need& need) {
    std::vector<std::string> there;
    for (const auto& one : node_.outputs) there.push_back(one.name);
    if (std::find(there.begin(), there.end(), need.trait.name) != there.end()) return;
    problems_.error("missing-output",
                    need.owner + " needs the output " + backquoted(need.trait.name) + " of its stage, which type " +
                        backquoted(node_.type) + " does not have",
                    need.span, there.empty() ? "it has none" : "it has " + listed(there));
  }

  // The parameter of that name, where it is set, goes on from what the stage of `model` kept beside the weights.
  void training_state(const Need& need) {
    const auto* value = setting(node_.settings, need.trait.name);
    const auto* list = value ? value->as<List>() : nullptr;
    if (!list || list->empty()) return;
    for (const auto* reference : models_of(node_)) {
      const auto* source = source_of(reference);
      if (!source || !source->info || source->broken) continue;
      if (given_by(source->info->schema, source->settings, "training_state", "checkpoint")) continue;
      const bool can = source->info->schema.find("keep_state") != nullptr;
      problems_.error("missing-training-state",
                      backquoted(need.trait.name) + " of stage " + backquoted(node_.name) +
                          " goes on from a training state, which stage " + backquoted(source->name) +
                          " does not keep",
                      value->span ? value->span : node_.span,
                      can ? "write keep_state = true in [stage." + source->stage + "]"
                          : "its type " + backquoted(source->type) + " keeps none; name a stage that trains");
    }
  }

  // Tokens count nothing without a tokenizer.
  void units(const std::vector<FieldInfo>& fields, const Table& settings, const std::string& path) {
    for (const auto& info : fields) {
      const auto* value = setting(settings, info.name);
      if (!value) continue;
      const auto name = path + info.name;
      if (const auto* table = value->as<Table>(); table && info.kind == Kind::table)
        units(info.fields, *table, name + ".");
      if (info.kind != Kind::quantity || !value->as<std::string>()) continue;
      const auto quantity = parse_quantity(*value->as<std::string>());
      if (!quantity || quantity->unit != Unit::tokens) continue;
      problems_.error(
          "tokens-without-tokenizer",
          backquoted(name) + " of stage " + backquoted(node_.name) + " counts tokens, and the stage has no tokenizer",
          value->span ? value->span : node_.span, "count " + other_units(info) + ", or write tokenizer = \"...\"");
    }
  }

  static std::string other_units(const FieldInfo& info) {
    std::vector<std::string> names;
    for (const auto unit : {Unit::steps, Unit::epochs, Unit::items, Unit::documents, Unit::bytes})
      if (std::find(info.units.begin(), info.units.end(), unit) != info.units.end())
        names.emplace_back(unit_name(unit));
    return names.empty() ? "something else" : join(names, ", ");
  }

  const Graph& g_;
  const StageNode& node_;
  Problems& problems_;
  bool no_tokenizer_ = false;
};

}  // namespace

void check_needs(const Graph& graph, const StageNode& node) { Needs(graph, node).run(); }

}  // namespace xp::recipe
