// Verdicts: STATISTICS.md states the rules that stand here.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/claims.h"
#include "results/claims_data.h"

namespace xp {
namespace {

std::string plus(std::vector<std::string> sentences) {
  for (auto& one : sentences)
    if (one.back() != '.') one += '.';
  return join(sentences, " ");
}

std::string at_most(std::vector<std::string> problems, std::size_t most = 4) {
  const auto more = problems.size() > most ? problems.size() - most : 0;
  if (more > 0) problems.resize(most), problems.push_back("and " + std::to_string(more) + " more");
  return join(problems, "; ");
}

std::string p_text(double p) { return std::isnan(p) ? "not defined" : short_number(p); }

class Judge {
 public:
  Judge(const ClaimSpec& claim, const Study& study) : study_(study) {
    verdict_.claim = claim, verdict_.test = test_of(claim);
    Problems problems;
    path_ = parse_metric_path(claim.metric, {}, problems);
    if (!path_) problems_.push_back(problems.list().front().message);
    Problems claims;
    check_claim(claim, 0, {}, claims);
    for (const auto& problem : claims.list())
      if (!problem.warning && path_) problems_.push_back(problem.message);
  }

  /// Values and p values of this claim alone.
  void measure() {
    if (!problems_.empty()) return;
    const auto& claim = verdict_.claim;
    auto others = claim.baseline;
    if (others.empty()) others.push_back("");
    std::vector<double> p;
    for (const auto& other : others) {
      verdict_.baselines.push_back(compare(claim.arm, other, claim.margin));
      p.push_back(verdict_.baselines.back().p);
    }
    if (claim.control) measure_control();
    check_setting();
    const auto adjusted = holm(p);
    verdict_.p = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      verdict_.baselines[i].adjusted = adjusted[i];
      if (std::isnan(p[i]) || std::isnan(verdict_.p))
        verdict_.p = std::nan("");
      else
        verdict_.p = std::max(verdict_.p, adjusted[i]);
    }
    verdict_.n = verdict_.baselines.front().pairs.size();
    for (const auto& one : verdict_.baselines) verdict_.n = std::min(verdict_.n, one.pairs.size());
    verdict_.reachable = std::min(1.0, smallest_p(verdict_.test, verdict_.n) * static_cast<double>(others.size()));
  }

  bool in_family() const { return !verdict_.claim.primary && verdict_.test != "exact"; }
  double p() const { return problems_.empty() && !std::isnan(verdict_.p) ? verdict_.p : 1; }
  double reachable() const { return problems_.empty() ? verdict_.reachable : 1; }

  /// `adjusted` and `reachable`: p and the smallest that it could have been, after Holm's correction over `family`
  /// claims.
  Verdict decide(double adjusted, double reachable, std::size_t family) {
    auto& v = verdict_;
    family_ = family, v.reachable = reachable;
    if (!problems_.empty()) {
      v.p = std::nan("");
      return end(Outcome::undecided, {"This cannot be judged: " + at_most(problems_)});
    }
    if (!std::isnan(v.p)) v.p = adjusted;
    add_notes();
    if (v.test == "exact") return decide_exact();
    if (v.reachable > v.claim.alpha) return too_few();
    if (auto against = contradictions(); !against.empty()) return end(Outcome::fail, std::move(against));
    if (std::isnan(v.p)) return end(Outcome::undecided, {"The test gives no p for these differences: " + no_p()});
    if (v.p > v.claim.alpha) return not_yet(v.baselines, v.p);
    if (v.control && v.claim.margin == 0 && !(v.control->p <= v.claim.alpha))
      return not_yet({*v.control}, v.control->p);
    return end(Outcome::pass, {"p = " + p_text(v.p) + " is at most alpha " + number_text(v.claim.alpha)});
  }

 private:
  Verdict end(Outcome outcome, std::vector<std::string> reasons) {
    verdict_.outcome = outcome, verdict_.reason = plus(std::move(reasons));
    return verdict_;
  }

  Comparison compare(const std::string& arm, const std::string& other, double margin) {
    auto pairs = detail::pairs_of(verdict_.claim, *path_, study_, arm, other);
    Comparison out;
    out.other = other;
    for (auto& problem : pairs.problems)
      if (std::find(problems_.begin(), problems_.end(), problem) == problems_.end()) problems_.push_back(problem);
    if (!pairs.problems.empty()) return out;
    if (verdict_.baselines.empty()) verdict_.what = pairs.what;
    if (pairs.what != verdict_.what)
      problems_.push_back("unlike numbers: " + describe(verdict_.what) + " and " + describe(pairs.what));
    repeated_ = std::max(repeated_, pairs.repeated);
    out.pairs = pairs.names, out.arm = pairs.arm, out.against = pairs.against;
    const double sign = verdict_.claim.better == "higher" ? 1 : -1;
    std::vector<double> shifted;
    for (std::size_t i = 0; i < pairs.arm.size(); ++i) {
      out.differences.push_back(sign * (pairs.arm[i] - pairs.against[i]));
      shifted.push_back(out.differences.back() + margin);
    }
    out.mean = mean_of(out.differences), out.sd = sd_of(out.differences), out.interval = t_interval(out.differences);
    test(shifted, margin, out);
    out.needed = pairs_needed(mean_of(shifted), std::isnan(out.sd) ? 0 : out.sd, strictest(), verdict_.test);
    return out;
  }

  // Holm compares the smallest of k p values with alpha / k.
  double strictest() const {
    return verdict_.claim.alpha / static_cast<double>(std::max<std::size_t>(verdict_.claim.baseline.size(), 1));
  }

  void test(const std::vector<double>& shifted, double margin, Comparison& out) {
    const auto& name = verdict_.test;
    if (name == "sign_flip") out.p = sign_flip(shifted);
    if (name == "paired_t") out.p = paired_t(shifted);
    if (name == "wilcoxon") out.p = wilcoxon(shifted);
    if (name == "paired_bootstrap") {
      const auto bootstrap = paired_bootstrap(shifted);
      out.p = bootstrap.p, out.interval = {bootstrap.interval.low - margin, bootstrap.interval.high - margin};
    }
    if (name == "mcnemar") test_counts(out);
    if (name == "exact") out.p = 0;
  }

  void test_counts(Comparison& out) {
    std::int64_t mine = 0, other = 0;
    for (std::size_t i = 0; i < out.arm.size(); ++i) {
      for (const double value : {out.arm[i], out.against[i]})
        if (value != 0 && value != 1) {
          problems_.push_back("mcnemar needs items that are 0 or 1, but " + backquoted(out.pairs[i]) + " is " +
                              number_text(value) + " (means over seeds are not; use paired_bootstrap)");
          return;
        }
      mine += out.differences[i] > 0, other += out.differences[i] < 0;
    }
    out.p = mcnemar(mine, other);
  }

  void measure_control() {
    const auto& claim = verdict_.claim;
    verdict_.control = compare(claim.arm, claim.control->arm, 0);
    for (const auto& baseline : claim.baseline)
      verdict_.control_gains.push_back(compare(claim.control->arm, baseline, 0));
  }

  void check_setting() {
    const auto& claim = verdict_.claim;
    std::vector<std::string> arms{claim.arm};
    arms.insert(arms.end(), claim.baseline.begin(), claim.baseline.end());
    if (claim.control) arms.push_back(claim.control->arm);
    const auto add = [&](const std::vector<std::string>& some) {
      problems_.insert(problems_.end(), some.begin(), some.end());
    };
    add(detail::failed_gates(claim, study_, arms));
    if (detail::is_time(*path_, verdict_.what)) add(detail::clock_problems(claim, study_, arms));
  }

  void add_notes() {
    const auto& claim = verdict_.claim;
    if (claim.unit == "item") {
      const auto seeds = study_.seeds(claim.arm).size();
      verdict_.notes.push_back("Over items: the " + count(seeds, "training seed") +
                               " stand for themselves, not for others.");
    } else if (const auto shared = shared_stages(study_, claim.arm); !shared.empty()) {
      verdict_.notes.push_back("Not varied over seeds: " + listed(shared) + ".");
    }
    if (repeated_ > 0)
      verdict_.notes.push_back(
          count(repeated_, "seed") +
          " left out: the stages that are compared do not depend on the seed, so each repeats one "
          "measurement.");
    if (claim.baseline.size() > 1)
      verdict_.notes.push_back("Holm over " + count(claim.baseline.size(), "baseline") + ".");
    if (in_family() && family_ > 1)
      verdict_.notes.push_back("Holm over " + count(family_, "claim") + " of the recipe.");
  }

  std::string unit(std::size_t n) const { return count(n, verdict_.claim.unit); }
  std::string named(const Comparison& one) const { return one.other.empty() ? "no slope" : backquoted(one.other); }

  /// What speaks against the claim whatever the number of pairs.
  std::vector<std::string> contradictions() const {
    const auto& claim = verdict_.claim;
    std::vector<std::string> out;
    for (const auto& one : verdict_.baselines) {
      if (one.mean + claim.margin > 0) continue;
      const std::string by = " by " + short_number(std::abs(one.mean));
      out.push_back(claim.margin > 0 ? backquoted(claim.arm) + " is worse than " + named(one) + by +
                                           ", beyond the margin " + number_text(claim.margin)
                    : one.mean < 0 ? backquoted(claim.arm) + " is worse than " + named(one) + by
                                   : backquoted(claim.arm) + " does not differ from " + named(one));
    }
    for (const auto& gain : verdict_.control_gains)
      if (gain.mean > claim.control->margin)
        out.push_back("The control " + backquoted(claim.control->arm) + " gains " + short_number(gain.mean) +
                      " over " + named(gain) + ", more than its margin " + number_text(claim.control->margin) +
                      ": the gain does not come from what the control takes away");
    if (verdict_.control && claim.margin == 0 && verdict_.control->mean <= 0)
      out.push_back(backquoted(claim.arm) + " is no better than its control " + named(*verdict_.control) + " (by " +
                    short_number(verdict_.control->mean) + ")");
    return out;
  }

  Verdict too_few() {
    auto& v = verdict_;
    std::size_t needed = v.n;
    const auto k =
        static_cast<double>(std::max({std::size_t{1}, v.claim.baseline.size(), in_family() ? family_ : 1}));
    while (smallest_p(v.test, needed) * k > v.claim.alpha) ++needed;
    for (const auto& one : v.baselines) needed = std::max(needed, one.needed);
    v.missing = needed - v.n;
    return end(Outcome::undecided, {unit(v.n) + (v.n == 1 ? " reaches" : " reach") +
                                    " p = " + short_number(v.reachable) + " at best, above alpha " +
                                    number_text(v.claim.alpha) + ": " + std::to_string(v.missing) + " more needed"});
  }

  Verdict not_yet(const std::vector<Comparison>& which, double p) {
    auto& v = verdict_;
    std::size_t needed = v.n + 1;
    std::string other;
    for (const auto& one : which) {
      if (!(one.p <= v.claim.alpha) || which.size() == 1) other = named(one);
      needed = std::max(needed, one.needed);
    }
    if (other.empty()) other = "each baseline after correction";
    v.missing = needed - v.n;
    const auto so_far = v.claim.margin > 0 ? "Not below " + other + " by more than " + number_text(v.claim.margin)
                                           : "Better than " + other;
    return end(Outcome::undecided, {so_far + " so far, but p = " + p_text(p) + " is above alpha " +
                                    number_text(v.claim.alpha) + ": about " + unit(needed) +
                                    " needed if the difference is as seen, " + std::to_string(v.missing) + " more"});
  }

  std::string no_p() const {
    return verdict_.test == "paired_t"
               ? "they are all equal, so they have no spread; a count that does not vary takes "
                 "`test = \"exact\"`"
               : "one is not a number";
  }

  Verdict decide_exact() {
    auto& v = verdict_;
    v.p = v.reachable = 0;
    for (const auto& one : v.baselines)
      for (const auto* side : {&one.arm, &one.against})
        for (const double value : *side)
          if (std::abs(value - side->front()) > 1e-9 * std::abs(side->front()))
            return end(Outcome::undecided,
                       {"`exact` is for counts that are equal in every seed, but there are " +
                        number_text(side->front()) + " and " + number_text(value) + "; use `sign_flip`"});
    if (auto against = contradictions(); !against.empty()) return end(Outcome::fail, std::move(against));
    return end(Outcome::pass, {"Counted, not sampled: equal in every seed"});
  }

  const Study& study_;
  Verdict verdict_;
  std::optional<MetricPath> path_;
  std::vector<std::string> problems_;
  std::size_t repeated_ = 0, family_ = 1;
};

}  // namespace

std::vector<Verdict> judge(const std::vector<ClaimSpec>& claims, const Study& study) {
  std::vector<Judge> judges;
  for (const auto& claim : claims) judges.emplace_back(claim, study).measure();
  std::vector<double> seen, best;
  for (const auto& one : judges)
    if (one.in_family()) seen.push_back(one.p()), best.push_back(one.reachable());
  const auto adjusted = holm(seen), reachable = holm(best);
  std::vector<Verdict> out;
  std::size_t next = 0;
  for (auto& one : judges) {
    const bool corrected = one.in_family();
    out.push_back(
        one.decide(corrected ? adjusted[next] : one.p(), corrected ? reachable[next] : one.reachable(), seen.size()));
    if (corrected) ++next;
  }
  return out;
}

std::vector<Verdict> judge(const std::vector<ClaimSpec>& claims, const std::vector<const Result*>& results) {
  return judge(claims, study_of(results));
}

}  // namespace xp
