#include <map>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Documents of one text file; datasets/README.md describes the format.
class ItemReader {
 public:
  ItemReader(const DataFile& file, std::vector<Document>& out) : file_(file), out_(out) {}

  void line(std::string_view text, std::int64_t number) {
    line_ = number;
    if (trim(text).empty()) return end();
    if (text.starts_with("::")) return directive(text.substr(2));
    if (!item_.text.empty()) item_.text += '\n';
    item_.text += text;
  }

  /// An empty line, or the end of the file.
  void end() {
    if (item_.text.empty() && !seen_.empty()) bad_line(file_, line_, "a document with directives and without text");
    if (!item_.text.empty()) {
      ++number_;
      if (item_.id.empty()) item_.id = std::to_string(number_);
      if (!ids_.insert(item_.id).second)
        bad_line(file_, line_, "the id " + backquoted(item_.id) + " stands twice in this file");
      item_.id = file_.stem() + ":" + item_.id;
      out_.push_back(std::move(item_));
    }
    item_ = {}, seen_.clear();
  }

 private:
  void directive(std::string_view text) {
    const auto space = text.find(' ');
    const auto name = text.substr(0, space);
    const auto value = space == std::string_view::npos ? std::string_view() : trim(text.substr(space));
    auto* const to = name == "id"      ? &item_.id
                     : name == "group" ? &item_.group
                     : name == "title" ? &item_.title
                                       : nullptr;
    if (!to)
      bad_line(file_, line_,
               "unknown directive " + backquoted("::" + std::string(name)) +
                   "; there are `::id`, `::group` and `::title`");
    if (value.empty() || !item_.text.empty() || !seen_.emplace(name).second)
      bad_line(file_, line_,
               backquoted("::" + std::string(name)) + " wants a value, once, and before the text of its document");
    *to = value;
  }

  const DataFile& file_;
  std::vector<Document>& out_;
  Document item_;
  std::set<std::string, std::less<>> seen_;
  std::set<std::string> ids_;
  std::int64_t line_ = 0, number_ = 0;
};

/// Queries that differ in case or spaces only ask for the same.
std::string folded(std::string_view query) {
  std::string out;
  for (const char32_t c : characters(query)) {
    if (!is_white_space(c))
      append_lower(out, c);
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  return std::string(trim(out));
}

/// Known-item search: each document is asked for by a query whose one right answer it is. A document whose query asks
/// for another one too has none, and is there to be passed over.
class KnownItems final : public DataSource {
 public:
  enum class Query : std::uint8_t { title, first_paragraph };
  struct Params {
    std::vector<Value> files;
    Query query = Query::title;
    double held_out = 0.8;
    std::string language, source;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Text files as those of type `text`: paths with `*`.").files().required();
      f.add(&Params::query, "query", "What asks for a document; a first paragraph is taken out of its text.",
            {{"title", Query::title}, {"first_paragraph", Query::first_paragraph}});
      f.add(&Params::held_out, "held_out", "Share of the groups that form the test split, candidates included.")
          .min(0)
          .max(1);
      f.add(&Params::language, "language", "Language of all files (BCP 47); empty: the file's stem.");
      f.add(&Params::source, "source", "Name of the collection, by which results are reported.");
      f.gives("field", "text"), f.gives("field", "query");
      f.gives("split", "train"), f.gives("split", "test");
    }
  };
  explicit KnownItems(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {}

  void for_each(const std::function<void(const Document&)>& visit) const override {
    std::vector<Document> items;
    for (const auto& file : files_) {
      const auto before = items.size();
      ItemReader reader(file, items);
      for_each_line(file, [&](std::string_view line, std::int64_t number) { reader.line(line, number); });
      reader.end();
      for (auto i = before; i < items.size(); ++i)
        items[i].language = p_.language.empty() ? file.stem() : p_.language;
    }
    std::vector<std::string> queries;
    std::map<std::string, int> asked;
    for (auto& item : items) {
      queries.push_back(p_.query == Query::title ? item.title : first_paragraph(item));
      if (!queries.back().empty()) ++asked[folded(queries.back())];
    }
    if (asked.empty())
      throw Error("no document of " + backquoted(files_.front().name) + " has a query; " +
                      (p_.query == Query::title ? "titles are said by `::title`" : "none has two paragraphs"),
                  Exit::data);
    for (std::size_t i = 0; i < items.size(); ++i) {
      auto& item = items[i];
      if (!queries[i].empty() && asked[folded(queries[i])] == 1) item.fields["query"] = queries[i];
      item.source = p_.source;
      item.script = script_of_text(item.text, item.language);
      const auto& group = item.group.empty() ? item.id : item.group;
      item.split = RandomStreams(0, "held_out").child(group).stream().uniform() < p_.held_out ? "test" : "train";
      visit(item);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("known_items").add(p_.query == Query::title ? "title" : "first_paragraph");
    digest.add(number_text(p_.held_out)).add(p_.language).add(p_.source);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  /// Taken out of the text; nothing if no other paragraph is left.
  static std::string first_paragraph(Document& item) {
    const auto end = item.text.find('\n');
    if (end == std::string::npos) return {};
    auto query = item.text.substr(0, end);
    item.text.erase(0, end + 1);
    return query;
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(known_items) {
  registry.add<xp::KnownItems>("known_items", "Documents and the queries whose one right answer they are.");
}
