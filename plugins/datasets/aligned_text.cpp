#include "api/dataset.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

#include <set>

namespace xp {
namespace {

/// Passages with the same key in every language. A key is held out in all languages or in none.
class AlignedText final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::string language, source;
    double held_out = 0.5;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files", "Files of `key<TAB>text` lines (.txt, .txt.zst, .txt.gz): paths with `*`.")
          .files()
          .required();
      f.add(&Params::language, "language", "Language of all files (BCP 47); empty: the file's stem.");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.add(&Params::held_out, "held_out", "Share of keys that form the test split.").min(0).max(1);
      f.gives("field", "text"), f.gives("split", "train"), f.gives("split", "test");
    }
  };
  explicit AlignedText(Params params) : params_(std::move(params)), files_(data_files(params_.files)) {
    std::set<std::string> languages;
    for (const auto& file : files_)
      if (!languages.insert(language(file)).second)
        throw Error("two files hold the language " + backquoted(language(file)) + ", the second is " +
                        backquoted(file.name) + "; aligned text has one file per language",
                    Exit::data);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    for (const auto& file : files_) {
      std::set<std::string, std::less<>> keys;
      for_each_line(file, [&](std::string_view line, std::int64_t number) {
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos || trim(line.substr(0, tab)).empty() || trim(line.substr(tab)).empty())
          bad_line(file, number, "a line is `key<TAB>text`, found " + backquoted(utf8_slice(line, 0, 40)));
        const auto key = line.substr(0, tab), text = line.substr(tab + 1);
        if (text.find('\t') != std::string_view::npos) bad_line(file, number, "a second tab; text has none");
        if (!keys.emplace(key).second)
          bad_line(file, number, "the key " + backquoted(key) + " stands twice in this file");
        visit(document(language(file), key, text));
      });
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("aligned_text").add(params_.source).add(number_text(params_.held_out));
    for (const auto& file : files_) digest.add(language(file)).add(file.content_hash());
    return digest.hex();
  }

 private:
  std::string language(const DataFile& file) const {
    return params_.language.empty() ? file.stem() : params_.language;
  }

  Document document(const std::string& language, std::string_view key, std::string_view text) const {
    Document out;
    out.id = language + "/" + std::string(key);
    out.text = text;
    out.language = language;
    out.script = script_of_text(text, language);
    out.source = params_.source;
    out.group = key;
    const bool held_out = RandomStreams(0, "held_out").child(key).stream().uniform() < params_.held_out;
    out.split = held_out ? "test" : "train";
    return out;
  }

  Params params_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(aligned_text) {
  registry.add<xp::AlignedText>("aligned_text",
                                "Passages with the same keys in many languages, one file per language.");
}
