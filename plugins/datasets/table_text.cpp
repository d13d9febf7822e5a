#include <nlohmann/json.hpp>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// One record: column name -> text. Of JSON, lists, objects and null are no columns.
using Record = std::map<std::string, std::string, std::less<>>;

/// Cells of one line of CSV (RFC 4180, without line ends inside cells): "a ""b"", c",d.
std::vector<std::string> csv_cells(const DataFile& file, std::string_view line, std::int64_t number) {
  std::vector<std::string> cells(1);
  bool quoted = false, closed = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        cells.back() += c;
      } else if (line.substr(i + 1).starts_with('"')) {
        cells.back() += '"', ++i;
      } else {
        quoted = false, closed = true;
      }
    } else if (c == ',') {
      cells.emplace_back(), closed = false;
    } else if (closed || (c == '"' && !cells.back().empty())) {
      bad_line(file, number,
               "a quote inside a cell; a cell with quotes is quoted as a whole and doubles those inside");
    } else if (c == '"') {
      quoted = true;
    } else {
      cells.back() += c;
    }
  }
  if (quoted) bad_line(file, number, "a quoted cell that does not end on its line; text has no line ends");
  return cells;
}

Record json_record(const DataFile& file, std::string_view line, std::int64_t number) {
  const auto value = nlohmann::json::parse(line, nullptr, false);
  if (!value.is_object())
    bad_line(file, number, "a line is one JSON object, found " + backquoted(utf8_slice(line, 0, 40)));
  Record record;
  for (const auto& [name, cell] : value.items()) {
    if (cell.is_string()) {
      record[name] = cell.get<std::string>();
    } else if (cell.is_number() || cell.is_boolean()) {
      record[name] = cell.dump();
    }
  }
  return record;
}

/// Labelled texts: one record per line, columns by name.
class LabelledText final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::string format = "auto", text = "text", text_b, label = "label", id, group, split, language, source;
    std::vector<std::string> header;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Tables (.tsv, .csv, .jsonl, also .zst and .gz): paths with `*`.")
          .files()
          .required();
      f.add(&Params::format, "format", "How lines are read; auto: by the file's ending.")
          .choices({"auto", "tsv", "csv", "jsonl"});
      f.add(&Params::header, "header", "Names of the columns; none: the first line has them.");
      f.add(&Params::text, "text", "Column of the text.");
      f.add(&Params::text_b, "text_b", "Column of a second text; empty: there is none.");
      f.add(&Params::label, "label", "Column of the label; empty: there is none.");
      f.add(&Params::id, "id", "Column of the id; empty: the record's number.");
      f.add(&Params::group, "group", "Column of the group that splits never cut; empty: each text is its own.");
      f.add(&Params::split, "split_column", "Column that names the split; empty: the framework decides by group.");
      f.add(&Params::language, "language", "Language of all files (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      for (const char* split : {"train", "dev", "test"}) f.gives("split", split, "shares", {{"split_column", {""}}});
      f.gives("field", "text"), f.gives("field", "label");
    }
  };
  explicit LabelledText(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {}

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      const auto format = format_of(file);
      auto columns = p_.header;
      std::int64_t records = 0;
      for_each_line(file, [&](std::string_view line, std::int64_t number) {
        if (line.empty()) return;
        if (format == "jsonl") return visit(document(file, json_record(file, line, number), ++records, number));
        const auto cells = format == "csv" ? csv_cells(file, line, number) : xp::split(line, '\t');
        if (columns.empty()) {
          columns = cells;
          if (std::set<std::string>(cells.begin(), cells.end()).size() != cells.size())
            bad_line(file, number, "two columns have the same name: " + listed(cells));
          return;
        }
        if (cells.size() != columns.size())
          bad_line(file, number, count(cells.size(), "cell") + ", the table has " + count(columns.size(), "column"));
        Record record;
        for (std::size_t i = 0; i < cells.size(); ++i) record[columns[i]] = cells[i];
        visit(document(file, record, ++records, number));
      });
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("labelled_text");
    for (const auto* one :
         {&p_.format, &p_.text, &p_.text_b, &p_.label, &p_.id, &p_.group, &p_.split, &p_.language, &p_.source})
      digest.add(*one);
    digest.add(join(p_.header, "\t"));
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

  Document document(const DataFile& file, const Record& record, std::int64_t number, std::int64_t line) const {
    const auto cell = [&](const std::string& column) -> const std::string& {
      const auto found = record.find(column);
      if (found == record.end()) {
        std::vector<std::string> names;
        for (const auto& [name, value] : record) names.push_back(name);
        bad_line(file, line, "no column " + backquoted(column) + "; there is " + listed(names));
      }
      if (found->second.empty()) bad_line(file, line, "column " + backquoted(column) + " is empty");
      return found->second;
    };
    Document out;
    out.id = file.stem() + ":" + (p_.id.empty() ? std::to_string(number) : cell(p_.id));
    out.text = cell(p_.text);
    if (!p_.text_b.empty()) out.fields["text_b"] = cell(p_.text_b);
    if (!p_.label.empty()) out.fields["label"] = cell(p_.label);
    if (!p_.group.empty()) out.group = cell(p_.group);
    if (!p_.split.empty()) out.split = cell(p_.split);
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
