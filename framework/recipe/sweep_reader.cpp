// [sweep] and [[sweep.axis]].
#include <algorithm>
#include <set>

#include "base/text.h"
#include "recipe/reports.h"
#include "recipe/resolver.h"
#include "recipe/toml_reader.h"

namespace xp::recipe {
namespace {

std::vector<FieldInfo> goal_fields() {
  return {{.name = "metric", .kind = Kind::text, .required = true},
          {.name = "better", .kind = Kind::choice, .required = true, .choices = {"higher", "lower"}}};
}

constexpr std::size_t kMostValues = 1000;
constexpr const char* kRanges[] = {"uniform", "log_uniform", "int_uniform", "int_log_uniform"};

std::vector<FieldInfo> axis_fields() {
  std::vector<FieldInfo> out{{.name = "key", .kind = Kind::text, .required = true},
                             {.name = "values", .kind = Kind::anything},
                             {.name = "zip", .kind = Kind::text},
                             {.name = "when", .kind = Kind::anything}};
  for (const char* range : kRanges) {
    const bool whole = std::string_view(range).starts_with("int");
    out.push_back({.name = range, .kind = Kind::list, .fields = {{.kind = whole ? Kind::integer : Kind::real}}});
  }
  return out;
}

std::vector<FieldInfo> sweep_fields() {
  return {{.name = "method", .kind = Kind::part, .interface = "search"},
          {.name = "prune", .kind = Kind::anything},
          {.name = "goal", .kind = Kind::table, .fields = goal_fields()},
          {.name = "launcher", .kind = Kind::part, .interface = "launcher"},
          {.name = "retries", .kind = Kind::anything},
          {.name = "timeout", .kind = Kind::quantity, .units = {Unit::seconds}},
          {.name = "budget", .kind = Kind::quantity, .units = {Unit::seconds}},
          {.name = "axis", .kind = Kind::anything}};
}

class SweepReader {
 public:
  SweepReader(const std::vector<Graph>& arms, const std::vector<UsedPath>& claimed, Reports& out, Problems& problems)
      : arms_(arms), claimed_(claimed), out_(out), problems_(problems) {}

  void run(const Value& value) {
    const auto* table = value.as<Table>();
    if (!table) {
      problems_.error("wrong-type", "`sweep` must be a table, not " + std::string(type_name(value)), value.span,
                      "write [sweep]");
      return;
    }
    for (const auto* one : in_source_order(*table)) key(one->first, one->second);
    const bool misspelt = follows_from_unknown(sweep_fields(), *table, "goal");
    if (table->contains("method") && !table->contains("goal") && !misspelt && wants_goal())
      problems_.error("missing-key", "`goal` of the sweep is missing", table->at("method").key,
                      "such as { metric = \"dev_score.accuracy\", better = \"higher\" }");
    if (table->contains("method") && !table->contains("axis"))
      problems_.error("missing-key", "the sweep has no axes", table->at("method").key,
                      "write [[sweep.axis]] with `key` and `values`, `uniform` or `log_uniform`");
  }

 private:
  void key(const std::string& name, const Value& value) {
    const auto fields = sweep_fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
    if (field == fields.end()) {
      report_unknown_key(fields, name, value.key, "the sweep", problems_);
    } else if (name == "axis") {
      axes(value);
    } else if (name == "retries") {
      retries(value);
    } else if (name == "prune") {
      part(*field, value, arms_.empty() ? "" : "pruner");
    } else if (field->kind == Kind::part) {
      part(*field, value, field->interface);
    } else if (check_value(*field, value, "the sweep", problems_)) {
      out_.sweep.insert_or_assign(name, value);
      if (name == "goal") goal(*value.as<Table>());
    }
  }

  // A component by name or inline; pruners are read without arms at hand as well.
  void part(const FieldInfo& field, const Value& value, const std::string& interface) {
    if (arms_.empty()) return;
    const auto& graph = arms_.front();
    Resolver resolver(graph.world(), graph.names(), nullptr);
    const auto* name = value.as<std::string>();
    const auto* named = name ? graph.names().find(*name) : nullptr;
    const Value* written = named ? named->value : &value;
    if (!written->as<Table>()) {
      problems_.error("wrong-type",
                      backquoted(field.name) + " of the sweep must be a table with `type`, not " + to_text(value),
                      value.span, "such as { type = \"...\" }");
      return;
    }
    if (auto settings = resolver.component({interface}, *written))
      out_.sweep.insert_or_assign(field.name, Value(std::move(*settings)));
  }

  // What a search learns from, it says by a need; without a method or with an unknown one nobody knows.
  bool wants_goal() const {
    const auto method = out_.sweep.find("method");
    const auto* table = method == out_.sweep.end() ? nullptr : method->second.as<Table>();
    const auto* type = table ? table->at("type").as<std::string>() : nullptr;
    const auto* info = type ? arms_.front().world().catalogue.find("search", *type) : nullptr;
    return info && std::any_of(info->schema.needs.begin(), info->schema.needs.end(),
                               [](const Trait& need) { return need.what == "sweep" && need.name == "goal"; });
  }

  // How often a failed trial is tried again: a number for all ways to fail, or one for each.
  void retries(const Value& value) {
    FieldInfo whole{.name = "retries", .kind = Kind::integer, .min = 0}, each{.name = "retries", .kind = Kind::table};
    for (const auto& failure : failure_classes())
      each.fields.push_back({.name = failure, .kind = Kind::integer, .min = 0});
    if (check_value(value.as<Table>() ? each : whole, value, "the sweep", problems_))
      out_.sweep.insert_or_assign("retries", value);
  }

  // (dataset, split) that a path's evaluator reads, over all arms.
  std::set<std::string> splits_of(const MetricPath& path) const {
    std::set<std::string> out;
    for (const auto* leaf : leaves(path))
      for (const auto& arm : arms_)
        for (const auto* node : nodes_of(arm, leaf->stage))
          for (const auto& use : node->inside.evaluators)
            if (fits(leaf->name, use.name + ".*") || fits(use.name + ".", leaf->name))
              collect(Value(use.settings), out);
    return out;
  }

  static void collect(const Value& value, std::set<std::string>& out) {
    if (const auto* reference = value.as<Reference>();
        reference && reference->kind == "dataset" && reference->split != "train")
      out.insert(reference->text.substr(0, reference->text.find_first_of(":#")) + ":" + reference->split);
    if (const auto* list = value.as<List>())
      for (const auto& one : *list) collect(one, out);
    if (const auto* table = value.as<Table>())
      for (const auto& [key, one] : *table) collect(one, out);
  }

  void goal(const Table& table) {
    const auto& metric = table.at("metric");
    const auto path = parse_metric_path(*metric.as<std::string>(), metric.span, problems_);
    if (!path) return;
    for (const auto* leaf : leaves(*path)) out_.stages.push_back(leaf->stage);
    if (!check_metric(*path, metric.span, arms_, problems_)) return;
    const auto read = splits_of(*path);
    for (const auto& claim : claimed_)
      for (const auto& split : splits_of(claim.path))
        if (read.contains(split)) {
          problems_.error(
              "test-split-goal", "the sweep's goal reads " + backquoted(split) + ", which claims read", metric.span,
              "choose by a split that no claim reads, such as \"" + split.substr(0, split.find(':')) + ":dev\"");
          return;
        }
  }

  void axes(const Value& value) {
    const auto* list = value.as<List>();
    if (!list) {
      problems_.error("wrong-type", "`sweep.axis` must be a list of tables, not " + std::string(type_name(value)),
                      value.span, "write [[sweep.axis]]");
      return;
    }
    std::set<std::string> seen;
    for (const auto& one : *list) {
      const FieldInfo field{.name = "axis", .kind = Kind::table, .fields = axis_fields()};
      if (!check_value(field, one, "the sweep", problems_)) continue;
      const auto& table = *one.as<Table>();
      const auto& key = table.at("key");
      if (!seen.insert(*key.as<std::string>()).second)
        problems_.error("duplicate-name", "two axes have the key " + backquoted(printable(*key.as<std::string>())),
                        key.span, "one axis changes one key");
      if (!check_form(table, one.span) || !check_when(table, *list)) continue;
      check_values(table);
      out_.axes.push_back(one);
    }
  }

  bool check_form(const Table& axis, const SourceSpan& span) {
    std::vector<std::string> forms;
    for (const char* form : {"values", "uniform", "log_uniform", "int_uniform", "int_log_uniform"})
      if (axis.contains(form)) forms.emplace_back(form);
    if (forms.size() != 1) {
      problems_.error("bad-axis",
                      forms.empty() ? "an axis needs its values" : "an axis has one form, not " + listed(forms),
                      forms.empty() ? axis.at("key").span : axis.at(forms[1]).key,
                      "one of `values`, `uniform`, `log_uniform`, `int_uniform` and `int_log_uniform`");
      return false;
    }
    const auto& value = axis.at(forms[0]);
    const auto* list = value.as<List>();
    const bool range = forms[0] != "values";
    const auto bad = [&](const std::string& hint) {
      problems_.error("bad-axis", backquoted(forms[0]) + " cannot be " + to_text(value),
                      value.span ? value.span : span, hint);
      return false;
    };
    if (!list || list->empty() || list->size() > kMostValues)
      return bad("a list of at most " + count(kMostValues, "value"));
    if (!range) return true;
    if (list->size() != 2 || !((*list)[0].number() < (*list)[1].number()))
      return bad("the lower and the upper bound");
    if (forms[0].find("log") != std::string::npos && (*list)[0].number() <= 0)
      return bad("bounds of a logarithmic range are > 0");
    return true;
  }

  // `when` names an arm, or the values of another axis.
  bool check_when(const Table& axis, const List& all) {
    const auto when = axis.find("when");
    if (when == axis.end()) return true;
    const auto* table = when->second.as<Table>();
    const auto bad = [&](const SourceSpan& span, const std::string& what) {
      problems_.error(
          "bad-axis", what, span,
          "such as { arm = \"rtd\" }, or { \"stage.pretrain.objective.share\" = [\"none\"] } for another axis");
      return false;
    };
    if (!table || table->empty()) return bad(when->second.span, "`when` must be a table of conditions");
    for (const auto& [key, value] : *table) {
      if (key == "arm") {
        const List names = value.as<List>() ? *value.as<List>() : List{value};
        for (const auto& name : names) {
          const auto* text = name.as<std::string>();
          if (!text || std::none_of(arms_.begin(), arms_.end(),
                                    [&](const Graph& g) { return g.arm().name == *text || g.arm().group == *text; }))
            return bad(name.span, "there is no arm " + to_text(name));
        }
        continue;
      }
      if (std::none_of(all.begin(), all.end(), [&](const Value& other) {
            const auto* t = other.as<Table>();
            const auto* k = t && t->contains("key") ? t->at("key").as<std::string>() : nullptr;
            return k && *k == key;
          }))
        return bad(value.key, "there is no axis " + backquoted(printable(key)));
    }
    return true;
  }

  static bool asked_in(const Table& axis, const Graph& graph) {
    const auto when = axis.find("when");
    const auto* table = when == axis.end() ? nullptr : when->second.as<Table>();
    const auto arm = table ? table->find("arm") : Table::const_iterator{};
    if (!table || arm == table->end()) return true;
    const List names = arm->second.as<List>() ? *arm->second.as<List>() : List{arm->second};
    return std::any_of(names.begin(), names.end(), [&](const Value& name) {
      return *name.as<std::string>() == graph.arm().name || *name.as<std::string>() == graph.arm().group;
    });
  }

  void lacks_key(const Table& axis, const Graph& graph) {
    problems_.error(
        "bad-axis",
        "arm " + backquoted(graph.arm().name) + " has no " + backquoted(printable(*axis.at("key").as<std::string>())),
        axis.at("key").span, "say `when = { arm = [...] }` with the arms that have it");
  }

  /// Puts each value into the recipe of each arm and keeps what is wrong at the axis itself.
  void check_values(const Table& axis) {
    const auto& key = axis.at("key");
    const auto path = parse_path(*key.as<std::string>());
    bool there = false;
    const Graph* without = nullptr;
    for (const auto& graph : arms_) {
      if (!asked_in(axis, graph)) continue;
      const auto* group = path && path->size() > 2 && is_named_group((*path)[0].key)
                              ? value_at(graph.arm().document, {(*path)[0], (*path)[1]})
                              : nullptr;
      if (!group || !group->as<Table>()) {
        without = &graph;
        continue;
      }
      for (const auto& [form, values] : axis) {
        if (form == "key" || form == "when" || !values.as<List>()) continue;
        // All values in the first arm; elsewhere one shows whether the key is there.
        const auto& all = *values.as<List>();
        for (std::size_t i = 0; i < (there ? 1 : all.size()); ++i) try_value(graph, *path, all[i], key.span);
      }
      there = true;
    }
    if (there && without) lacks_key(axis, *without);
    if (!there)
      problems_.error("unknown-path",
                      backquoted(printable(*key.as<std::string>())) + " of an axis is not in the recipe", key.span,
                      "such as \"stage.pretrain.optimizer.lr\"");
  }

  void try_value(const Graph& graph, const std::vector<PathStep>& path, Value value, const SourceSpan& key) {
    Arm arm = graph.arm();
    value.key = key;
    const Table before = arm.document;
    const auto report = [&](const Problem& problem) {
      const auto same = [&](const SourceSpan& span) {
        return span.source == problem.span.source && span.line == problem.span.line &&
               span.column == problem.span.column;
      };
      if (same(value.span) || same(key)) problems_.add(problem);
    };
    if (!put_at(arm.document, path, value, before)) {
      problems_.error("unknown-path", "an axis cannot reach its key", key,
                      "a value that is no table stands in the way");
      return;
    }
    Problems inner;
    Files files = graph.world().files.with(inner);
    const World world{graph.world().catalogue, files, inner};
    const Graph tried(world, arm);
    for (const auto& problem : inner.list()) report(problem);
  }

  const std::vector<Graph>& arms_;
  const std::vector<UsedPath>& claimed_;
  Reports& out_;
  Problems& problems_;
};

}  // namespace

const std::vector<std::string>& failure_classes() {
  static const std::vector<std::string> kAll = {"out_of_memory", "non_finite", "crash", "timeout", "error"};
  return kAll;
}

void read_sweep(const Value& sweep, const std::vector<Graph>& arms, const std::vector<UsedPath>& claimed,
                Reports& out, Problems& problems) {
  SweepReader(arms, claimed, out, problems).run(sweep);
}

void read_trial(const Value& sweep, Reports& out) {
  const auto* table = sweep.as<Table>();
  for (const auto* place : {"goal.metric", "prune.metric"}) {
    const auto* value = table ? find(*table, place) : nullptr;
    const auto* text = value ? value->as<std::string>() : nullptr;
    Problems ignored;  // the sweep was read before its trials
    if (const auto path = text ? parse_metric_path(*text, {}, ignored) : std::nullopt)
      for (const auto* leaf : leaves(*path)) out.stages.push_back(leaf->stage);
  }
}

}  // namespace xp::recipe
