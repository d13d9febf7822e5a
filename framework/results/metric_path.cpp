#include "results/metric_path.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/text.h"
#include "schema/quantity.h"

namespace xp {
namespace {

constexpr int kMostNested = 8;

// The place of some characters of a text that `whole` covers; `whole` itself where the source spells it with escapes.
SourceSpan inside(const SourceSpan& whole, std::string_view text, std::size_t from, std::size_t length) {
  if (!whole) return whole;
  std::string_view source = whole.source->text;
  for (int line = 1; line < whole.line; ++line) {
    const auto end = source.find('\n');
    if (end == std::string_view::npos) return whole;
    source.remove_prefix(end + 1);
  }
  source = source.substr(0, source.find('\n'));
  const auto start = static_cast<std::size_t>(std::max(whole.column - 1, 0));
  const std::size_t quote = utf8_slice(source, start, 1).find_first_of("\"'") == 0 ? 1 : 0;
  if (utf8_slice(source, start + quote, display_width(text)) != text) return whole;
  SourceSpan place = whole;
  place.column = static_cast<int>(start + quote + display_width(text.substr(0, from)) + 1);
  place.length = std::max(1, static_cast<int>(display_width(text.substr(from, length))));
  return place;
}

bool name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '@' || c == '+' || c == '*';
}

class Parser {
 public:
  Parser(std::string_view text, const SourceSpan& span, Problems& problems)
      : text_(text), span_(span), problems_(problems) {}

  std::optional<MetricPath> whole() {
    auto path = one(0);
    if (!path) return {};
    space();
    if (at_ < text_.size()) return fail(at_, text_.size() - at_, "the path should end here", after(*path));
    return path;
  }

 private:
  static std::string after(const MetricPath& path) {
    return path.form == CurveForm::none ? "a path is `stage.counter` or `stage.evaluator.metric[view]`, then perhaps "
                                          "`.final`, `.best`, `.area(over=COUNTER)` or `.at(COUNTER=NUMBER)`"
                                        : "nothing may follow the form of a curve";
  }

  std::nullopt_t fail(std::size_t from, std::size_t length, const std::string& what, std::string hint) {
    const std::string found = from < text_.size() ? "" : " (the text ends)";
    problems_.error("metric-path", backquoted(printable(text_)) + ": " + what + found,
                    inside(span_, text_, from, length), std::move(hint));
    return std::nullopt;
  }

  void space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    return ++at_, true;
  }
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  std::string_view word() {
    const auto from = at_;
    while (at_ < text_.size() && name_char(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }
  // What stands in brackets; nothing if the bracket is empty or open.
  std::optional<std::string> bracket() {
    const auto from = at_;
    const auto end = text_.find_first_of("[]()", at_ + 1);
    if (end == std::string_view::npos || text_[end] != ']')
      return fail(from, 1, "this bracket is not closed", "write `]` behind the member or the view");
    const auto content = trim(text_.substr(from + 1, end - from - 1));
    if (content.empty())
      return fail(from, end - from + 1, "nothing stands in these brackets", "name one, or `*` for all");
    at_ = end + 1;
    return std::string(content);
  }

  std::optional<MetricPath> one(int depth) {
    space();
    const auto from = at_;
    const auto first = word();
    if (next_is('(')) return mean(first, from, depth);
    MetricPath path;
    if (!stage(first, from, path) || !name(path) || !form(path)) return {};
    path.text = std::string(text_.substr(from, at_ - from));
    return path;
  }

  bool stage(std::string_view first, std::size_t from, MetricPath& path) {
    if (first.empty() || (!std::isalpha(static_cast<unsigned char>(first[0])) && first[0] != '*'))
      return fail(from, std::max<std::size_t>(first.size(), 1), "the name of a stage should stand here",
                  "a path is `stage.counter` or `stage.evaluator.metric[view]`"),
             false;
    path.stage = std::string(first);
    if (next_is('[')) {
      const auto member = bracket();
      if (!member) return false;
      path.stage += "[" + *member + "]";
    }
    if (!next_is('.'))
      return fail(at_, 1, "what of stage " + backquoted(path.stage) + "?",
                  "go on with `.` and a counter (" + listed(counter_names()) + ") or `evaluator.metric`"),
             false;
    return true;
  }

  // Segments up to the form of a curve, or the end.
  bool name(MetricPath& path) {
    while (next_is('.')) {
      const auto dot = at_++;
      const auto from = at_;
      const auto segment = word();
      if (segment.empty()) return fail(from, 1, "a name should follow the point", "`stage.evaluator.metric`"), false;
      const bool form = next_is('(') || segment == "final" || segment == "best";
      if (form && !path.name.empty()) return at_ = dot, true;
      if (form)
        return fail(from, segment.size(), backquoted(segment) + " is a form of a curve, but no curve is named",
                    "`" + path.stage + ".loss." + std::string(segment) + (next_is('(') ? "(...)`" : "`")),
               false;
      if (!path.view.empty())
        return fail(from, segment.size(), "a view ends the name of a metric", "write the view behind the whole name"),
               false;
      path.name += (path.name.empty() ? "" : ".") + std::string(segment);
      if (!next_is('[')) continue;
      auto view = bracket();
      if (!view) return false;
      path.view = std::move(*view);
    }
    return true;
  }

  bool form(MetricPath& path) {
    if (!next_is('.')) return true;
    const auto from = ++at_;
    const auto word_here = word();
    const auto& counters = counter_names();
    if (path.view.empty() && std::find(counters.begin(), counters.end(), path.name) != counters.end() &&
        word_here != "final")
      return fail(from, word_here.size(), "the counter " + backquoted(path.name) + " is no curve",
                  "leave the form away: a counter is what the stage ended with"),
             false;
    if (word_here == "final") return path.form = CurveForm::final, no_argument(word_here);
    if (word_here == "best") return path.form = CurveForm::best, no_argument(word_here);
    if (word_here == "area") return path.form = CurveForm::area, area(path);
    if (word_here == "at") return path.form = CurveForm::at, at(path);
    const auto near = nearest(word_here, {"final", "best", "area", "at"});
    return fail(from, std::max<std::size_t>(word_here.size(), 1), "there is no form " + backquoted(word_here),
                near ? "did you mean `." + *near + "`?"
                     : "forms are `.final`, `.best`, `.area(over=bytes)`, `.at(tokens=0)`"),
           false;
  }

  bool no_argument(std::string_view form) {
    if (next_is('('))
      return fail(at_, 1, "`." + std::string(form) + "` takes nothing in brackets", "leave the brackets away"), false;
    return true;
  }

  bool counter_name(std::string& out, std::string_view example) {
    space();
    const auto from = at_;
    out = std::string(word());
    auto axes = counter_names();
    axes.pop_back();  // seconds_per_step is no counter that grows
    if (std::find(axes.begin(), axes.end(), out) != axes.end()) return true;
    const auto near = nearest(out, axes);
    return fail(from, std::max<std::size_t>(out.size(), 1), "a counter should stand here, not " + backquoted(out),
                near ? "did you mean " + backquoted(*near) + "?"
                     : "as in `" + std::string(example) + "`; counters are " + listed(axes)),
           false;
  }

  bool area(MetricPath& path) {
    constexpr std::string_view kExample = "area(over=bytes)";
    if (!take('(')) return fail(at_, 1, "over which counter?", "write `." + std::string(kExample) + "`"), false;
    space();
    const auto from = at_;
    if (word() != "over" || !take('='))
      return fail(from, 1, "`over=` should stand here", "write `." + std::string(kExample) + "`"), false;
    return counter_name(path.over, kExample) && closing();
  }

  bool at(MetricPath& path) {
    constexpr std::string_view kExample = "at(tokens=200000)";
    if (!take('(')) return fail(at_, 1, "at which point?", "write `." + std::string(kExample) + "`"), false;
    if (!counter_name(path.over, kExample)) return false;
    if (!take('=')) return fail(at_, 1, "`=` should stand here", "write `." + std::string(kExample) + "`"), false;
    space();
    const auto from = at_;
    const auto number = text_.substr(at_, std::min(text_.find_first_of("),", at_), text_.size()) - at_);
    const auto quantity = parse_quantity(trim(number));
    if (!quantity || quantity->unit != Unit::none || quantity->amount < 0)
      return fail(from, std::max<std::size_t>(number.size(), 1), "a number from 0 on should stand here",
                  "write `." + std::string(kExample) + "`; the counter's name is its unit"),
             false;
    path.at = quantity->amount;
    at_ += number.size();
    return closing();
  }

  bool closing() {
    if (take(')')) return true;
    return fail(at_, 1, "`)` should stand here", "close the brackets"), false;
  }

  std::optional<MetricPath> mean(std::string_view function, std::size_t from, int depth) {
    if (function != "mean")
      return fail(from, std::max<std::size_t>(function.size(), 1), "there is no function " + backquoted(function),
                  "`mean(a, b)` is the only one");
    if (depth == kMostNested) return fail(from, 4, "means are nested too deeply", "at most 8 levels");
    ++at_;
    MetricPath path;
    for (;;) {
      space();
      const auto start = at_;
      const auto word_here = word();
      if (word_here == "mix" && take('=')) {
        if (!mix(path)) return {};
        break;
      }
      at_ = start;
      auto part = one(depth + 1);
      if (!part) return {};
      path.parts.push_back(std::move(*part));
      if (!take(',')) break;
    }
    if (!closing()) return {};
    if (path.parts.empty())
      return fail(from, at_ - from, "a mean of nothing", "name at least one path: `mean(a, b)`");
    path.text = std::string(text_.substr(from, at_ - from));
    return path;
  }

  bool mix(MetricPath& path) {
    space();
    const auto from = at_;
    const auto value = word();
    if (value != "true" && value != "false")
      return fail(from, std::max<std::size_t>(value.size(), 1), "`mix` is true or false", "write `mix = true`"),
             false;
    path.mix = value == "true";
    return true;
  }

  std::string_view text_;
  const SourceSpan& span_;
  Problems& problems_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<MetricPath> parse_metric_path(std::string_view text, const SourceSpan& span, Problems& problems) {
  return Parser(text, span, problems).whole();
}

bool names_several(const MetricPath& path) {
  return path.parts.empty() && (path.stage + path.name + path.view).find('*') != std::string::npos;
}

const std::vector<std::string>& counter_names() {
  static const std::vector<std::string> kNames{"steps",           "tokens", "supervised_tokens", "items",   "bytes",
                                               "epochs",          "flops",  "flops_effective",   "seconds", "memory",
                                               "seconds_per_step"};
  return kNames;
}

double counter(const Counters& c, std::string_view name) {
  if (name == "steps") return static_cast<double>(c.steps);
  if (name == "tokens") return static_cast<double>(c.input_tokens);
  if (name == "supervised_tokens") return static_cast<double>(c.supervised_tokens);
  if (name == "items") return static_cast<double>(c.items);
  if (name == "bytes") return static_cast<double>(c.bytes);
  if (name == "epochs") return c.epochs;
  if (name == "flops") return c.flops;
  if (name == "flops_effective") return c.flops_effective;
  if (name == "seconds") return c.seconds;
  if (name == "memory") return c.memory;
  if (name == "seconds_per_step" && c.steps > 0) return c.seconds / static_cast<double>(c.steps);
  if (name == "seconds_per_step") return std::numeric_limits<double>::quiet_NaN();
  throw Error("there is no counter " + backquoted(name) + "; counters are " + listed(counter_names()), Exit::usage);
}

}  // namespace xp
