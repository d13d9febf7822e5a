#include "engine/outside.h"

#include <algorithm>

#include "base/text.h"
#include "engine/artifacts.h"
#include "kit/tokenizer_files.h"

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

Imported read_model(const Registry& registry, const std::filesystem::path& path, bool whole) {
  if (!is_checkpoint(path)) {
    const auto format = format_of(registry, path);
    return whole ? format->read(path) : format->read_vocabulary(path);
  }
  Imported out;
  out.checkpoint = load_checkpoint(path);
  out.tokenizer = load_tokenizer(path, registry);
  return out;
}

Strings missing(const Checkpoint& from, const Checkpoint& written) {
  Strings out;
  for (const auto& tower : from.towers)
    if (std::none_of(written.towers.begin(), written.towers.end(),
                     [&](const Checkpoint& one) { return one.role == tower.role; }))
      out.push_back("model " + tower.role);
  const auto& there = written.objective_parameters.info;
  const auto lost = std::count_if(
      from.objective_parameters.info.begin(), from.objective_parameters.info.end(), [&](const ParameterInfo& one) {
        return std::none_of(there.begin(), there.end(),
                            [&](const ParameterInfo& other) { return other.name == one.name; });
      });
  if (lost > 0) out.push_back("the objective's own parameters: " + std::to_string(lost));
  return out;
}

std::set<std::string> libraries_that_read(const Catalogue& catalogue) {
  std::set<std::string> out;
  for (const auto* interface : {Format::kInterface, Tokenizer::kInterface})
    for (const auto* info : catalogue.list(interface)) out.insert(info->library);
  return out;
}

std::unique_ptr<Format> writing_format(const Registry& registry) {
  for (const auto& type : registry.catalogue().types(Format::kInterface))
    if (auto format = made(registry, type); format->writes()) return format;
  throw Error("no plugin writes model directories: there is no such component of the kind `format`", Exit::plugin);
}

}  // namespace xp
