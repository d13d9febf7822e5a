#include <memory>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Parts of documents as documents of their own: what a model sees that is trained on single sentences instead of
/// whole texts. Parts of one document are one group, so splits are those of the whole.
class Spans final : public DataSource {
 public:
  struct Params {
    std::unique_ptr<DataSource> documents;
    std::string kind = "sentence";
    static void describe(Fields<Params>& f) {
      f.add(&Params::documents, "documents", "What is cut.").required();
      f.add(&Params::kind, "kind",
            "Kind of the annotations that become documents, such as `paragraph`; `sentence`: by Unicode's rules "
            "within paragraphs, where they are annotated.");
      f.gives("field", "text");
    }
  };
  explicit Spans(Params p) : p_(std::move(p)) {
    if (!p_.documents) throw Error("`documents` is none; a source of documents is needed");
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    p_.documents->for_each([&](const Document& document) {
      Document part = document;
      part.annotations.clear(), part.fields.clear();
      if (part.group.empty()) part.group = document.id;
      std::int64_t number = 0;
      const auto give = [&](std::uint64_t begin, std::uint64_t end) {
        if (begin > end || end > document.text.size())
          throw Error("document " + backquoted(document.id) + " marks a " + p_.kind + " beyond its text", Exit::data);
        const auto text = trim(std::string_view(document.text).substr(begin, end - begin));
        if (text.empty()) return;
        part.id = document.id + "/" + std::to_string(number++), part.text = text;
        visit(part);
      };
      if (p_.kind == "sentence")
        sentences(document, give);
      else
        marked(document, p_.kind, give);
    });
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("spans").add(p_.documents->fingerprint()).add(p_.kind);
    return digest.hex();
  }

 private:
  using Give = std::function<void(std::uint64_t begin, std::uint64_t end)>;

  static bool marked(const Document& document, std::string_view kind, const Give& give) {
    bool any = false;
    for (const auto& mark : document.annotations)
      if (mark.kind == kind) any = true, give(mark.begin, mark.end);
    return any;
  }

  // A sentence of a source that marks none ends with its paragraph at the latest.
  static void sentences(const Document& document, const Give& give) {
    if (marked(document, "sentence", give)) return;
    const auto cut = [&](std::uint64_t begin, std::uint64_t end) {
      if (begin > end || end > document.text.size()) return give(begin, end);  // which says what is wrong
      for (const auto one : sentence_spans(std::string_view(document.text).substr(begin, end - begin)))
        give(begin + one.begin, begin + one.end);
    };
    if (!marked(document, "paragraph", cut)) cut(0, document.text.size());
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(spans) {
  registry.add<xp::Spans>("spans", "Sentences, paragraphs or other marked parts of documents, each a document.");
}
