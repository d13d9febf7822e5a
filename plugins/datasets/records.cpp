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

using Json = nlohmann::ordered_json;

/// Columns with a value, in the order of the file. Null, lists and objects are missing values.
using Record = std::vector<std::pair<std::string, std::string>>;

const std::string* value_in(const Record& record, std::string_view column) {
  const auto found = std::find_if(record.begin(), record.end(), [&](const auto& one) { return one.first == column; });
  return found == record.end() ? nullptr : &found->second;
}

/// A sentence with places for values: `{column}`, and `[parts]` that are left out where one of their columns has no
/// value. `{{`, `}}`, `[[` and `]]` stand for single signs.
class Template {
 public:
  explicit Template(const std::string& text) : text_(text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      if (std::string_view("{}[]").find(c) == std::string_view::npos) {
        literal(c);
      } else if (text.substr(at).starts_with(std::string(2, c))) {
        literal(c), ++at;
      } else if (c == '{') {
        at = column(at + 1);
      } else if (c == '}') {
        fault("`}` without `{`; a sign of the text is doubled");
      } else {
        bracket(c == '[');
      }
    }
    if (open_) fault("`[` without `]`");
  }

  bool empty() const { return pieces_.empty(); }
  Strings columns() const {
    Strings out;
    for (const auto& piece : pieces_)
      if (piece.column) out.push_back(piece.text);
    return out;
  }

  /// Throws Error, beginning with `where`, if a column outside brackets has no value.
  std::string fill(const Record& record, const std::string& where) const {
    std::set<int> left_out;
    for (const auto& piece : pieces_) {
      if (!piece.column || value_in(record, piece.text)) continue;
      if (!piece.part)
        throw Error(where + ": no value of " + backquoted(piece.text) +
                        "; in `target` a part that may be missing stands in [brackets]",
                    Exit::data);
      left_out.insert(piece.part);
    }
    std::string out;
    for (const auto& piece : pieces_)
      if (!left_out.contains(piece.part)) out += piece.column ? *value_in(record, piece.text) : piece.text;
    return std::string(trim(out));
  }

 private:
  struct Piece {
    std::string text;  ///< as it is, or the name of a column
    bool column = false;
    int part = 0;  ///< number of the brackets around it; 0: none
  };

  void literal(char c) {
    const int part = open_ ? parts_ : 0;
    if (pieces_.empty() || pieces_.back().column || pieces_.back().part != part) pieces_.push_back({{}, false, part});
    pieces_.back().text += c;
  }
  /// The name from `begin` on; gives the place of its `}`.
  std::size_t column(std::size_t begin) {
    const auto end = text_.find('}', begin);
    if (end == std::string::npos) fault("`{` without `}`");
    if (end == begin) fault("`{}` names no column");
    pieces_.push_back({text_.substr(begin, end - begin), true, open_ ? parts_ : 0});
    return end;
  }
  void bracket(bool opens) {
    if (opens && open_) fault("brackets inside brackets");
    if (!opens && !open_) fault("`]` without `[`; a sign of the text is doubled");
    open_ = opens;
    if (opens) ++parts_;
  }
  [[noreturn]] void fault(const std::string& what) const {
    throw Error("`target` = " + backquoted(text_) + ": " + what, Exit::usage);
  }

  std::string text_;
  std::vector<Piece> pieces_;
  bool open_ = false;
  int parts_ = 0;
};

/// The name of a column as a reader would say it.
std::string spoken(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// "A malibu has Cylinders 8, Year 1970 and Origin USA.": the first column names what the others tell of.
std::string plain_sentence(const Record& record) {
  std::string out = record.front().second;
  for (std::size_t i = 1; i < record.size(); ++i)
    out += (i == 1                   ? " has "
            : i + 1 == record.size() ? " and "
                                     : ", ") +
           spoken(record[i].first) + " " + record[i].second;
  return out + ".";
}

/// Tables as text: a record in one line is the text, a sentence that tells the same the second text.
class Records final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::vector<std::string> columns;
    std::string between = " | ", target, id, group, language, source;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files",
            "Lists of JSON objects (.json) or an object per line (.jsonl), also .zst and .gz: paths with `*`.")
          .files()
          .required();
      f.add(&Params::columns, "columns", "Columns of the text, in this order; none: all, in the order of the file.");
      f.add(&Params::between, "between", "What stands between two columns of the text.");
      f.add(&Params::target, "target",
            "The sentence: `{column}` for values, `[parts]` left out where their column has none; empty: a plain "
            "list of all columns of the text.");
      f.add(&Params::id, "id", "Column of the id; empty: the record's number.");
      f.add(&Params::group, "group", "Column of the group that splits never cut; empty: equal records are a group.");
      f.add(&Params::language, "language", "Language of the sentences (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "text_b");
    }
  };
  explicit Records(Params params) : p_(std::move(params)), files_(data_files(p_.files)), target_(p_.target) {
    for (const auto& column : p_.columns)
      if (std::count(p_.columns.begin(), p_.columns.end(), column) > 1)
        throw Error("`columns` names " + backquoted(column) + " twice", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    check_columns();
    for (const auto& file : files_) {
      std::int64_t number = 0;
      for_each_record(file, [&](const Record& record, const std::string& where) {
        visit(document(stem(file), ++number, record, where));
      });
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("records");
    for (const auto* one : {&p_.between, &p_.target, &p_.id, &p_.group, &p_.language, &p_.source}) digest.add(*one);
    digest.add(join(p_.columns, "\t"));
    for (const auto& file : files_) digest.add(file.name).add(file.content_hash());
    return digest.hex();
  }

 private:
  using Visit = std::function<void(const Record&, const std::string& where)>;

  static std::string stem(const DataFile& file) {
    const auto stem = file.stem();
    return stem.substr(0, stem.find(".json"));
  }

  /// A column that no record has is a misspelt one: in brackets it would be left out everywhere without a word.
  void check_columns() const {
    Strings wanted = target_.columns();
    wanted.insert(wanted.end(), p_.columns.begin(), p_.columns.end());
    for (const auto* one : {&p_.id, &p_.group})
      if (!one->empty()) wanted.push_back(*one);
    if (wanted.empty()) return;
    std::set<std::string> seen;
    for (const auto& file : files_)
      for_each_record(file, [&](const Record& record, const std::string&) {
        for (const auto& [name, value] : record) seen.insert(name);
      });
    for (const auto& one : wanted)
      if (!seen.contains(one))
        throw Error("no record of " + backquoted(files_.front().name) + (files_.size() > 1 ? " and the others" : "") +
                        " has a column " + backquoted(one) + "; there is " + listed({seen.begin(), seen.end()}),
                    Exit::data);
  }

  static void for_each_record(const DataFile& file, const Visit& visit) {
    const auto name = [](std::string_view path, std::string_view ending) {
      for (const char* packing : {"", ".zst", ".gz"})
        if (path.ends_with(std::string(ending) + packing)) return true;
      return false;
    };
    if (name(file.name, ".jsonl"))
      return for_each_line(file, [&](std::string_view line, std::int64_t number) {
        if (trim(line).empty()) return;
        const auto where = file.name + ":" + std::to_string(number);
        visit(record_of(parsed(line, where), where), where);
      });
    if (!name(file.name, ".json")) throw Error(file.name + " ends neither in .json nor in .jsonl", Exit::usage);
    const auto all = parsed(read_text_file(file.path), file.name);
    if (!all.is_array())
      throw Error(file.name + ": records are a list of objects, found " + std::string(all.type_name()), Exit::data);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto where = file.name + ": record " + std::to_string(i + 1);
      visit(record_of(all[i], where), where);
    }
  }

  static Json parsed(std::string_view text, const std::string& where) try {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    // The library says where in the file and what it wanted; its own prefix helps nobody.
    const std::string_view said = error.what();
    const auto rest = said.find("] ");
    throw Error(where + ": not JSON: " + printable(said.substr(rest == std::string_view::npos ? 0 : rest + 2)),
                Exit::data);
  }

  static Record record_of(const Json& object, const std::string& where) {
    if (!object.is_object())
      throw Error(where + ": a record is an object, found " + std::string(object.type_name()), Exit::data);
    Record record;
    for (const auto& [name, value] : object.items()) {
      if (value.is_number() || value.is_boolean()) {
        record.emplace_back(name, value.dump());
      } else if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        for (const char c : text)
          if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            throw Error(where + ": column " + backquoted(name) + " has a control character; a value is one line",
                        Exit::data);
        if (const auto value_text = trim(text); !value_text.empty()) record.emplace_back(name, value_text);
      }
    }
    return record;
  }

  Document document(const std::string& stem, std::int64_t number, const Record& record,
                    const std::string& where) const {
    const auto cell = [&](const std::string& column) {
      const auto* value = value_in(record, column);
      if (!value) throw Error(where + ": no value of " + backquoted(column), Exit::data);
      return *value;
    };
    Record told;
    if (p_.columns.empty()) told = record;
    for (const auto& column : p_.columns)
      if (const auto* value = value_in(record, column)) told.emplace_back(column, *value);
    if (told.empty()) throw Error(where + ": none of the columns has a value", Exit::data);
    Document out;
    out.id = stem + ":" + (p_.id.empty() ? std::to_string(number) : cell(p_.id));
    for (const auto& [name, value] : told) out.text += (out.text.empty() ? "" : p_.between) + name + ": " + value;
    out.fields["text_b"] = target_.empty() ? plain_sentence(told) : target_.fill(record, where);
    if (out.fields["text_b"].empty()) throw Error(where + ": nothing is left of `target`", Exit::data);
    out.group = p_.group.empty() ? "record-" + sha256(out.text).substr(0, 16) : cell(p_.group);
    out.language = p_.language, out.source = p_.source;
    out.script = script_of_text(out.fields["text_b"], p_.language);
    return out;
  }

  Params p_;
  std::vector<DataFile> files_;
  Template target_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(records) {
  registry.add<xp::Records>("records", "Records of JSON: each as one line, and as a sentence that tells the same.");
}
