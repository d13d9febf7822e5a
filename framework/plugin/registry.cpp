#include "plugin/registry.h"

#include <exception>

#include "base/text.h"

namespace xp {

void Catalogue::add(ComponentInfo info) {
  const auto key = std::pair(info.interface, info.type);
  if (const auto found = components_.find(key); found != components_.end())
    throw Error(info.interface + " " + backquoted(info.type) + " of plugin " + backquoted(info.plugin) + " (" +
                    info.library + ") is already offered by plugin " + backquoted(found->second.plugin) + " (" +
                    found->second.library + ")",
                Exit::plugin);
  components_.emplace(key, std::move(info));
}

const ComponentInfo* Catalogue::find(std::string_view interface, std::string_view type) const {
  const auto found = components_.find(std::pair(std::string(interface), std::string(type)));
  return found == components_.end() ? nullptr : &found->second;
}

std::vector<const ComponentInfo*> Catalogue::list(std::string_view interface) const {
  std::vector<const ComponentInfo*> all;
  for (const auto& [key, info] : components_)
    if (interface.empty() || key.first == interface) all.push_back(&info);
  return all;
}

std::vector<std::string> Catalogue::types(std::string_view interface) const {
  std::vector<std::string> all;
  for (const auto* info : list(interface)) all.push_back(info->type);
  return all;
}

void Registry::adding_for(std::string plugin, std::string library, std::string hash) {
  plugin_ = std::move(plugin), library_ = std::move(library), hash_ = std::move(hash);
}

void Registry::add(ComponentInfo info, Make make) {
  const auto key = std::pair(info.interface, info.type);
  catalogue_.add(std::move(info));
  makers_.emplace(key, std::move(make));
}

std::unique_ptr<Component> Registry::make_part(std::string_view interface, const Table& table) const {
  const auto type_at = table.find("type");
  const auto* type = type_at == table.end() ? nullptr : type_at->second.as<std::string>();
  if (!type)
    throw Error("a " + std::string(interface) + " needs a `type`; there is " + listed(catalogue_.types(interface)));
  const auto found = makers_.find(std::pair(std::string(interface), *type));
  if (found == makers_.end())
    throw Error("no " + std::string(interface) + " " + backquoted(*type) + " is loaded; there is " +
                    listed(catalogue_.types(interface)),
                Exit::plugin);
  Table settings = table;
  settings.erase("type");
  const auto& info = *catalogue_.find(interface, *type);
  const std::string owner = std::string(interface) + " " + backquoted(*type);
  Problems problems;
  for (const auto& [key, value] : settings)
    if (!info.schema.find(key))
      problems.error("unknown-key", backquoted(key) + " is not a parameter of " + owner, value.key);
  problems.raise("nothing was made");
  for (const auto& field : info.schema.fields)
    if (field.fallback) settings.try_emplace(field.name, *field.fallback);
  std::unique_ptr<Component> made;
  try {
    made = found->second(settings, *this);
  } catch (const Error& error) {
    throw Error("in " + owner + " (plugin " + info.plugin + "): " + error.what(), error.exit());
  } catch (const std::exception& error) {
    throw Error("in " + owner + " (plugin " + info.plugin + "): " + error.what());
  }
  made->type_ = *type;
  made->settings_ = std::move(settings);
  return made;
}

}  // namespace xp
