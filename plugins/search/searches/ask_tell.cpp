#include <algorithm>
#include <cmath>
#include <utility>

#include "axes.h"
#include "base/text.h"
#include "components.h"
#include "line_pipe.h"

namespace xp::searches {
namespace {

constexpr const char* kAnswers = R"({"values": {"KEY": VALUE, ...}} or {"none": true})";

/// An optimiser outside proposes, in lines of JSON: it reads {"ask": {"arm", "number", "axes"}} and answers
/// {"values": {KEY: VALUE, ...}} with a value for every axis whose conditions hold, or {"none": true} when it has no
/// more. It also reads, without an answer, {"tell": {"arm", "number", "done", "goal", "progress"}}, the goal as the
/// recipe means it and only if the trial is done, and {"known": {"arm", "number", "values"}} for trials of an earlier
/// start. The pipe is opened by the first question; what was told before it comes first.
class AskTell final : public Search {
 public:
  struct Params {
    std::string ask, tell;
    static void describe(Fields<Params>& f) {
      f.needs("sweep", "goal");
      f.add(&Params::ask, "ask", "File or FIFO that questions and results are written to; empty: standard output.")
          .no_result();
      f.add(&Params::tell, "tell", "File or FIFO that the optimiser's answers are read from; empty: standard input.")
          .no_result();
    }
  };
  explicit AskTell(Params params) : p_(std::move(params)) {}

  void start(SearchSpace space) override {
    for (const auto& axis : space.axes)
      if (!axis.zip.empty())
        refuse("ask_tell lets the optimiser choose and " + backquoted(axis.key) +
               " has a `zip`; search by grid, list, tpe or at random");
    space_ = std::move(space);
  }

  std::optional<Trial> propose() override {
    if (finished_) return {};
    open();
    List axes;
    for (const auto& axis : space_.axes) axes.push_back(described(axis));
    say("ask", {{"number", next_}, {"axes", std::move(axes)}});
    const auto line = pipe_.read();
    const auto answer = parsed(line);
    if (const auto none = answer.find("none"); none != answer.end() && answer.size() == 1) {
      if (none->second != Value(true)) bad(line, "`none` is true or not there");
      finished_ = true;
      return {};
    }
    const auto values = answer.find("values");
    if (values == answer.end() || answer.size() != 1 || !values->second.as<Table>())
      bad(line, std::string("an answer is ") + kAnswers);
    return Trial{next_++, chosen(*values->second.as<Table>(), line)};
  }

  void tell(const TrialResult& result) override {
    Table said{{"number", result.number}, {"done", result.done}, {"progress", result.progress}};
    if (result.done) said.emplace("goal", space_.higher ? -result.goal : result.goal);
    say("tell", std::move(said));
  }

  void adopt(const Trial& trial) override {
    if (trial.number != next_)
      throw Error("the journal has trial " + std::to_string(trial.number) + " where trial " + std::to_string(next_) +
                      " is next",
                  Exit::verdict);
    Table values(trial.values.begin(), trial.values.end());
    say("known", {{"number", next_++}, {"values", std::move(values)}});
  }

  bool finished() const override { return finished_; }
  bool outside() const override { return true; }

 private:
  static Value described(const SearchAxis& axis) {
    Table out{{"key", axis.key}};
    if (axis.values.empty()) {
      out.insert({{"low", axis.low}, {"high", axis.high}, {"log", axis.logarithmic}, {"whole", axis.whole}});
    } else {
      out.emplace("values", axis.values);
    }
    Table when;
    for (const auto& condition : axis.when) when.emplace(condition.key, condition.values);
    if (!when.empty()) out.emplace("when", std::move(when));
    return out;
  }

  // Only who proposes talks to the optimiser: others, who follow the journal, never come here.
  void open() {
    if (pipe_.is_open()) return;
    pipe_.open(p_.ask, p_.tell);
    for (auto& line : std::exchange(earlier_, {})) send(std::move(line));
  }

  void say(const char* what, Table content) {
    content.emplace("arm", space_.arm);
    auto line = to_json(Value(Table{{what, std::move(content)}}));
    if (pipe_.is_open())
      send(std::move(line));
    else
      earlier_.push_back(std::move(line));
  }

  void send(std::string line) {
    // An optimiser that has no more trials need not wait for the last results.
    if (!pipe_.write(std::move(line)) && !finished_)
      throw Error("the optimiser does not listen any more on " + (p_.ask.empty() ? "standard output" : p_.ask) +
                  "; it ends a sweep by the line {\"none\": true}");
  }

  [[noreturn]] static void bad(const std::string& line, const std::string& right) {
    refuse("the optimiser answered " + backquoted(printable(line)) + "; " + right);
  }

  static Table parsed(const std::string& line) {
    try {
      auto value = value_from_json(line);
      if (auto* table = value.as<Table>()) return std::move(*table);
    } catch (const Error& error) {
      bad(line, std::string(error.what()) + "; an answer is " + kAnswers);
    }
    bad(line, std::string("an answer is ") + kAnswers);
  }

  Values chosen(const Table& given, const std::string& line) const {
    Values out;
    for (const auto& axis : space_.axes) {
      const auto found = given.find(axis.key);
      const bool asked = is_asked(axis, out);
      if (asked && found == given.end()) bad(line, backquoted(axis.key) + " needs a value");
      if (!asked && found != given.end())
        bad(line, backquoted(axis.key) + " has no value here, since what its `when` asks for does not hold");
      if (asked) out.emplace(axis.key, fitted(axis, found->second, line));
    }
    for (const auto& [key, value] : given)
      if (!out.contains(key)) bad(line, "there is no axis " + backquoted(printable(key)));
    return out;
  }

  /// The value as the recipe would write it: that of the list, or of the range's own type.
  static Value fitted(const SearchAxis& axis, const Value& value, const std::string& line) {
    if (!axis.values.empty()) {
      for (const auto& one : axis.values)
        if (same(one, value)) return one;
      bad(line, backquoted(axis.key) + " is one of " + to_text(axis.values));
    }
    const bool fits = value.is_number() && value.number() >= axis.low && value.number() <= axis.high &&
                      (!axis.whole || value.number() == std::floor(value.number()));
    if (!fits)
      bad(line, backquoted(axis.key) + " is a " + (axis.whole ? "whole number" : "number") + " from " +
                    number_text(axis.low) + " to " + number_text(axis.high));
    return axis.whole ? Value(static_cast<std::int64_t>(value.number())) : Value(value.number());
  }

  Params p_;
  SearchSpace space_;
  LinePipe pipe_;
  std::vector<std::string> earlier_;  ///< what is said once the pipe is open
  std::int64_t next_ = 0;
  bool finished_ = false;
};

}  // namespace

void add_ask_tell(Registry& registry) {
  registry.add<AskTell>("ask_tell", "Asks an optimiser outside over a pipe, in lines of JSON.");
}

}  // namespace xp::searches
