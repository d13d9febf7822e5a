// Sentences whose words carry a tag each: "Has/VBZ the/DT Internet/NN".
#include <set>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/text_files.h"
#include "plugin/plugin.h"

namespace {

using xp::backquoted;

class TaggedText final : public xp::DataSource {
 public:
  struct Params {
    std::vector<xp::Value> files;
    std::string language, kind = "tag", separator = "/";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::files, "files", "Text files (.txt, .txt.zst, .txt.gz) with a sentence per line.")
          .files()
          .required();
      f.add(&Params::language, "language", "Language of all files (BCP 47); empty: the file's stem.");
      f.add(&Params::kind, "kind", "Kind of annotation that the tags become; what `tagging` names as `field`.");
      f.add(&Params::separator, "separator", "What stands between a word and its tag; the last one counts.");
      f.gives("field", "text");
      f.gives("field", "tag");
    }
  };
  explicit TaggedText(Params params) : params_(std::move(params)), files_(xp::data_files(params_.files)) {
    if (params_.separator.empty() || params_.separator.find(' ') != std::string::npos)
      throw xp::Error("`separator` must be some characters without a blank", xp::Exit::usage);
  }

  void for_each(const std::function<void(const xp::Document&)>& visit) const override {
    for (const auto& file : files_)
      xp::for_each_line(file, [&](std::string_view line, std::int64_t number) {
        if (!xp::trim(line).empty()) visit(sentence(file, line, number));
      });
  }

  std::string fingerprint() const override {
    xp::Digest digest;
    digest.add("tagged_text").add(params_.language).add(params_.kind).add(params_.separator);
    for (const auto& file : files_) digest.add(file.stem()).add(file.content_hash());
    return digest.hex();
  }

 private:
  /// Words are joined by one blank; each tag is an annotation over its word.
  xp::Document sentence(const xp::DataFile& file, std::string_view line, std::int64_t number) const {
    xp::Document out;
    out.id = file.stem() + ":" + std::to_string(number);
    out.language = params_.language.empty() ? file.stem() : params_.language;
    for (std::size_t at = 0; at < line.size();) {
      const auto begin = line.find_first_not_of(" \t", at);
      if (begin == std::string_view::npos) break;
      const auto end = std::min(line.find_first_of(" \t", begin), line.size());
      const auto word = line.substr(begin, end - begin);
      const auto cut = word.rfind(params_.separator);
      if (cut == std::string_view::npos || cut == 0 || cut + params_.separator.size() == word.size())
        xp::bad_line(
            file, number,
            backquoted(std::string(word)) + " is no word with a tag; expected WORD" + params_.separator + "TAG");
      if (!out.text.empty()) out.text += ' ';
      const auto from = out.text.size();
      out.text += word.substr(0, cut);
      out.annotations.push_back(
          {params_.kind, from, out.text.size(), std::string(word.substr(cut + params_.separator.size()))});
      at = end;
    }
    out.script = xp::script_of_text(out.text, out.language);
    return out;
  }

  Params params_;
  std::vector<xp::DataFile> files_;
};

}  // namespace

XP_PLUGIN(tagged_text) {
  registry.add<TaggedText>("tagged_text", "A sentence per line, each word with a tag behind it.");
}
