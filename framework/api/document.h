#pragma once
// A piece of text with what is known about it. Missing things are empty, never guessed.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace xp {

/// A marked stretch of bytes [begin, end) of the text; both ends lie on character borders.
struct Annotation {
  std::string kind;  ///< "paragraph", "sentence", "section", "link", "entity", "identifier", ...
  std::uint64_t begin = 0, end = 0;
  std::string value;  ///< a title, a link's target, a label
};

struct Document {
  std::string id;    ///< stable and unique within its source
  std::string text;  ///< UTF-8
  std::string title;
  std::string language;  ///< BCP 47, e.g. "mt"
  std::string script;    ///< ISO 15924, e.g. "Latn"
  std::string source;    ///< domain or collection; losses are also reported by it
  std::string group;     ///< splits never cut a group; empty: the document is its own
  std::string split;     ///< "train" "dev" "test" if the source fixes it; empty: the framework decides by group
  std::map<std::string, std::string, std::less<>> fields =
      {};  ///< further named texts: "label", "answer", "text_b", ...
  std::vector<Annotation> annotations = {};
};

}  // namespace xp
