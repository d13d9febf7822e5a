#include <unicode/ucnv.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{64} << 20;  ///< bytes of a message
constexpr int kDeepest = 8;                               ///< parts inside parts
constexpr std::size_t kRule = 20;                         ///< underscores that list programs put before a footer

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

/// Header fields by name in lower case, unfolded; the first one of a name counts. What stands behind them is the
/// body (RFC 5322, section 2).
struct Entity {
  std::map<std::string, std::string, std::less<>> headers;
  std::string_view body;
  std::string_view envelope;  ///< the line that begins a message in a mailbox file

  std::string header(std::string_view name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

/// The line at the start of `rest`, which moves behind it.
std::string_view next_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  auto line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Entity entity(std::string_view text) {
  Entity out;
  std::string* last = nullptr;
  std::string unread;  // of a field that came before
  for (bool first = true; !text.empty(); first = false) {
    const auto line = next_line(text);
    if (line.empty()) break;
    if (first && line.starts_with("From ")) {
      out.envelope = line;
    } else if (line.front() == ' ' || line.front() == '\t') {
      if (last) *last += " " + std::string(trim(line));
    } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      const auto [at, fresh] = out.headers.try_emplace(lower(trim(line.substr(0, colon))));
      last = fresh ? &at->second : &unread;
      *last = trim(line.substr(colon + 1));
    }
  }
  out.body = text;
  return out;
}

/// `text/plain; charset="us-ascii"`: what stands before the first semicolon, and a parameter's value (RFC 2045,
/// section 5.1).
std::string media_type(std::string_view field) { return lower(trim(field.substr(0, field.find(';')))); }
std::string parameter(const std::string& field, std::string_view name) {
  const auto small = lower(field);
  for (auto at = small.find(';'); at != std::string::npos; at = small.find(';', at + 1)) {
    const auto begin = small.find_first_not_of(" \t", at + 1);
    if (begin == std::string::npos || small.compare(begin, name.size(), name) != 0) continue;
    auto value = trim(std::string_view(field).substr(begin + name.size()));
    if (!value.starts_with('=')) continue;
    value = trim(value.substr(1));
    if (value.starts_with('"')) return std::string(value.substr(1, value.find('"', 1) - 1));
    return std::string(trim(value.substr(0, value.find(';'))));
  }
  return {};
}

/// Quoted-printable (RFC 2045, section 6.7); what is no escape stays.
std::string unescaped(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  std::string out;
  while (!text.empty()) {
    auto line = next_line(text);
    bool joined = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '=' && i + 1 == line.size()) {
        joined = true;
      } else if (line[i] == '=' && i + 2 < line.size() && digit(line[i + 1]) >= 0 && digit(line[i + 2]) >= 0) {
        out += static_cast<char>(digit(line[i + 1]) * 16 + digit(line[i + 2])), i += 2;
      } else {
        out += line[i];
      }
    }
    if (!joined) out += '\n';
  }
  return out;
}

/// UTF-8 of a text in this character set. Without a name, and for names that mail programs of Western Europe put on
/// anything, it is UTF-8 where it can be, else Windows-1252.
std::string utf8(const DataFile& file, std::string_view bytes, const std::string& charset) {
  static const Strings loose{"", "us-ascii", "ascii", "iso-8859-1", "utf-8", "unknown-8bit", "x-unknown"};
  auto name = lower(charset);
  if (std::find(loose.begin(), loose.end(), name) != loose.end()) {
    if (is_utf8(bytes)) return std::string(bytes);
    name = "windows-1252";
  }
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, void (*)(UConverter*)> converter(ucnv_open(name.c_str(), &status), ucnv_close);
  if (U_FAILURE(status))
    throw Error(file.name + ": the character set " + backquoted(printable(charset)) + " is not known", Exit::data);
  const icu::UnicodeString wide(bytes.data(), static_cast<std::int32_t>(bytes.size()), converter.get(), status);
  if (U_FAILURE(status)) throw Error(file.name + ": text that is not " + backquoted(printable(charset)), Exit::data);
  std::string out;
  wide.toUTF8String(out);
  return out;
}

/// The first part that is plain text and not encoded as base64, in UTF-8.
std::optional<std::string> plain_text(const DataFile& file, const Entity& message, int depth = 0) {
  const auto content = message.header("content-type");
  const auto type = content.empty() ? std::string("text/plain") : media_type(content);
  if (type == "text/plain") {
    const auto encoding = lower(trim(message.header("content-transfer-encoding")));
    if (encoding == "base64") return {};
    const auto charset = parameter(content, "charset");
    return encoding == "quoted-printable" ? utf8(file, unescaped(message.body), charset)
                                          : utf8(file, message.body, charset);
  }
  const auto boundary = "--" + parameter(content, "boundary");
  if (!type.starts_with("multipart/") || boundary.size() == 2 || depth == kDeepest) return {};
  auto rest = message.body;
  const char* begin = nullptr;  // of the part that is open
  while (!rest.empty()) {
    const auto line = next_line(rest);
    if (!line.starts_with(boundary)) continue;
    if (begin)
      if (auto text = plain_text(file, entity({begin, static_cast<std::size_t>(line.data() - begin)}), depth + 1))
        return text;
    if (line.substr(boundary.size()).starts_with("--")) return {};
    begin = rest.data();
  }
  return {};
}

/// "2002-08-22" of a date as mail writes them; empty if it is none.
std::string day_of(std::string_view date) {
  static constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                            "jul", "aug", "sep", "oct", "nov", "dec"};
  std::string day, month, year, clean(date);
  std::replace(clean.begin(), clean.end(), ',', ' ');
  for (const auto& word : split(clean, ' ')) {
    const auto known = std::find(kMonths.begin(), kMonths.end(), lower(word));
    const bool digits = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    if (known != kMonths.end() && month.empty()) {
      const auto number = std::to_string(known - kMonths.begin() + 1);
      month = std::string(2 - number.size(), '0') + number;
    } else if (digits && word.size() == 4 && year.empty()) {
      year = word;
    } else if (digits && word.size() <= 2 && day.empty()) {
      day = std::string(2 - word.size(), '0') + word;
    }
  }
  return day.empty() || month.empty() || year.empty() ? std::string() : year + "-" + month + "-" + day;
}

bool is_day(const std::string& text) {
  return text.size() == 10 && text[4] == '-' && text[7] == '-' &&
         std::count_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) == 8;
}

/// The subject without the marks of replies and lists, in lower case: equal in a thread.
std::string thread_of(const std::string& subject) {
  auto rest = trim(std::string_view(subject));
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view mark : {"re:", "fw:", "fwd:", "re :"})
      if (lower(rest.substr(0, mark.size())) == mark) rest = trim(rest.substr(mark.size())), again = true;
    if (const auto end = rest.find(']'); rest.starts_with('[') && end != std::string_view::npos)
      rest = trim(rest.substr(end + 1)), again = true;
  }
  return lower(rest);
}

/// E-mail messages (RFC 5322), a file each: the plain text of the body with what the header says about it.
class Mail final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::string label, dev_from, test_from, language, source;
    bool quotes = false, signatures = false;
    std::int64_t min_chars = 1;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Messages, a file each: paths with `*`.").files().required();
      f.add(&Params::label, "label",
            "Header field that holds the label, such as `list-id` (what stands in angle brackets, where some do). "
            "`reply`: whether a message answers another one (In-Reply-To, References, a subject that begins with "
            "Re:) or is `opening`. Messages without it are left out; empty: no labels.");
      f.add(&Params::quotes, "quotes", "Whether quoted lines (`>`) and the line that announces them are text.");
      f.add(&Params::signatures, "signatures",
            "Whether the lines behind `-- ` or behind a line of underscores, a list's footer, are text.");
      f.add(&Params::min_chars, "min_chars", "Texts with fewer characters are left out.").min(1);
      f.add(&Params::dev_from, "dev_from", "Day (2002-09-21) from which messages are the split `dev`.");
      f.add(&Params::test_from, "test_from",
            "Day from which messages are the split `test`; empty: the framework decides, and threads stay whole.");
      f.add(&Params::language, "language", "Language of all files (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      for (const char* split : {"train", "dev", "test"}) f.gives("split", split, "shares", {{"test_from", {""}}});
      f.gives("field", "text"), f.gives("field", "label");
    }
  };
  explicit Mail(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {
    p_.label = lower(p_.label);
    if (p_.test_from.empty() && p_.dev_from.empty()) return;
    if (!is_day(p_.test_from) || !is_day(p_.dev_from) || p_.dev_from > p_.test_from)
      throw Error("`dev_from` and `test_from` are days in this order, such as 2002-09-21 and 2002-10-01; found " +
                      backquoted(p_.dev_from) + " and " + backquoted(p_.test_from),
                  Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      const auto content = read_text_file(file.path, kMost);
      const auto message = entity(content);
      if (message.headers.empty()) bad_line(file, 1, "no header field; a message begins with `Name: value`");
      if (const auto one = document(file, message)) visit(*one);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("mail").add(p_.label).add(p_.dev_from).add(p_.test_from).add(p_.language).add(p_.source);
    digest.add(std::int64_t{p_.quotes}).add(std::int64_t{p_.signatures}).add(p_.min_chars);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  std::optional<Document> document(const DataFile& file, const Entity& message) const {
    Document out;
    if (!p_.label.empty()) {
      auto label = utf8(file, label_of(message), {});
      if (label.empty()) return {};
      out.fields["label"] = std::move(label);
    }
    const auto body = plain_text(file, message);
    if (!body) return {};
    write(*body, out);
    if (static_cast<std::int64_t>(display_width(out.text)) < p_.min_chars) return {};
    out.id = file.stem();
    out.title = trim(utf8(file, message.header("subject"), {}));
    std::replace_if(
        out.title.begin(), out.title.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    out.language = p_.language, out.source = p_.source;
    out.script = script_of_text(out.text, out.language);
    if (p_.test_from.empty()) {
      out.group = thread_of(out.title);
      return out;
    }
    auto day = day_of(message.envelope);
    if (day.empty()) day = day_of(message.header("date"));
    if (day.empty()) bad_line(file, 1, "the message has no date, and `test_from` splits by date");
    out.split = day >= p_.test_from ? "test" : day >= p_.dev_from ? "dev" : "train";
    return out;
  }

  std::string label_of(const Entity& message) const {
    if (p_.label == "reply") {
      const bool reply = !message.header("in-reply-to").empty() || !message.header("references").empty() ||
                         lower(message.header("subject")).starts_with("re:");
      return reply ? "reply" : "opening";
    }
    const auto value = message.header(p_.label);
    const auto begin = value.rfind('<'), end = value.rfind('>');
    if (begin == std::string::npos || end == std::string::npos || end < begin) return value;
    return value.substr(begin + 1, end - begin - 1);
  }

  // Lines stay lines, since code lives in them; blocks between empty lines are paragraphs.
  void write(std::string_view body, Document& out) const {
    Strings lines;
    while (!body.empty()) {
      std::string line(next_line(body));
      std::replace_if(
          line.begin(), line.end(),
          [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }, ' ');
      const bool rule = line.size() >= kRule && line.find_first_not_of('_') == std::string::npos;
      if (!p_.signatures && (line == "-- " || line == "--" || rule)) break;
      if (!p_.quotes && trim(line).starts_with('>')) {
        if (!lines.empty() && trim(lines.back()).ends_with(':')) lines.pop_back();
        continue;
      }
      lines.push_back(std::move(line));
    }
    bool open = false;
    for (const auto& line : lines) {
      if (trim(line).empty()) {
        open = false;
        continue;
      }
      if (!out.text.empty()) out.text += '\n';
      if (!open) out.annotations.push_back({"paragraph", out.text.size(), 0, {}});
      out.text += line, open = true;
      out.annotations.back().end = out.text.size();
    }
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(mail) { registry.add<xp::Mail>("mail", "E-mail messages: plain text, labelled by a field of the header."); }
