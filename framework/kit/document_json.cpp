#include "kit/document_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace xp {

std::string document_line(const Document& document) {
  nlohmann::ordered_json out{{"id", document.id}, {"text", document.text}};
  for (const auto& [name, value] : {std::pair("title", &document.title), std::pair("language", &document.language),
                                    std::pair("script", &document.script), std::pair("source", &document.source),
                                    std::pair("group", &document.group), std::pair("split", &document.split)})
    if (!value->empty()) out[name] = *value;
  for (const auto& [name, value] : document.fields) out["fields"][name] = value;
  for (const auto& mark : document.annotations)
    out["annotations"].push_back(
        {{"kind", mark.kind}, {"begin", mark.begin}, {"end", mark.end}, {"value", mark.value}});
  try {
    return out.dump() + "\n";
  } catch (const nlohmann::json::type_error&) {
    throw Error("document " + backquoted(printable(document.id)) + " holds a text that is not UTF-8", Exit::data);
  }
}

}  // namespace xp
