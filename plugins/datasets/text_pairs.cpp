#include <algorithm>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Texts of one file by key, with the keys in their order.
struct Passages {
  std::vector<std::string> keys;
  std::map<std::string, std::string, std::less<>> texts;
};

Passages passages_of(const DataFile& file) {
  Passages out;
  for_each_line(file, [&](std::string_view line, std::int64_t number) {
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || trim(line.substr(0, tab)).empty() || trim(line.substr(tab)).empty())
      bad_line(file, number, "a line is `key<TAB>text`, found " + backquoted(utf8_slice(line, 0, 40)));
    const auto key = line.substr(0, tab), text = line.substr(tab + 1);
    if (text.find('\t') != std::string_view::npos) bad_line(file, number, "a second tab; text has none");
    if (!out.texts.emplace(key, text).second)
      bad_line(file, number, "the key " + backquoted(key) + " stands twice in this file");
    out.keys.emplace_back(key);
  });
  return out;
}

/// How much two keys have in common: leading parts that are equal, over the parts of the longer one.
double nearness(const std::string& a, const std::string& b) {
  const auto x = split(a, '/'), y = split(b, '/');
  std::size_t same = 0;
  while (same < std::min(x.size(), y.size()) && x[same] == y[same]) ++same;
  return static_cast<double>(same) / static_cast<double>(std::max(x.size(), y.size()));
}

/// Texts of two files that have the same key, as groups of two documents that follow each other. What is trained on
/// belongs together; what is measured on also has pairs that belong together less, or not at all.
class TextPairs final : public DataSource {
 public:
  struct Params {
    std::vector<Value> files;
    std::vector<std::string> languages;
    double held_out = 0.5;
    bool graded = true;
    std::string source;
    static void describe(Fields<Params>& f) {
      f.add(&Params::files, "files",
            "Two files of `key<TAB>text` lines (.txt, .txt.zst, .txt.gz); first members are of the first.")
          .files()
          .required();
      f.add(&Params::languages, "languages", "Languages of the two files (BCP 47); none: the files' stems.");
      f.add(&Params::held_out, "held_out", "Share of keys that form the test split; a key is in one split only.")
          .min(0)
          .max(1);
      f.add(&Params::graded, "graded",
            "Whether in the test split each first text also stands beside one text of each lower grade there is.");
      f.add(&Params::source, "source", "Name of the collection, by which losses are reported.");
      f.gives("field", "text"), f.gives("field", "score"), f.gives("field", "key");
      f.gives("split", "train"), f.gives("split", "test");
      f.gives("group", "2");
    }
  };
  explicit TextPairs(Params params) : p_(std::move(params)), files_(data_files(p_.files)) {
    if (files_.size() != 2)
      throw Error("pairs are of two files, found " + std::to_string(files_.size()) +
                      "; name one for the first and one for the second texts",
                  Exit::usage);
    if (files_[0].stem() == files_[1].stem())
      throw Error("both files are called " + backquoted(files_[0].stem()) + ", by which ids tell them apart",
                  Exit::usage);
    if (!p_.languages.empty() && p_.languages.size() != 2)
      throw Error("`languages` wants one for each of the two files, found " + std::to_string(p_.languages.size()),
                  Exit::usage);
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    const auto first = passages_of(files_[0]), second = passages_of(files_[1]);
    std::vector<std::string> keys, held_out;
    for (const auto& key : first.keys)
      if (second.texts.contains(key)) {
        keys.push_back(key);
        if (is_held_out(key)) held_out.push_back(key);
      }
    if (keys.empty())
      throw Error(backquoted(files_[0].name) + " and " + backquoted(files_[1].name) + " have no key in common",
                  Exit::data);
    const auto pair = [&](const std::string& key, const std::string& other, double score) {
      visit(document(0, key, other, key, first.texts.at(key), score));
      visit(document(1, key, other, other, second.texts.at(other), score));
    };
    for (const auto& key : keys) {
      pair(key, key, 1);
      if (p_.graded && is_held_out(key))
        for (const auto& [score, other] : less_near(key, held_out)) pair(key, other, score);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("text_pairs").add(p_.source).add(number_text(p_.held_out)).add(p_.graded ? "graded" : "");
    digest.add(join(p_.languages, "\t"));
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  // The draw of `aligned_text`: what one of them trains on the other does not measure.
  bool is_held_out(const std::string& key) const {
    return RandomStreams(0, "held_out").child(key).stream().uniform() < p_.held_out;
  }

  /// One key of each grade below 1.
  static std::map<double, std::string> less_near(const std::string& key, const std::vector<std::string>& others) {
    std::map<double, std::vector<std::string>> grades;
    for (const auto& other : others)
      if (other != key) grades[nearness(key, other)].push_back(other);
    std::map<double, std::string> out;
    for (const auto& [score, of_grade] : grades) {
      auto stream = RandomStreams(0, "graded").child(key).child(number_text(score)).stream();
      out[score] = of_grade[static_cast<std::size_t>(stream.below(std::ssize(of_grade)))];
    }
    return out;
  }

  Document document(std::size_t member, const std::string& key, const std::string& other, const std::string& own,
                    const std::string& text, double score) const {
    Document out;
    out.group = key == other ? key : key + "~" + other;
    out.id = files_[member].stem() + "/" + out.group;
    out.text = text;
    out.language = p_.languages.empty() ? files_[member].stem() : p_.languages[member];
    out.script = script_of_text(out.text, out.language);
    out.source = p_.source;
    out.split = is_held_out(key) ? "test" : "train";
    out.fields["score"] = number_text(score), out.fields["key"] = own;
    return out;
  }

  Params p_;
  std::vector<DataFile> files_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(text_pairs) {
  registry.add<xp::TextPairs>("text_pairs", "Pairs of texts of two files by key, graded where they are measured on.");
}
