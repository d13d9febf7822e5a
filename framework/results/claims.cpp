#include "results/claims.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/claims_data.h"
#include "schema/quantity.h"

namespace xp {
namespace {

Value numbers(const std::vector<double>& all) {
  List list;
  for (const double one : all) list.emplace_back(one);
  return list;
}

// JSON has no NaN: what cannot be said is left out.
void put(Table& table, const std::string& key, double value) {
  if (std::isfinite(value)) table[key] = value;
}

Value to_value(const Comparison& one) {
  List pairs;
  for (const auto& name : one.pairs) pairs.emplace_back(name);
  Table out{{"other", one.other},
            {"pairs", std::move(pairs)},
            {"differences", numbers(one.differences)},
            {"needed", static_cast<std::int64_t>(one.needed)}};
  put(out, "mean", one.mean), put(out, "sd", one.sd), put(out, "p", one.p), put(out, "adjusted", one.adjusted);
  put(out, "low", one.interval.low), put(out, "high", one.interval.high);
  return out;
}

std::string line_of(const Verdict& verdict, const std::string& arm, const Comparison& one, bool tested) {
  if (one.pairs.empty()) return {};
  std::string text = "  " + arm + (one.other.empty() ? " (slope)" : " against " + one.other) + ": " +
                     (one.mean >= 0 ? "+" : "") + short_number(one.mean);
  if (!verdict.what.unit.empty()) text += " " + verdict.what.unit;
  if (std::isfinite(one.interval.low))
    text += " (95 % " + short_number(one.interval.low) + " to " + short_number(one.interval.high) + ")";
  text += " over " + count(one.pairs.size(), verdict.claim.unit);
  if (tested && std::isfinite(one.p) && verdict.test != "exact") text += ", p = " + short_number(one.p);
  return text + "\n";
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

void check_test(const ClaimSpec& claim, const SourceSpan& span, Problems& problems) {
  const auto test = test_of(claim);
  const auto wrong = [&](const std::string& message, const std::string& hint) {
    problems.error("claim", "claim " + backquoted(claim.id) + ": " + message, span, hint);
  };
  if (claim.unit == "seed" && one_of(test, {"paired_bootstrap", "mcnemar"}))
    wrong(backquoted(test) + " is a test over items, but `unit` is \"seed\"",
          "a bootstrap over a few seeds rejects true nulls too often; use `sign_flip`, `paired_t` or `wilcoxon`");
  if (claim.unit == "item" && test == "exact")
    wrong("`exact` is for counts that do not vary, but `unit` is \"item\"",
          "use `paired_bootstrap`, `mcnemar` or `sign_flip`");
  if (test == "mcnemar" && claim.margin > 0) wrong("`mcnemar` knows no margin", "use `paired_bootstrap`");
  if (claim.slope && claim.unit == "item")
    wrong("a slope is over seeds, but `unit` is \"item\"", "leave `unit` away");
  if (claim.baseline.empty() && !claim.slope) wrong("it has no `baseline`", "name the arm, or arms, to beat");
  if (claim.baseline.empty() && claim.control) wrong("a control needs a `baseline` that it may not beat", "name one");
  for (const auto& other : claim.baseline)
    if (other == claim.arm) wrong("`arm` and `baseline` are both " + backquoted(other), "compare two arms");
}

void check_reach(const ClaimSpec& claim, std::size_t seeds, const SourceSpan& span, Problems& problems) {
  const auto test = test_of(claim);
  if (seeds == 0 || claim.unit != "seed" || one_of(test, {"paired_bootstrap", "mcnemar"})) return;
  const auto k = static_cast<double>(std::max<std::size_t>(claim.baseline.size(), 1));
  const double reachable = std::min(1.0, smallest_p(test, seeds) * k);
  if (reachable <= claim.alpha) return;
  auto needed = seeds;
  while (smallest_p(test, needed) * k > claim.alpha) ++needed;
  problems.warn("claim-power",
                "claim " + backquoted(claim.id) + " will be UNDECIDED: " + count(seeds, "seed") +
                    (seeds == 1 ? " reaches" : " reach") + " p = " + short_number(reachable) +
                    " at best, above alpha " + number_text(claim.alpha),
                span, count(needed, "seed") + " can decide it");
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  return outcome == Outcome::pass ? "PASS" : outcome == Outcome::fail ? "FAIL" : "UNDECIDED";
}

std::optional<Gate> parse_gate(std::string_view text, const SourceSpan& span, Problems& problems) {
  const auto wrong = [&](const std::string& what) {
    problems.error("gate", backquoted(printable(text)) + ": " + what, span, "as in `pretrain.accuracy > 0.5`");
    return std::nullopt;
  };
  const auto at = text.find_first_of("<>");
  if (at == std::string_view::npos) return wrong("a gate compares with `>`, `>=`, `<` or `<=`");
  const bool equal = at + 1 < text.size() && text[at + 1] == '=';
  const auto bound = trim(text.substr(at + (equal ? 2 : 1)));
  const bool minus = bound.starts_with('-');
  const auto number = parse_quantity(minus ? bound.substr(1) : bound);
  if (!number || !one_of(unit_name(number->unit), {unit_name(Unit::none), unit_name(Unit::percent)}))
    return wrong("a number should follow the comparison");
  const double share = number->unit == Unit::percent ? 0.01 : 1;
  auto path = parse_metric_path(trim(text.substr(0, at)), span, problems);
  if (!path) return {};
  return Gate{std::move(*path), std::string(text.substr(at, equal ? 2 : 1)),
              (minus ? -1 : 1) * share * number->amount};
}

std::optional<SlopeAxis> parse_slope_axis(std::string_view text, const SourceSpan& span, Problems& problems) {
  auto key = trim(text);
  SlopeAxis out;
  if (key.starts_with("log(") && key.ends_with(")")) out.log = true, key = trim(key.substr(4, key.size() - 5));
  const auto parts = split(key, '.');
  const bool good = parts.size() >= 3 && parts[0] == "stage" &&
                    std::all_of(parts.begin(), parts.end(), [](const std::string& part) { return is_name(part); });
  if (!good) {
    problems.error("slope", backquoted(printable(text)) + " is no key that a slope can be over", span,
                   "`stage.NAME.PARAMETER` or `log(stage.NAME.PARAMETER)`");
    return {};
  }
  out.key = std::string(key);
  return out;
}

void check_claim(const ClaimSpec& claim, std::size_t seeds, const SourceSpan& span, Problems& problems) {
  const auto path = parse_metric_path(claim.metric, span, problems);
  if (path && names_several(*path))
    problems.error("claim",
                   "claim " + backquoted(claim.id) + ": " + backquoted(claim.metric) + " names several numbers", span,
                   "write `mean(" + claim.metric + ")`");
  if (path && !claim.exclusive && detail::is_time(*path, {}))
    problems.error("claim", "claim " + backquoted(claim.id) + " is about time", span,
                   "say `exclusive = true` if nothing else runs on the host, or compare FLOPs");
  for (const auto& gate : claim.gate) parse_gate(gate, span, problems);
  if (claim.slope) parse_slope_axis(claim.slope->over, span, problems);
  check_test(claim, span, problems);
  check_reach(claim, seeds, span, problems);
}

std::string to_text(const Verdict& verdict) {
  const auto& claim = verdict.claim;
  std::string out = std::string(outcome_name(verdict.outcome)) + "  " + claim.id;
  if (!claim.says.empty()) out += ": " + claim.says;
  if (!claim.paper.empty()) out += " [" + claim.paper + "]";
  out += "\n  " + claim.metric + ", " + claim.better + " is better, " + verdict.test + ", alpha " +
         number_text(claim.alpha);
  if (claim.margin > 0) out += ", margin " + number_text(claim.margin);
  out += "\n";
  for (const auto& one : verdict.baselines) out += line_of(verdict, claim.arm, one, true);
  if (verdict.control) out += line_of(verdict, claim.arm, *verdict.control, claim.margin == 0);
  for (const auto& one : verdict.control_gains) out += line_of(verdict, claim.control->arm, one, false);
  out += "  " + verdict.reason + "\n";
  for (const auto& note : verdict.notes) out += "  " + note + "\n";
  return out;
}

Value to_value(const Verdict& v) {
  List baselines, gains, notes;
  for (const auto& one : v.baselines) baselines.push_back(to_value(one));
  for (const auto& one : v.control_gains) gains.push_back(to_value(one));
  for (const auto& note : v.notes) notes.emplace_back(note);
  Table out{{"claim", to_value(v.claim)},
            {"outcome", outcome_name(v.outcome)},
            {"reason", v.reason},
            {"test", v.test},
            {"unit", v.what.unit},
            {"baselines", std::move(baselines)},
            {"control_gains", std::move(gains)},
            {"n", static_cast<std::int64_t>(v.n)},
            {"missing", static_cast<std::int64_t>(v.missing)},
            {"notes", std::move(notes)}};
  if (v.control) out["control"] = to_value(*v.control);
  put(out, "p", v.p), put(out, "reachable", v.reachable);
  return out;
}

}  // namespace xp
