#include "recipe/toml_reader.h"

#include <toml++/toml.h>
#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace xp::recipe {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 18;  // bytes of one file
constexpr int kDeepest = 32;                            // nested lists, tables and dotted keys

/// Looks at brackets and dotted keys outside strings and comments: toml++ and the destructors of its tables recurse,
/// and bound inline nesting only.
class DepthCheck {
 public:
  explicit DepthCheck(std::string_view text) : text_(text) {}

  /// Line of the first place that is too deep, or 0.
  int run() {
    for (at_ = 0; at_ < text_.size() && !found_; ++at_) step(text_[at_]);
    return found_;
  }

 private:
  void step(char c) {
    switch (c) {
      case '\n': ++line_, dots_ = 0; break;
      case '#': skip_to_line_end(); break;
      case '"':
      case '\'': skip_string(c); break;
      case '[':
      case '{': dots_ = 0, enter(); break;
      case ']':
      case '}': dots_ = 0, open_ = std::max(0, open_ - 1); break;
      case '=':
      case ',': dots_ = 0; break;
      case '.':
        if (++dots_ > kDeepest) found_ = line_;
        break;
      default: break;
    }
  }

  void enter() {
    if (++open_ > kDeepest) found_ = line_;
  }

  void skip_to_line_end() {
    while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool multi = text_.substr(at_, 3) == three;
    at_ += multi ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && quote == '"') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '\n') ++line_;
      } else if (text_[at_] == '\n') {
        ++line_;
        if (!multi) return;  // a syntax error, which the parser reports
      } else if (multi ? text_.substr(at_, 3) == three : text_[at_] == quote) {
        at_ += multi ? 2 : 0;
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1, dots_ = 0, open_ = 0, found_ = 0;
};

SourceSpan span_of(const std::shared_ptr<const SourceText>& source, const toml::source_region& region,
                   int shift = 0) {
  SourceSpan span{source, static_cast<int>(region.begin.line), static_cast<int>(region.begin.column) + shift, 1};
  constexpr int kToLineEnd = 1 << 20;  // messages cut it to the line
  span.length = region.end.line == region.begin.line
                    ? std::max(1, static_cast<int>(region.end.column) - static_cast<int>(region.begin.column))
                    : kToLineEnd;
  return span;
}

class Converter {
 public:
  Converter(const std::shared_ptr<const SourceText>& source, Problems& problems)
      : source_(source), problems_(problems) {}

  Value value(const toml::node& node, int depth) {
    Value out;
    out.span = span_of(source_, node.source());
    if (depth > kDeepest) {
      problems_.error("too-deep", "this is nested deeper than " + std::to_string(kDeepest) + " levels", out.span);
    } else if (const auto* t = node.as_table()) {
      out.data = table(*t, depth + 1);
    } else if (const auto* a = node.as_array()) {
      List list;
      for (const auto& one : *a) list.push_back(value(one, depth + 1));
      out.data = std::move(list);
    } else if (const auto* s = node.as_string()) {
      out.data = s->get();
    } else if (const auto* b = node.as_boolean()) {
      out.data = b->get();
    } else if (const auto* i = node.as_integer()) {
      out.data = i->get();
    } else if (const auto* f = node.as_floating_point()) {
      out.data = f->get();
    } else {
      problems_.error("wrong-type", "a date or a time means nothing in a recipe", out.span,
                      "write it as text, in quotes");
    }
    return out;
  }

  Table table(const toml::table& from, int depth) {
    Table out;
    for (const auto& [key, node] : from) {
      Value one = value(node, depth);
      one.key = span_of(source_, key.source());
      out.emplace(std::string(key.str()), std::move(one));
    }
    return out;
  }

 private:
  const std::shared_ptr<const SourceText>& source_;
  Problems& problems_;
};

void move_to(Value& value, const std::shared_ptr<const SourceText>& source) {
  if (value.span.source) value.span.source = source;
  if (value.key.source) value.key.source = source;
  if (auto* list = value.as<List>())
    for (auto& one : *list) move_to(one, source);
  if (auto* table = value.as<Table>())
    for (auto& [key, one] : *table) move_to(one, source);
}

// toml++ repeats its whole stack in some messages; the first sentence says what is wrong.
std::string syntax_message(std::string_view description) {
  auto text = printable(description.substr(0, description.find('\n')));
  if (text.size() > 200) text = utf8_slice(text, 0, 200) + " ...";
  return "this is not TOML: " + text;
}

}  // namespace

std::optional<Table> read_toml(const std::shared_ptr<const SourceText>& source, Problems& problems) {
  if (source->text.size() > kLargest) {
    problems.error("too-large", source->name + " has " + bytes_text(static_cast<double>(source->text.size())), {},
                   "a recipe has at most 262 kB");
    return {};
  }
  if (!is_utf8(source->text)) {
    problems.error("syntax", source->name + " is not UTF-8 text", {}, "a recipe is a text file in UTF-8");
    return {};
  }
  if (const int line = DepthCheck(source->text).run()) {
    problems.error("too-deep", "this is nested deeper than " + std::to_string(kDeepest) + " levels",
                   {source, line, 1, 1});
    return {};
  }
  try {
    const auto parsed = toml::parse(std::string_view(source->text), std::string_view(source->name));
    return Converter(source, problems).table(parsed, 1);
  } catch (const toml::parse_error& error) {
    problems.error("syntax", syntax_message(error.description()), span_of(source, error.source()));
    return {};
  }
}

Value read_override(const std::shared_ptr<const SourceText>& source, std::string_view text, int column) {
  Problems ignored;  // what is not TOML is text: no mistake
  const SourceSpan place{source, 1, column, std::max(1, static_cast<int>(display_width(text)))};
  Value out{std::string(text)};
  if (is_utf8(text) && !trim(text).empty()) {
    // As many characters in front as the override has, so that columns stay.
    const std::string front(static_cast<std::size_t>(std::max(column - 3, 0)), ' ');
    const auto line =
        std::make_shared<const SourceText>(SourceText{source->name, front + "v=" + std::string(text), true});
    if (auto read = read_toml(line, ignored); read && read->size() == 1 && ignored.empty())
      out = std::move(read->at("v"));
    move_to(out, source);
  }
  out.span = place;
  return out;
}

bool before(const SourceSpan& a, const SourceSpan& b) {
  const auto key = [](const SourceSpan& s) { return std::tuple(s.source ? s.source->order : -1, s.line, s.column); };
  return key(a) < key(b);
}

std::vector<const Table::value_type*> in_source_order(const Table& table) {
  std::vector<const Table::value_type*> out;
  for (const auto& one : table) out.push_back(&one);
  std::stable_sort(out.begin(), out.end(),
                   [](const auto* a, const auto* b) { return before(a->second.key, b->second.key); });
  return out;
}

}  // namespace xp::recipe
