#include "base/error.h"

#include <algorithm>

#include "base/text.h"

namespace xp {
namespace {

std::string line_of(const SourceText& source, int line) {
  std::size_t begin = 0;
  for (int i = 1; i < line && begin != std::string::npos; ++i) {
    const auto end = source.text.find('\n', begin);
    begin = end == std::string::npos ? end : end + 1;
  }
  if (begin == std::string::npos) return {};
  std::string text = source.text.substr(begin, source.text.find('\n', begin) - begin);
  if (text.ends_with('\r')) text.pop_back();
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

// A long line is shown around the place only, so that a message stays readable.
constexpr std::size_t kWidest = 160;

void show_place(std::string& out, const Problem& problem) {
  const auto& span = problem.span;
  out += "  --> " + span.source->name;
  if (!span.source->overlay) out += ":" + std::to_string(span.line) + ":" + std::to_string(span.column);
  const std::string number = span.source->overlay ? "" : std::to_string(span.line);
  const std::string margin(number.size(), ' ');
  auto line = line_of(*span.source, span.line);
  auto column = static_cast<std::size_t>(std::max(span.column, 1) - 1);
  const auto width = display_width(line);
  if (width > kWidest) {
    const auto from = column > 40 ? column - 40 : 0;
    line = utf8_slice(line, from, kWidest);
    column -= from;
  }
  const auto room = std::max<std::size_t>(display_width(line) > column ? display_width(line) - column : 1, 1);
  const auto carets = std::min<std::size_t>(static_cast<std::size_t>(std::max(span.length, 1)), room);
  out += "\n" + number + " | " + line + "\n" + margin + " | " + std::string(column, ' ') + std::string(carets, '^');
  if (!problem.hint.empty()) out += " " + problem.hint;
  out += "\n";
}

}  // namespace

Error::~Error() = default;

void Problems::add(Problem problem) {
  const auto same = [&](const Problem& other) {
    return other.code == problem.code && other.message == problem.message &&
           other.span.source == problem.span.source && other.span.line == problem.span.line &&
           other.span.column == problem.span.column;
  };
  constexpr std::size_t kMostKept = 1000;  // far more than anybody reads; comparing with all of them would take long
  if (problems_.size() >= kMostKept) {
    if (!problem.warning) ++errors_;
    return;
  }
  if (std::any_of(problems_.begin(), problems_.end(), same)) return;  // every arm and seed meets the same mistake
  if (!problem.warning) ++errors_;
  problems_.push_back(std::move(problem));
}

void Problems::error(std::string code, std::string message, SourceSpan span, std::string hint) {
  add({std::move(code), std::move(message), std::move(span), std::move(hint), false});
}

void Problems::warn(std::string code, std::string message, SourceSpan span, std::string hint) {
  add({std::move(code), std::move(message), std::move(span), std::move(hint), true});
}

std::string Problems::text(std::string_view outcome, std::size_t most) const {
  auto sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    if (a.warning != b.warning) return !a.warning;
    if (a.span.source != b.span.source) {
      if (!a.span.source || !b.span.source)
        return static_cast<bool>(a.span.source) > static_cast<bool>(b.span.source);
      if (a.span.source->name != b.span.source->name) return a.span.source->name < b.span.source->name;
    }
    return std::pair(a.span.line, a.span.column) < std::pair(b.span.line, b.span.column);
  });
  std::string out;
  for (std::size_t i = 0; i < std::min(most, sorted.size()); ++i) {
    const auto& problem = sorted[i];
    out += (problem.warning ? "warning[" : "error[") + problem.code + "]: " + problem.message + "\n";
    if (problem.span)
      show_place(out, problem);
    else if (!problem.hint.empty())
      out += "  = " + problem.hint + "\n";
  }
  if (sorted.size() > most) out += "... and " + std::to_string(sorted.size() - most) + " more\n";
  if (errors_ > 0) out += count(errors_, "error") + ", " + std::string(outcome) + "\n";
  return out;
}

void Problems::raise(std::string_view outcome, Exit exit) const {
  if (errors_ > 0) throw Error(text(outcome), exit);
}

}  // namespace xp
