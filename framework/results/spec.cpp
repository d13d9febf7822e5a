#include "results/spec.h"

#include "base/text.h"

namespace xp {
namespace {

// Specifications hold no components.
class NoParts final : public PartMaker {
 public:
  std::unique_ptr<Component> make_part(std::string_view interface, const Table&) const override {
    throw Error("a claim, table or figure holds no component, but a " + std::string(interface) + " was asked for");
  }
};

template <class Spec>
std::vector<Spec> specs_from(const Value& plan, std::string_view key) {
  std::vector<Spec> out;
  const auto* table = plan.as<Table>();
  const auto found = table ? table->find(key) : Table::const_iterator{};
  if (!table || found == table->end()) return out;
  const auto* list = found->second.as<List>();
  if (!list)
    throw Error(
        "the stored plan's " + backquoted(key) + " is a " + std::string(type_name(found->second)) + ", not a list",
        Exit::data);
  Fields<Spec> fields;
  Spec::describe(fields);
  for (const auto& one : *list) {
    const auto* entry = one.as<Table>();
    if (!entry)
      throw Error("an entry of the stored plan's " + backquoted(key) + " is a " + std::string(type_name(one)) +
                      ", not a table",
                  Exit::data);
    Problems problems;
    for (const auto& field : fields.schema().fields)
      if (const auto value = entry->find(field.name); value != entry->end())
        check_value(field, value->second, "the stored plan's " + std::string(key), problems);
    problems.raise("the result was written by another version or damaged", Exit::data);
    out.push_back(fields.bind(*entry, NoParts{}));
  }
  return out;
}

Value texts(const std::vector<std::string>& all) {
  List list;
  for (const auto& one : all) list.emplace_back(one);
  return list;
}

}  // namespace

void ControlSpec::describe(Fields<ControlSpec>& f) {
  f.add(&ControlSpec::arm, "arm", "The arm from which the cause of the claimed gain was taken away.").required();
  f.add(&ControlSpec::expect, "expect",
        "What must hold of it: `no_gain` means that its mean gain over every baseline stays within `margin`.")
      .choices({"no_gain"});
  f.add(&ControlSpec::margin, "margin", "Gain of the control that is put down to chance, in the metric's unit.")
      .min(0);
}

void SlopeSpec::describe(Fields<SlopeSpec>& f) {
  f.add(&SlopeSpec::over, "over",
        "The number that the trend is over, one value per swept member: `stage.synthetic.stop`, or `log(...)` of it.")
      .required();
}

void ClaimSpec::describe(Fields<ClaimSpec>& f) {
  f.add(&ClaimSpec::id, "id", "Name of the claim, by which overlays and reports refer to it.").required();
  f.add(&ClaimSpec::says, "says", "The claim in one sentence, printed beside its verdict.");
  f.add(&ClaimSpec::paper, "paper", "The seed system or paper that makes the claim.");
  f.add(&ClaimSpec::metric, "metric", "Path to the number that decides, such as `score.classification.accuracy`.")
      .required();
  f.add(&ClaimSpec::better, "better", "Which direction of the metric is better.").choices({"higher", "lower"});
  f.add(&ClaimSpec::arm, "arm", "The arm that the claim is about.").required();
  f.add(&ClaimSpec::baseline, "baseline",
        "The arm to beat, or a list of which each must be beaten, with Holm's correction over them.");
  f.add(&ClaimSpec::test, "test",
        "The test; unset it follows `unit`: `sign_flip` over seeds, `paired_bootstrap` over items. `exact` is for "
        "counts "
        "that do not vary.")
      .choices({"", "sign_flip", "paired_t", "wilcoxon", "paired_bootstrap", "mcnemar", "exact"});
  f.add(&ClaimSpec::unit, "unit", "What is drawn at random: training seeds, or the items of a fixed test set.")
      .choices({"seed", "item"});
  f.add(&ClaimSpec::alpha, "alpha", "Error rate at which the claim passes, one-sided.").above(0).below(1);
  f.add(&ClaimSpec::margin, "margin",
        "Loss that is tolerated, in the metric's unit: above 0 the claim is that the arm is not worse by more than "
        "this.")
      .min(0);
  f.add(&ClaimSpec::primary, "primary", "Primary claims are left out of the correction over the recipe's claims.");
  f.add(&ClaimSpec::exclusive, "exclusive",
        "Says that nothing else ran on the host; claims about seconds need it, and one host for all arms.");
  f.add(&ClaimSpec::control, "control", "A negative control, which must not show the gain.");
  f.add(&ClaimSpec::slope, "slope", "Makes the claim one about the trend of the metric over a swept key.");
  f.add(&ClaimSpec::gate, "gate",
        "Conditions such as `pretrain.accuracy > 0.5` without which the comparison means nothing; each must hold in "
        "every "
        "run that the claim reads.");
}

void TableSpec::describe(Fields<TableSpec>& f) {
  f.add(&TableSpec::id, "id", "Name of the table.").required();
  f.add(&TableSpec::title, "title", "Heading of the table.");
  f.add(&TableSpec::rows, "rows",
        "What a row is: `arm`, `seed`, `stage`, or a key of the recipe that arms or sweeps set.");
  f.add(&TableSpec::columns, "columns",
        "Metric paths, one for each column; one with `*` gives a column for each match.")
      .required();
}

void FigureSpec::describe(Fields<FigureSpec>& f) {
  f.add(&FigureSpec::id, "id", "Name of the figure and stem of its file.").required();
  f.add(&FigureSpec::title, "title", "Heading of the figure.");
  f.add(&FigureSpec::x, "x", "Counter of the horizontal axis, such as `adapt.tokens`.").required();
  f.add(&FigureSpec::y, "y", "Path to the curve, such as `adapt.loss`.").required();
  f.add(&FigureSpec::by, "by", "What a line is: the mean over the seeds of an `arm`, or one `seed` of one.")
      .choices({"arm", "seed"});
  f.add(&FigureSpec::log_x, "log_x", "Logarithmic horizontal axis; points at 0 are left out.");
  f.add(&FigureSpec::log_y, "log_y", "Logarithmic vertical axis; points at 0 and below are left out.");
}

std::string test_of(const ClaimSpec& claim) {
  if (!claim.test.empty()) return claim.test;
  return claim.unit == "item" ? "paired_bootstrap" : "sign_flip";
}

std::vector<ClaimSpec> claims_from(const Value& plan) { return specs_from<ClaimSpec>(plan, "claims"); }
std::vector<TableSpec> tables_from(const Value& plan) { return specs_from<TableSpec>(plan, "tables"); }
std::vector<TableSpec> shown_tables(const Value& plan) {
  auto tables = tables_from(plan);
  if (!tables.empty()) return tables;
  TableSpec table;
  table.id = "claims";
  for (const auto& claim : claims_from(plan))
    if (std::find(table.columns.begin(), table.columns.end(), claim.metric) == table.columns.end())
      table.columns.push_back(claim.metric);
  if (!table.columns.empty()) tables.push_back(std::move(table));
  return tables;
}
std::vector<FigureSpec> figures_from(const Value& plan) { return specs_from<FigureSpec>(plan, "figures"); }

Value to_value(const ClaimSpec& c) {
  Table t{{"id", c.id},         {"says", c.says},     {"paper", c.paper},     {"metric", c.metric},
          {"better", c.better}, {"arm", c.arm},       {"test", c.test},       {"unit", c.unit},
          {"alpha", c.alpha},   {"margin", c.margin}, {"primary", c.primary}, {"exclusive", c.exclusive}};
  t["baseline"] = texts(c.baseline), t["gate"] = texts(c.gate);
  if (c.control)
    t["control"] = Table{{"arm", c.control->arm}, {"expect", c.control->expect}, {"margin", c.control->margin}};
  if (c.slope) t["slope"] = Table{{"over", c.slope->over}};
  return t;
}

Value to_value(const TableSpec& t) {
  return Table{{"id", t.id}, {"title", t.title}, {"rows", t.rows}, {"columns", texts(t.columns)}};
}

Value to_value(const FigureSpec& f) {
  return Table{{"id", f.id}, {"title", f.title}, {"x", f.x},        {"y", f.y},
               {"by", f.by}, {"log_x", f.log_x}, {"log_y", f.log_y}};
}

}  // namespace xp
