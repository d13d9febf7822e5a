#include <map>
#include <optional>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// One [Term] of a file.
struct Term {
  std::int64_t line = 0;
  std::string id, name, definition, comment;
  Strings synonyms, parents;
  bool obsolete = false;
};

/// What `"..."` at the start of a value holds, with `\"`, `\\` and the like resolved; nothing if it does not end.
std::optional<std::string> quoted(std::string_view value) {
  if (!value.starts_with('"')) return {};
  std::string out;
  for (std::size_t i = 1; i < value.size(); ++i) {
    if (value[i] == '"') return out;
    if (value[i] == '\\' && i + 1 < value.size()) {
      const char next = value[++i];
      out += next == 'n' || next == 't' || next == 'W' ? ' ' : next;
    } else {
      out += value[i];
    }
  }
  return {};
}

/// Terms of one file from its lines: stanzas of `tag: value` under [Term]; header and other stanzas are passed over.
class TermReader {
 public:
  explicit TermReader(const DataFile& file) : file_(file) {}

  void line(std::string_view text, std::int64_t number) {
    text = trim(text);
    if (text.empty() || text.starts_with('!')) return;
    if (text.starts_with('[')) {
      in_term_ = text == "[Term]";
      if (in_term_) terms.emplace_back().line = number;
      return;
    }
    if (!in_term_) return;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
      bad_line(file_, number, "no `tag: value`, found " + backquoted(utf8_slice(text, 0, 40)));
    take(text.substr(0, colon), trim(text.substr(colon + 1)), number);
  }

  std::vector<Term> terms;

 private:
  void take(std::string_view tag, std::string_view value, std::int64_t number) {
    auto& term = terms.back();
    const auto once = [&](std::string& to, std::string found) {
      if (!to.empty()) bad_line(file_, number, backquoted(tag) + " stands twice in one term");
      to = std::move(found);
    };
    const auto text = [&] {
      auto found = quoted(value);
      if (!found) bad_line(file_, number, backquoted(tag) + " without its text in quotes");
      return *found;
    };
    if (tag == "id") {
      once(term.id, std::string(value));
    } else if (tag == "name") {
      once(term.name, std::string(value));
    } else if (tag == "def") {
      once(term.definition, text());
    } else if (tag == "comment") {
      once(term.comment, std::string(value));
    } else if (tag == "synonym") {
      term.synonyms.push_back(text());
    } else if (tag == "is_a") {
      term.parents.emplace_back(value.substr(0, value.find_first_of(" {!")));
    } else if (tag == "is_obsolete") {
      term.obsolete = value.starts_with("true");
    }
  }

  const DataFile& file_;
  bool in_term_ = false;
};

/// For each term the children of a root that it descends from.
class Branches {
 public:
  Branches(const std::map<std::string, const Term*>& terms, std::string root)
      : terms_(terms), root_(std::move(root)) {}

  const std::set<std::string>& of(const std::string& id) {
    const auto [at, fresh] = known_.try_emplace(id);
    if (!fresh) return at->second;  // a cycle meets its own empty set and ends
    const auto term = terms_.find(id);
    if (term == terms_.end()) return at->second;
    std::set<std::string> out;
    for (const auto& parent : term->second->parents) {
      if (parent == root_)
        out.insert(id);
      else
        out.merge(std::set<std::string>(of(parent)));
    }
    return known_[id] = std::move(out);
  }

 private:
  const std::map<std::string, const Term*>& terms_;
  std::string root_;
  std::map<std::string, std::set<std::string>> known_;
};

/// An ontology in the OBO flat file format (1.4): a document for each term that is not obsolete.
class Obo final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::vector<std::string> parts = {"name", "def", "comment", "synonym"};
    std::string root, language = "en", source;
    std::int64_t most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Ontologies (.obo, also .zst and .gz): paths with `*`.").files().required();
      f.add(&Params::parts, "parts",
            "What of a term is text, a paragraph each and in this order; terms with none of it are left out.")
          .choices({"name", "def", "comment", "synonym"});
      f.add(&Params::root, "root",
            "Id of a term whose children are classes: each term gets the name of the one that it descends from by "
            "is_a as its label; terms below none or several are left out. Empty: all terms, without labels.");
      f.add(&Params::most, "most", "Terms of each file that are given, the first ones; 0: all.").min(0);
      f.add(&Params::language, "language", "Language of the text (BCP 47).");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "label");
    }
  };
  explicit Obo(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {
    if (p_.parts.empty()) throw Error("`parts` is empty; a term's text is made of at least one", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      TermReader reader(file);
      for_each_line(file, [&](std::string_view line, std::int64_t number) { reader.line(line, number); });
      give(file, reader.terms, visit);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("obo").add(join(p_.parts, ",")).add(p_.root).add(p_.language).add(p_.source).add(p_.most);
    for (const auto& file : files_) digest.add(file.content_hash());
    return digest.hex();
  }

 private:
  void give(const DataFile& file, const std::vector<Term>& terms,
            const std::function<void(const Document&)>& visit) const {
    std::map<std::string, const Term*> by_id;
    for (const auto& term : terms) {
      if (term.id.empty()) bad_line(file, term.line, "a term without an `id`");
      if (!by_id.emplace(term.id, &term).second) bad_line(file, term.line, "a second term " + backquoted(term.id));
    }
    if (!p_.root.empty() && !by_id.contains(p_.root))
      throw Error(file.name + " has no term " + backquoted(p_.root) + ", which `root` names", Exit::data);
    Branches branches(by_id, p_.root);
    std::int64_t given = 0;
    for (const auto& term : terms) {
      if (term.obsolete || (p_.most > 0 && given == p_.most)) continue;
      auto one = document(term);
      if (one.text.empty()) continue;
      if (!p_.root.empty()) {
        const auto& classes = branches.of(term.id);
        if (classes.size() != 1) continue;
        one.fields["label"] = by_id.at(*classes.begin())->name;
      }
      ++given, visit(one);
    }
  }

  Document document(const Term& term) const {
    Document out;
    out.id = term.id, out.title = term.name;
    out.language = p_.language, out.source = p_.source;
    const auto paragraph = [&](const std::string& text) {
      if (trim(text).empty()) return;
      if (!out.text.empty()) out.text += '\n';
      const auto begin = out.text.size();
      out.text += text;
      out.annotations.push_back({"paragraph", begin, out.text.size(), {}});
    };
    for (const auto& part : p_.parts) {
      if (part == "name") paragraph(term.name);
      if (part == "def") paragraph(term.definition);
      if (part == "comment") paragraph(term.comment);
      if (part == "synonym") paragraph(join(term.synonyms, ", "));
    }
    out.script = script_of_text(out.text, out.language);
    return out;
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(obo) {
  registry.add<xp::Obo>("obo", "Terms of an ontology with their definitions, and the branch that each belongs to.");
}
