#include <charconv>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Tagged sentences in columns as in the CoNLL shared tasks (Tjong Kim Sang and De Meulder 2003, section 2.1): a word
/// per line with its tags, an empty line behind each sentence.
class Conll final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::int64_t word = 1, tag = 0;
    std::string kind = "tag", spans, language, source;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Text files (also .zst and .gz): paths with `*`.").files().required();
      f.add(&Params::word, "word", "Column of the word, from 1.").min(1).max(100);
      f.add(&Params::tag, "tag", "Column of the tag, from 1; 0: the last one.").min(0).max(100);
      f.add(&Params::kind, "kind", "Name of the annotation that holds a word's tag.");
      f.add(&Params::spans, "spans",
            "Name of an annotation over each run of words that BIO tags join (`B-person`, `I-person`), with the type "
            "as its value; empty: none.");
      f.add(&Params::language, "language", "Language of all files (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "tag");
    }
  };
  explicit Conll(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {
    if (p_.word == p_.tag) throw Error("`word` and `tag` are the same column", Exit::usage);
    if (p_.spans == p_.kind) throw Error("`spans` and `kind` are the same name", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      Document sentence;
      std::int64_t number = 0;
      const auto end = [&] {
        if (sentence.annotations.empty()) return;
        sentence.id = file.stem() + ":" + std::to_string(++number);
        sentence.language = p_.language, sentence.source = p_.source;
        sentence.script = script_of_text(sentence.text, sentence.language);
        if (!p_.spans.empty()) add_spans(sentence);
        visit(sentence);
        sentence = {};
      };
      for_each_line(file, [&](std::string_view line, std::int64_t at) {
        if (trim(line).empty() || line.starts_with("-DOCSTART-")) return end();
        add_word(file, line, at, sentence);
      });
      end();
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("conll").add(p_.word).add(p_.tag).add(p_.kind).add(p_.spans).add(p_.language).add(p_.source);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  // Columns are parted by tabs where there is one, else by blanks.
  static Strings columns(std::string_view line) {
    Strings out;
    if (line.find('\t') != std::string_view::npos) return split(line, '\t');
    for (auto& cell : split(line, ' '))
      if (!cell.empty()) out.push_back(std::move(cell));
    return out;
  }

  void add_word(const DataFile& file, std::string_view line, std::int64_t at, Document& sentence) const {
    const auto cells = columns(line);
    const auto tag = static_cast<std::size_t>(p_.tag > 0 ? p_.tag : std::ssize(cells)),
               word = static_cast<std::size_t>(p_.word);
    const auto most = std::max(word, tag);
    if (cells.size() < most || word == tag || trim(cells[word - 1]).empty() || trim(cells[tag - 1]).empty())
      bad_line(file, at,
               "no word in column " + std::to_string(word) + " with a tag in " +
                   (p_.tag > 0 ? "column " + std::to_string(tag) : std::string("the last one")) + ", found " +
                   backquoted(utf8_slice(line, 0, 40)));
    if (!sentence.text.empty()) sentence.text += ' ';
    const auto begin = sentence.text.size();
    sentence.text += trim(cells[word - 1]);
    sentence.annotations.push_back({p_.kind, begin, sentence.text.size(), std::string(trim(cells[tag - 1]))});
  }

  // IOB1 and IOB2 alike: a run goes on with I- of the same type, everything else ends it.
  void add_spans(Document& sentence) const {
    std::vector<Annotation> spans;
    std::string open;
    for (const auto& word : sentence.annotations) {
      const auto& tag = word.value;
      const bool begins = tag.starts_with("B-"), inside = tag.starts_with("I-");
      if (!begins && !inside) {
        open.clear();
        continue;
      }
      const auto type = tag.substr(2);
      if (inside && type == open)
        spans.back().end = word.end;
      else
        spans.push_back({p_.spans, word.begin, word.end, type});
      open = type;
    }
    sentence.annotations.insert(sentence.annotations.end(), spans.begin(), spans.end());
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(conll) {
  registry.add<xp::Conll>("conll", "Tagged sentences in columns: a word per line, an empty line behind a sentence.");
}
