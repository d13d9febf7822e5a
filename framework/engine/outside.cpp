#include "engine/outside.h"

#include "base/text.h"

namespace xp {
namespace {

std::unique_ptr<Format> made(const Registry& registry, const std::string& type) {
  return registry.make<Format>({{"type", Value(type)}});
}

}  // namespace

std::unique_ptr<Format> format_of(const Registry& registry, const std::filesystem::path& path) {
  const auto types = registry.catalogue().types(Format::kInterface);
  if (types.empty())
    throw Error("no plugin reads model files: there is no component of the kind `format`", Exit::plugin);
  if (!std::filesystem::exists(path)) throw Error("there is no file or folder " + path.string(), Exit::data);
  for (const auto& type : types)
    if (auto format = made(registry, type); format->recognises(path)) return format;
  throw Error(
      path.string() + " holds no model and no tokenizer that is known; asked were the formats " + listed(types),
      Exit::data);
}

std::unique_ptr<Format> writing_format(const Registry& registry) {
  for (const auto& type : registry.catalogue().types(Format::kInterface))
    if (auto format = made(registry, type); format->writes()) return format;
  throw Error("no plugin writes model directories: there is no such component of the kind `format`", Exit::plugin);
}

}  // namespace xp
