#include "recipe/reports.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "recipe/toml_reader.h"
#include "results/statistics.h"

namespace xp::recipe {
namespace {

template <class Spec>
const Schema& schema_of() {
  static const Schema schema = [] {
    Fields<Spec> fields;
    Spec::describe(fields);
    return fields.schema();
  }();
  return schema;
}

// A list, or one value that stands for a list of one; "none" is an empty list.
List items(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  if (found == table.end() || found->second == Value("none")) return {};
  return found->second.as<List>() ? *found->second.as<List>() : List{found->second};
}

class Reader {
 public:
  Reader(const Table& document, const std::vector<Graph>& arms, const Head& head, const ResolveOptions& options,
         Problems& problems)
      : document_(document), arms_(arms), head_(head), options_(options), problems_(problems) {}

  Reports run() {
    entries<ClaimSpec>("claim", [&](const Table& t, const SourceSpan& span) { claim(t, span); });
    if (!options_.smoke && head_.sound) check_power();
    entries<TableSpec>("table", [&](const Table& t, const SourceSpan&) { table(t); });
    entries<FigureSpec>("figure", [&](const Table& t, const SourceSpan&) { figure(t); });
    if (const auto sweep = document_.find("sweep"); sweep != document_.end()) {
      if (options_.sweep.empty())
        read_sweep(sweep->second, arms_, claimed_, out_, problems_);
      else
        read_trial(sweep->second, out_);
    }
    return std::move(out_);
  }

 private:
  template <class Spec, class Take>
  void entries(const std::string& key, Take&& take) {
    const auto found = document_.find(key);
    if (found == document_.end()) return;
    const auto* list = found->second.as<List>();
    if (!list) {
      problems_.error("wrong-type",
                      backquoted(key) + " must be a list of tables, not " + std::string(type_name(found->second)),
                      found->second.span, "write [[" + key + "]]");
      return;
    }
    std::set<std::string> seen;
    for (const auto& one : *list) {
      const FieldInfo field{.name = key, .kind = Kind::table, .fields = schema_of<Spec>().fields};
      if (!check_entry(field, one)) continue;
      const auto& t = *one.as<Table>();
      const auto& id = t.at("id");
      const auto& text = *id.as<std::string>();
      if (!is_name(text))
        problems_.error("bad-name", "a " + key + " cannot have the id " + backquoted(printable(text)), id.span,
                        "a letter, then letters, digits, `_` or `-`, at most 64 in all");
      else if (!seen.insert(text).second)
        problems_.error("duplicate-name", "two " + key + "s have the id " + backquoted(text), id.span,
                        "ids tell them apart");
      take(t, one.span);
    }
  }

  // As check_value, with the entry's id as its name.
  bool check_entry(const FieldInfo& field, const Value& value) {
    const auto* table = value.as<Table>();
    if (!table) return check_value(field, value, "the recipe", problems_);
    const auto id = table->find("id");
    const std::string owner = id != table->end() && id->second.as<std::string>()
                                  ? field.name + " " + backquoted(printable(*id->second.as<std::string>()))
                                  : "the " + field.name;
    bool good = true;
    for (const auto* one : in_source_order(*table)) {
      const auto known =
          std::find_if(field.fields.begin(), field.fields.end(), [&](const auto& f) { return f.name == one->first; });
      if (known == field.fields.end()) {
        report_unknown_key(field.fields, one->first, one->second.key, owner, problems_);
        good = false;
      } else {
        good = check_value(*known, one->second, owner, problems_) && good;
      }
    }
    for (const auto& one : field.fields) {
      if (!one.required || table->contains(one.name)) continue;
      good = false;
      if (follows_from_unknown(field.fields, *table, one.name)) continue;
      problems_.error("missing-key", backquoted(one.name) + " of " + owner + " is missing", value.span,
                      describe(one));
    }
    return good;
  }

  template <class Spec>
  Spec bind(const char* key, const Table& t) {
    const Value plan{Table{{key, Value(List{Value(t)})}}};
    if constexpr (std::is_same_v<Spec, ClaimSpec>)
      return claims_from(plan).front();
    else if constexpr (std::is_same_v<Spec, TableSpec>)
      return tables_from(plan).front();
    else
      return figures_from(plan).front();
  }

  std::optional<MetricPath> path(const Value& value, std::string_view text) {
    auto parsed = parse_metric_path(text, value.span, problems_);
    if (!parsed) return {};
    for (const auto* leaf : leaves(*parsed)) out_.stages.push_back(leaf->stage);
    check_metric(*parsed, value.span, arms_, problems_);
    return parsed;
  }

  void arm_exists(const Value& value) {
    const auto& name = *value.as<std::string>();
    std::vector<std::string> names, group;
    for (const auto& arm : arms_) {
      if (arm.arm().name == name) return;
      names.push_back(arm.arm().name);
      if (arm.arm().group == name) group.push_back(arm.arm().name);
    }
    if (!options_.arms.empty()) return;  // --arm left it out
    problems_.error(
        "unknown-arm", "there is no arm " + backquoted(printable(name)), value.span,
        group.empty() ? suggestion(name, names, "the recipe has no arms") : "it expands to " + listed(group));
  }

  void claim(const Table& t, const SourceSpan& span) {
    auto spec = bind<ClaimSpec>("claims", t);
    const auto& metric = t.at("metric");
    const auto parsed = path(metric, spec.metric);
    arm_exists(t.at("arm"));
    if (const auto all = items(t, "baseline"); !all.empty()) {
      for (const auto& one : all) {
        arm_exists(one);
        if (*one.as<std::string>() == spec.arm)
          problems_.error("bad-claim",
                          "claim " + backquoted(spec.id) + " compares arm " + backquoted(spec.arm) + " with itself",
                          one.span, "name another baseline");
      }
    } else if (!spec.slope) {
      problems_.error("missing-key", "`baseline` of claim " + backquoted(spec.id) + " is missing", span,
                      "the arm to beat, or a list of them; a claim about a trend has `slope` instead");
    }
    if (spec.control) arm_exists(t.at("control").as<Table>()->at("arm"));
    for (const auto& one : items(t, "gate")) check_gate(one);
    if (spec.slope) check_slope(t.at("slope").as<Table>()->at("over"), spec.slope->over);
    if (parsed) check_claim(t, spec, *parsed), claimed_.push_back({*parsed, metric.span});
    claim_spans_.push_back(t.at("id").span);
    out_.claims.push_back(std::move(spec));
  }

  void check_gate(const Value& value) {
    const auto& text = *value.as<std::string>();
    const auto sign = text.find_first_of("<>=!");
    const auto end = sign == std::string::npos ? sign : text.find_first_not_of("<>=!", sign);
    const auto number = end == std::string::npos ? std::nullopt : parse_quantity(text.substr(end));
    static const std::vector<std::string> signs{"<", "<=", ">", ">="};
    const auto written = sign == std::string::npos ? std::string() : text.substr(sign, end - sign);
    if (!number || number->unit != Unit::none || std::find(signs.begin(), signs.end(), written) == signs.end()) {
      problems_.error("bad-gate", backquoted(printable(text)) + " is not a condition", value.span,
                      "such as \"pretrain.accuracy > 0.5\"");
      return;
    }
    path(value, trim(std::string_view(text).substr(0, sign)));
  }

  void check_slope(const Value& value, const std::string& over) {
    std::string_view key = trim(over);
    if (key.starts_with("log(") && key.ends_with(')')) key = trim(key.substr(4, key.size() - 5));
    const auto steps = parse_path(key);
    const bool there = steps && std::any_of(arms_.begin(), arms_.end(),
                                            [&](const Graph& g) { return value_at(g.arm().document, *steps); });
    if (!there)
      problems_.error("unknown-path", backquoted(printable(over)) + " is not in the recipe", value.span,
                      "a key that arms or [[sweep.axis]] set, such as \"log(stage.synthetic.stop)\"");
  }

  void check_claim(const Table& t, const ClaimSpec& spec, const MetricPath& path) {
    const auto& metric = t.at("metric");
    if (names_several(path))
      problems_.error("bad-claim", backquoted(path.text) + " names several numbers, and a claim decides on one",
                      metric.span, "write mean(" + path.text + ")");
    for (const auto* leaf : leaves(path))
      if ((leaf->name == "seconds" || leaf->name == "seconds_per_step" || leaf->over == "seconds") && !spec.exclusive)
        problems_.error("bad-claim", "claim " + backquoted(spec.id) + " compares times", metric.span,
                        "say `exclusive = true` if nothing else runs on the host");
    const bool over_items = spec.test == "paired_bootstrap" || spec.test == "mcnemar";
    if (spec.unit == "seed" && over_items)
      problems_.error("bad-claim",
                      backquoted(spec.test) + " tests items, and claim " + backquoted(spec.id) + " is about seeds",
                      t.at("test").span,
                      "over a few seeds it rejects true nulls too often; use `sign_flip`, or say unit = \"item\"");
    if (spec.unit == "item" && (spec.test == "sign_flip" || spec.test == "paired_t" || spec.test == "wilcoxon"))
      problems_.error("bad-claim",
                      backquoted(spec.test) + " tests seeds, and claim " + backquoted(spec.id) + " is about items",
                      t.at("test").span, "use `paired_bootstrap` or `mcnemar`, or say unit = \"seed\"");
  }

  // The smallest p that each claim can reach with this many seeds, after Holm's correction over its baselines and
  // over the claims that are neither primary nor exact. Over items it is not known before the run.
  const std::vector<double>& smallest(std::size_t seeds) {
    auto& out = smallest_[seeds];
    if (!out.empty()) return out;
    std::vector<double> family;
    for (const auto& spec : out_.claims) {
      const auto comparisons = static_cast<double>(std::max<std::size_t>(spec.baseline.size(), 1));
      out.push_back(spec.unit == "seed" ? std::min(1.0, comparisons * smallest_p(test_of(spec), seeds)) : 0);
      if (in_family(spec)) family.push_back(out.back());
    }
    const auto adjusted = holm(family);
    std::size_t next = 0;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (in_family(out_.claims[i])) out[i] = adjusted[next++];
    return out;
  }

  static bool in_family(const ClaimSpec& spec) { return !spec.primary && test_of(spec) != "exact"; }

  void check_power() {
    const auto seeds = head_.seeds.size();
    const auto& least = smallest(seeds);
    const auto family = std::count_if(out_.claims.begin(), out_.claims.end(), in_family);
    for (std::size_t i = 0; i < least.size(); ++i) {
      const auto& spec = out_.claims[i];
      if (least[i] <= spec.alpha || spec.unit != "seed" || !(spec.alpha > 0)) continue;
      std::string by;
      if (spec.baseline.size() > 1) by += " over " + count(spec.baseline.size(), "baseline");
      if (in_family(spec) && family > 1)
        by += std::string(by.empty() ? "" : " and") + " over " + count(static_cast<std::size_t>(family), "claim");
      if (!by.empty()) by = " with Holm's correction" + by;
      constexpr std::size_t kMostSeeds = 64;
      auto needed = seeds + 1;
      while (needed < kMostSeeds && smallest(needed)[i] > spec.alpha) ++needed;
      problems_.warn("underpowered-claim",
                     "claim " + backquoted(spec.id) + " cannot pass: " + count(seeds, "seed") +
                         (seeds == 1 ? " reaches" : " reach") + " p = " + short_number(least[i]) + " at best" + by +
                         ", above alpha " + number_text(spec.alpha),
                     claim_spans_[i],
                     needed < kMostSeeds ? "it needs " + count(needed, "seed") : "no number of seeds is enough");
    }
  }

  void table(const Table& t) {
    auto spec = bind<TableSpec>("tables", t);
    const auto& columns = t.at("columns");
    const auto all = items(t, "columns");
    if (all.empty())
      problems_.error("missing-key", "table " + backquoted(spec.id) + " has no columns", columns.span,
                      "metric paths, such as \"score.accuracy\"");
    for (const auto& one : all) path(one, *one.as<std::string>());
    if (spec.rows != "arm" && spec.rows != "seed" && spec.rows != "stage") {
      const auto steps = parse_path(spec.rows);
      if (!steps || std::none_of(arms_.begin(), arms_.end(),
                                 [&](const Graph& g) { return value_at(g.arm().document, *steps); }))
        problems_.error("unknown-path",
                        backquoted(printable(spec.rows)) + " cannot be the rows of table " + backquoted(spec.id),
                        t.at("rows").span, "`arm`, `seed`, `stage`, or a key of the recipe");
    }
    out_.tables.push_back(std::move(spec));
  }

  void figure(const Table& t) {
    auto spec = bind<FigureSpec>("figures", t);
    path(t.at("x"), spec.x), path(t.at("y"), spec.y);
    out_.figures.push_back(std::move(spec));
  }

  const Table& document_;
  const std::vector<Graph>& arms_;
  const Head& head_;
  const ResolveOptions& options_;
  Problems& problems_;
  Reports out_;
  std::vector<UsedPath> claimed_;
  std::vector<SourceSpan> claim_spans_;
  std::map<std::size_t, std::vector<double>> smallest_;
};

}  // namespace

Reports read_reports(const Table& document, const std::vector<Graph>& arms, const Head& head,
                     const ResolveOptions& options, Problems& problems) {
  return Reader(document, arms, head, options, problems).run();
}

}  // namespace xp::recipe
