#include <algorithm>
#include <map>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// One file from its lines: `key: value` between two lines `---`, then the text. Of the header only values that
/// stand behind their key are kept; lists and blocks below a key are passed over.
class FileReader {
 public:
  explicit FileReader(const DataFile& file) : file_(file) {}

  void line(std::string_view text, std::int64_t number) {
    last_ = number;
    if (state_ == State::start) {
      if (text != "---") bad_line(file_, number, "no header; the first line is `---`");
      state_ = State::header;
    } else if (state_ == State::header) {
      if (text == "---")
        state_ = State::text;
      else
        header(text, number);
    } else if (trim(text).empty()) {
      in_paragraph_ = false;
    } else {
      add(text);
    }
  }

  void end() const {
    if (state_ != State::text) bad_line(file_, last_, "the header has no end, a second line `---`");
  }

  std::map<std::string, std::string, std::less<>> values;
  std::string text;
  std::vector<Annotation> paragraphs;

 private:
  enum class State : std::uint8_t { start, header, text };

  void header(std::string_view line, std::int64_t number) {
    if (trim(line).empty() || line.starts_with(' ') || line.starts_with('\t') || line.starts_with('-') ||
        line.starts_with('#'))
      return;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      bad_line(file_, number, "no `key: value` in the header, found " + backquoted(utf8_slice(line, 0, 40)));
    auto value = trim(line.substr(colon + 1));
    if (value.size() > 1 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    if (value.empty() || value == "|" || value == ">") return;
    if (!values.emplace(trim(line.substr(0, colon)), value).second)
      bad_line(file_, number, "the key " + backquoted(trim(line.substr(0, colon))) + " stands twice");
  }

  // Lines stay lines; an empty one begins another paragraph.
  void add(std::string_view line) {
    if (!text.empty()) text += '\n';
    const auto begin = text.size();
    text += line;
    if (!in_paragraph_) paragraphs.push_back({"paragraph", begin, 0, {}});
    in_paragraph_ = true, paragraphs.back().end = text.size();
  }

  const DataFile& file_;
  State state_ = State::start;
  std::int64_t last_ = 1;
  bool in_paragraph_ = false;
};

/// Files that begin with a header of keys, as static sites and licence collections write them: a document each.
class FrontMatter final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::vector<std::string> label;
    std::string group, language, source;
    std::int64_t min_chars = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Text files with a header: paths with `*`.").files().required();
      f.add(&Params::label, "label",
            "One key: its value is the label. Several: the name of the only one that says `yes` is. Files without a "
            "label are left out; [] gives all files and no labels.");
      f.add(&Params::group, "group", "Key whose value is the group that splits never cut; empty: each file alone.");
      f.add(&Params::min_chars, "min_chars", "Texts with fewer characters are left out.").min(0);
      f.add(&Params::language, "language", "Language of all files (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "label");
    }
  };
  explicit FrontMatter(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {}

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      FileReader reader(file);
      for_each_line(file, [&](std::string_view line, std::int64_t number) { reader.line(line, number); });
      reader.end();
      Document out;
      out.id = file.stem();
      if (!p_.label.empty()) {
        auto label = label_of(reader.values);
        if (label.empty()) continue;
        out.fields["label"] = std::move(label);
      }
      if (reader.text.empty() || static_cast<std::int64_t>(display_width(reader.text)) < p_.min_chars) continue;
      out.text = std::move(reader.text), out.annotations = std::move(reader.paragraphs);
      if (const auto group = reader.values.find(p_.group); group != reader.values.end()) out.group = group->second;
      if (const auto title = reader.values.find("title"); title != reader.values.end()) out.title = title->second;
      out.language = p_.language, out.source = p_.source;
      out.script = script_of_text(out.text, out.language);
      visit(out);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("front_matter").add(join(p_.label, "\n")).add(p_.group).add(p_.language).add(p_.source);
    digest.add(p_.min_chars);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  std::string label_of(const std::map<std::string, std::string, std::less<>>& values) const {
    const auto value = [&](const std::string& key) {
      const auto found = values.find(key);
      return found == values.end() ? std::string() : found->second;
    };
    if (p_.label.size() == 1) return value(p_.label.front());
    std::string out;
    for (const auto& key : p_.label) {
      if (value(key) != "yes" && value(key) != "true") continue;
      if (!out.empty()) return {};
      out = key;
    }
    return out;
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(front_matter) {
  registry.add<xp::FrontMatter>("front_matter", "A document per file, labelled by a header of `key: value`.");
}
