#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// One record: column name -> text. Of JSON, lists, objects and null are no columns.
using Record = std::map<std::string, std::string, std::less<>>;

/// Puts the records of a CSV file (RFC 4180) together, line by line: "a ""b"", c",d. Cells in quotes may hold line
/// ends; what is handed over has the line where the record begins.
class CsvRecords {
 public:
  using Visit = std::function<void(const std::vector<std::string>& cells, std::int64_t line)>;
  CsvRecords(const DataFile& file, Visit visit) : file_(file), visit_(std::move(visit)) {}

  void line(std::string_view text, std::int64_t number) {
    if (quoted_) {
      cells_.back() += '\n';
    } else {
      if (text.empty()) return;
      cells_.assign(1, {}), begin_ = number, closed_ = false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (quoted_ && text.substr(i).starts_with("\"\"")) {
        cells_.back() += '"', ++i;
      } else {
        take(text[i], number);
      }
    }
    if (!quoted_) visit_(cells_, begin_);
  }

  void end() const {
    if (quoted_) bad_line(file_, begin_, "a quoted cell that does not end; quotes inside a cell are doubled");
  }

 private:
  void take(char c, std::int64_t number) {
    if (quoted_ && c == '"') {
      quoted_ = false, closed_ = true;
    } else if (quoted_) {
      cells_.back() += c;
    } else if (c == ',') {
      cells_.emplace_back(), closed_ = false;
    } else if (closed_ || (c == '"' && !cells_.back().empty())) {
      bad_line(file_, number,
               "a quote inside a cell; a cell with quotes is quoted as a whole and doubles those inside");
    } else if (c == '"') {
      quoted_ = true;
    } else {
      cells_.back() += c;
    }
  }

  const DataFile& file_;
  Visit visit_;
  std::vector<std::string> cells_;
  std::int64_t begin_ = 0;
  bool quoted_ = false, closed_ = false;
};

/// Control characters, which text has none of but tabs and line ends.
bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') || c == 0x7F; }

/// As for_each_line, with a space for each control character.
void for_each_cleaned_line(const DataFile& file, const std::function<void(std::string_view, std::int64_t)>& visit) {
  const auto content = read_text_file(file.path);
  std::string_view rest = content;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    std::string line(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.pop_back();
    std::replace_if(line.begin(), line.end(), is_control, ' ');
    if (!is_utf8(line)) bad_line(file, number, "invalid UTF-8; convert the file to UTF-8");
    visit(line, number);
  }
}

Record json_record(const DataFile& file, std::string_view line, std::int64_t number, bool clean) {
  const auto value = nlohmann::json::parse(line, nullptr, false);
  if (!value.is_object())
    bad_line(file, number, "a line is one JSON object, found " + backquoted(utf8_slice(line, 0, 40)));
  Record record;
  for (const auto& [name, cell] : value.items()) {
    if (cell.is_string()) {
      auto& text = record[name] = cell.get<std::string>();
      if (!clean && std::any_of(text.begin(), text.end(), is_control))
        bad_line(file, number, "column " + backquoted(name) + " has a control character; text has none but tabs");
      std::replace_if(text.begin(), text.end(), is_control, ' ');
    } else if (cell.is_number() || cell.is_boolean()) {
      record[name] = cell.dump();
    }
  }
  return record;
}

/// Labelled texts: a record per text, columns by name.
class LabelledText final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::string format = "auto", text = "text", text_b, label = "label", id, group, split, language, source;
    std::vector<std::string> header;
    bool clean = false;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Tables (.tsv, .csv, .jsonl, also .zst and .gz): paths with `*`.")
          .files()
          .required();
      f.add(&Params::format, "format", "How lines are read; auto: by the file's ending.")
          .choices({"auto", "tsv", "csv", "jsonl"});
      f.add(&Params::header, "header", "Names of the columns; none: the first record has them.");
      f.add(&Params::clean, "clean",
            "Whether control characters, which text has none of, are read as spaces; else they are refused.");
      f.add(&Params::text, "text", "Column of the text.");
      f.add(&Params::text_b, "text_b", "Column of a second text; empty: there is none.");
      f.add(&Params::label, "label", "Column of the label; empty: there is none.");
      f.add(&Params::id, "id", "Column of the id; empty: the record's number.");
      f.add(&Params::group, "group", "Column of the group that splits never cut; empty: equal texts are a group.");
      f.add(&Params::split, "split_column", "Column that names the split; empty: the framework decides by group.");
      f.add(&Params::language, "language", "Language of all files (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      for (const char* split : {"train", "dev", "test"}) f.gives("split", split, "shares", {{"split_column", {""}}});
      f.gives("field", "text"), f.gives("field", "label");
    }
  };
  explicit LabelledText(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {
    if (const auto why = fault(p_.header); !p_.header.empty() && !why.empty())
      throw Error("`header`: " + why, Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      const auto format = format_of(file);
      auto columns = p_.header;
      std::int64_t records = 0;
      const auto row = [&](const std::vector<std::string>& cells, std::int64_t line) {
        if (columns.empty()) {
          if (const auto why = fault(cells); !why.empty())
            bad_line(file, line, why + " in the first record; if it holds no names, say `header`");
          columns = cells;
          return;
        }
        if (cells.size() != columns.size())
          bad_line(file, line, count(cells.size(), "cell") + ", the table has " + count(columns.size(), "column"));
        Record record;
        for (std::size_t i = 0; i < cells.size(); ++i) record[columns[i]] = cells[i];
        visit(document(file, record, ++records, line));
      };
      CsvRecords csv(file, row);
      (p_.clean ? for_each_cleaned_line : for_each_line)(file, [&](std::string_view line, std::int64_t number) {
        if (format == "csv") return csv.line(line, number);
        if (line.empty()) return;
        if (format == "jsonl")
          return visit(document(file, json_record(file, line, number, p_.clean), ++records, number));
        row(xp::split(line, '\t'), number);
      });
      csv.end();
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("labelled_text");
    for (const auto* one :
         {&p_.format, &p_.text, &p_.text_b, &p_.label, &p_.id, &p_.group, &p_.split, &p_.language, &p_.source})
      digest.add(*one);
    digest.add(join(p_.header, "\t")).add(p_.clean ? "clean" : "");
    for (const auto& file : files_) digest.add(file.stem()).add(format_of(file)).add(file.content_hash());
    return digest.hex();
  }

 private:
  std::string format_of(const DataFile& file) const {
    if (p_.format != "auto") return p_.format;
    for (const char* known : {"tsv", "csv", "jsonl"})
      for (const char* packing : {"", ".zst", ".gz"})
        if (file.name.ends_with(std::string(".") + known + packing)) return known;
    throw Error(file.name + " ends neither in .tsv nor in .csv nor in .jsonl; say `format`", Exit::usage);
  }

  /// Why these cannot be the names of the columns, or nothing: a table without names would lose its first text.
  std::string fault(const std::vector<std::string>& names) const {
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
      return "two columns have the same name: " + listed(names);
    for (const auto* wanted : {&p_.text, &p_.text_b, &p_.label, &p_.id, &p_.group, &p_.split})
      if (!wanted->empty() && std::find(names.begin(), names.end(), *wanted) == names.end())
        return "no column " + backquoted(*wanted) + " among the " + std::to_string(names.size());
    return {};
  }

  Document document(const DataFile& file, const Record& record, std::int64_t number, std::int64_t line) const {
    const auto cell = [&](const std::string& column) {
      const auto found = record.find(column);
      if (found == record.end()) {
        std::vector<std::string> names;
        for (const auto& [name, value] : record) names.push_back(name);
        bad_line(file, line, "no column " + backquoted(column) + "; there is " + listed(names));
      }
      const auto text = trim(found->second);
      if (text.empty()) bad_line(file, line, "column " + backquoted(column) + " is empty");
      return std::string(text);
    };
    Document out;
    out.id = file.stem() + ":" + (p_.id.empty() ? std::to_string(number) : cell(p_.id));
    out.text = cell(p_.text);
    if (!p_.text_b.empty()) out.fields["text_b"] = cell(p_.text_b);
    if (!p_.label.empty()) out.fields["label"] = cell(p_.label);
    if (!p_.split.empty()) out.split = cell(p_.split);
    // Texts that stand twice must not be trained on and measured too; a split from the file is the author's decision.
    if (!p_.group.empty())
      out.group = cell(p_.group);
    else if (p_.split.empty())
      out.group = "text-" + sha256(out.text).substr(0, 16);
    out.language = p_.language, out.source = p_.source;
    out.script = script_of_text(out.text, p_.language);
    return out;
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

// The name of the library says what is read, the type what is given.
XP_PLUGIN(table_text) {
  registry.add<xp::LabelledText>("labelled_text",
                                 "Labelled texts of tables: TSV, CSV or JSON lines with named columns.");
}
