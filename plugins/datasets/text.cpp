#include "base/text.h"
#include "api/dataset.h"
#include "base/digest.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

#include <set>

namespace xp {
namespace {

/// Builds the documents of one file from its lines; datasets/README.md describes the format.
class DocumentReader {
 public:
  DocumentReader(const DataFile& file, std::string language, std::string source, std::int64_t min_chars,
                 const std::function<void(const Document&)>& visit)
      : file_(file),
        stem_(file.stem()),
        language_(std::move(language)),
        source_(std::move(source)),
        min_chars_(min_chars),
        visit_(visit) {}

  void line(std::string_view text, std::int64_t number) {
    line_ = number;
    if (trim(text).empty()) return end();
    if (text.starts_with("::")) return directive(text.substr(2));
    if (!document_.text.empty()) document_.text += '\n';
    const auto begin = document_.text.size();
    document_.text += text;
    document_.annotations.push_back({"paragraph", begin, document_.text.size(), {}});
  }

  /// An empty line, or the end of the file.
  void end() {
    if (document_.text.empty() && !seen_.empty())
      bad_line(file_, line_, "a document with directives and without text; a paragraph must follow its directives");
    if (!document_.text.empty()) finish();
    document_ = {}, seen_.clear();
  }

 private:
  void directive(std::string_view text) {
    const auto space = text.find(' ');
    const std::string name(text.substr(0, space));
    const std::string value(space == std::string_view::npos ? std::string_view() : trim(text.substr(space)));
    if (name != "id" && name != "group" && name != "title")
      bad_line(file_, line_,
               "unknown directive " + backquoted("::" + name) + "; there are `::id`, `::group` and `::title`");
    if (value.empty()) bad_line(file_, line_, backquoted("::" + name) + " without a value");
    if (!document_.text.empty())
      bad_line(file_, line_, backquoted("::" + name) + " behind text; directives begin a document");
    if (!seen_.insert(name).second) bad_line(file_, line_, backquoted("::" + name) + " stands twice in one document");
    if (name == "id") {
      if (!ids_.insert(value).second)
        bad_line(file_, line_, "the id " + backquoted(value) + " stands twice in this file");
      document_.id = value;
    } else {
      (name == "group" ? document_.group : document_.title) = value;
    }
  }

  void finish() {
    ++number_;
    if (document_.id.empty()) {
      document_.id = std::to_string(number_);
      if (!ids_.insert(document_.id).second)
        bad_line(file_, line_,
                 "document number " + document_.id + " has no id, and another one has its number as id");
    }
    if (static_cast<std::int64_t>(display_width(document_.text)) < min_chars_) return;
    document_.id = stem_ + ":" + document_.id;
    document_.language = language_, document_.source = source_;
    document_.script = script_of_text(document_.text, language_);
    visit_(document_);
  }

  const DataFile& file_;
  std::string stem_, language_, source_;
  std::int64_t min_chars_;
  const std::function<void(const Document&)>& visit_;
  Document document_;
  std::set<std::string> seen_, ids_;
  std::int64_t line_ = 0, number_ = 0;
};

class Text final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::string language, source;
    std::int64_t min_chars = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Text files (.txt, .txt.zst, .txt.gz): paths with `*`.").files().required();
      f.add(&Params::language, "language", "Language of all files (BCP 47); empty: the file's stem.");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.add(&Params::min_chars, "min_chars", "Documents with fewer characters are left out.").min(0);
      f.gives("field", "text");
    }
  };
  explicit Text(Params params) : params_(std::move(params)), files_(data_files(params_.files)) {}

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      DocumentReader reader(file, params_.language.empty() ? file.stem() : params_.language, params_.source,
                            params_.min_chars, visit);
      for_each_line(file, [&](std::string_view line, std::int64_t number) { reader.line(line, number); });
      reader.end();
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("text").add(params_.language).add(params_.source).add(params_.min_chars);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  Params params_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(text) {
  registry.add<xp::Text>("text", "Documents of text files: a paragraph per line, an empty line ends one.");
}
