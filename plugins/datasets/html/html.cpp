// Folders of HTML pages, alone or with the texts that a search index leads to them by.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "page.h"
#include "plugin/plugin.h"
#include "search_index.h"

namespace {

using namespace xp::html;
using xp::Document;
using xp::Exit;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;  ///< of a page or an index

/// Finds pages by the ends of their paths, which is what addresses in an index are.
class PagePlaces {
 public:
  explicit PagePlaces(const std::vector<xp::DataFile>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::string_view path = files[i].path;
      for (auto at = path.rfind('/'); at != std::string_view::npos && at > 0; at = path.rfind('/', at - 1))
        add(path.substr(at + 1), i);
      add(path, i);
    }
  }
  /// Nothing if no file has this end. Throws Error (Exit::data) if several have.
  std::optional<std::size_t> find(const std::string& address, const std::string& index) const {
    const auto found = places_.find(address);
    if (found == places_.end()) return std::nullopt;
    if (!found->second)
      throw xp::Error(index + ": several of the files end in " + xp::backquoted(xp::printable(address)), Exit::data);
    return found->second;
  }

 private:
  void add(std::string_view end, std::size_t file) {
    const auto [place, fresh] = places_.emplace(std::string(end), file);
    if (!fresh) place->second = std::nullopt;
  }
  std::map<std::string, std::optional<std::size_t>> places_;
};

/// Paths from the folder that all of them lie in: names of files alone repeat.
std::vector<std::string> short_paths(const std::vector<xp::DataFile>& files) {
  std::string common = files.front().path;
  for (const auto& file : files)
    common.resize(static_cast<std::size_t>(std::ranges::mismatch(common, file.path).in1 - common.begin()));
  const auto slash = common.rfind('/');
  std::vector<std::string> out;
  for (const auto& file : files) out.push_back(file.path.substr(slash == std::string::npos ? 0 : slash + 1));
  return out;
}

/// Pages, each a document; or, with an index, pairs of a text that people look for and a page that it leads to.
class Html final : public xp::DataSource {
 public:
  struct Params {
    std::vector<xp::Value> files, index;
    std::vector<std::string> blocks{"h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "td", "th", "dt", "dd", "pre"};
    std::string below, language, source;
    bool with_id = false;
    double held_out = 1;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::files, "files", "Pages: paths with `*`.").files().required();
      f.add(&Params::index, "index",
            "Search indexes: lists of objects with `url` and `text` in JSON or JavaScript. Each text and a page that "
            "it "
            "leads to are a pair; pages are found by the ends of their paths, and texts that lead to none of `files` "
            "are left out.")
          .files();
      f.add(&Params::blocks, "blocks", "Elements whose text is read, a paragraph each.");
      f.add(&Params::below, "below", "Id of the element that holds the text; empty: the whole page.");
      f.add(&Params::with_id, "with_id", "Whether of these elements only those with an id are read.");
      f.add(&Params::held_out, "held_out", "Share of an index' texts that form the test split.").min(0).max(1);
      f.add(&Params::language, "language", "Language of all files (BCP 47); empty: what each page says.");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "text_b");
      f.gives("split", "train"), f.gives("split", "test");
    }
  };
  explicit Html(Params params)
      : p_(std::move(params)), files_(xp::data_files(p_.files)), names_(short_paths(files_)) {
    if (!p_.index.empty()) index_ = xp::data_files(p_.index);
    if (p_.blocks.empty()) throw xp::Error("`blocks` names no element, so no text would be read", Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    if (!index_.empty()) return pairs(visit);
    for (std::size_t i = 0; i < files_.size(); ++i) {
      auto page = read(files_[i]);
      if (page.text.empty()) continue;
      Document out;
      out.id = names_[i], out.text = std::move(page.text), out.title = std::move(page.title);
      out.annotations = std::move(page.paragraphs);
      out.split = split_of(out.id);
      finish(out, page.language);
      visit(out);
    }
  }

  std::string fingerprint() const override {
    xp::Digest digest;
    digest.add("html").add(xp::join(p_.blocks, "\n")).add(p_.below).add(p_.language).add(p_.source);
    digest.add(p_.with_id ? "with_id" : "").add(xp::number_text(p_.held_out));
    for (std::size_t i = 0; i < files_.size(); ++i) digest.add(names_[i]).add(files_[i].content_hash());
    for (const auto& file : index_) digest.add("index").add(file.content_hash());
    return digest.hex();
  }

 private:
  Page read(const xp::DataFile& file) const {
    return read_page(xp::read_text_file(file.path, kMostBytes), file.name, {p_.blocks, p_.below, p_.with_id});
  }

  std::string split_of(const std::string& group) const {
    return xp::RandomStreams(0, "held_out").child(group).stream().uniform() < p_.held_out ? "test" : "train";
  }

  void finish(Document& out, const std::string& language) const {
    out.language = p_.language.empty() ? language : p_.language, out.source = p_.source;
    out.script = xp::script_of_text(out.text, out.language);
  }

  void pairs(const std::function<void(const Document&)>& visit) const {
    const PagePlaces places(files_);
    std::map<std::size_t, Page> pages;
    std::set<std::pair<std::string, std::size_t>> seen;  // a text may lead to several places of one page
    for (const auto& file : index_) {
      for (const auto& entry : read_index(xp::read_text_file(file.path, kMostBytes), file.name)) {
        const auto place = places.find(entry.page, file.name);
        if (!place || !seen.emplace(entry.text, *place).second) continue;
        auto page = pages.find(*place);
        if (page == pages.end()) page = pages.emplace(*place, read(files_[*place])).first;
        if (page->second.text.empty()) continue;
        visit(pair(entry, page->second, seen.size()));
      }
    }
    if (seen.empty())
      throw xp::Error(index_.front().name + " leads to none of the " + xp::count(files_.size(), "page") +
                          "; its first address is to end as a path does",
                      Exit::data);
  }

  Document pair(const IndexEntry& entry, const Page& page, std::size_t number) const {
    Document out;
    out.id = entry.page + ":" + std::to_string(number);
    out.text = entry.text, out.title = page.title;
    out.fields["text_b"] = page.text;
    out.group = "text-" + xp::sha256(entry.text).substr(0, 16);
    out.split = split_of(out.group);
    finish(out, page.language);
    return out;
  }

  Params p_;
  std::vector<xp::DataFile> files_, index_;
  std::vector<std::string> names_;  // of files_
};

}  // namespace

XP_PLUGIN(html) {
  registry.add<Html>("html", "HTML pages, or pairs of a search index' texts and the pages that they lead to.");
}
