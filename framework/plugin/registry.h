#pragma once
// Everything the host knows about components, and how to make them. Owned by main, passed in, never global.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "schema/component.h"
#include "schema/fields.h"
#include "schema/schema.h"

namespace xp {

/// A component without its code: what manifests hold and recipes are checked against.
struct ComponentInfo {
  std::string interface;
  std::string type;
  std::string summary;  ///< one sentence
  Schema schema;
  std::string plugin;   ///< name of the plugin that offers it
  std::string library;  ///< path of its library
  std::string hash;     ///< sha256 of the library; empty: linked into the program
};

/// Where recipes are checked and manuals are made from. Filled from manifests or from loaded plugins.
class XP_API Catalogue {
 public:
  /// Throws Error (Exit::plugin) naming both libraries if the interface has the type already.
  void add(ComponentInfo info);
  const ComponentInfo* find(std::string_view interface, std::string_view type) const;
  std::vector<const ComponentInfo*> list(std::string_view interface = {}) const;  ///< sorted by interface, type
  std::vector<std::string> types(std::string_view interface) const;               ///< sorted

  /// Libraries that could not be used, with the reason; shown wherever a component is not found.
  struct Quarantined {
    std::string library, plugin, reason;
  };
  std::vector<Quarantined> quarantined;
  std::vector<std::string> searched;  ///< folders, in order

 private:
  std::map<std::pair<std::string, std::string>, ComponentInfo> components_;
};

class XP_API Registry final : public PartMaker {
 public:
  using Make = std::function<std::unique_ptr<Component>(const Table&, const PartMaker&)>;

  /// T derives from an interface, has a `struct Params` with a static `describe(Fields<Params>&)` (it may be empty),
  /// and a constructor T(Params).
  template <class T>
  void add(std::string type, std::string summary) {
    const auto fields = std::make_shared<Fields<typename T::Params>>();
    T::Params::describe(*fields);
    add(ComponentInfo{T::kInterface, std::move(type), std::move(summary), fields->schema(), plugin_, library_, hash_},
        [fields](const Table& table, const PartMaker& maker) -> std::unique_ptr<Component> {
          return std::make_unique<T>(fields->bind(table, maker));
        });
  }
  void add(ComponentInfo info, Make make);

  /// Makes a component from resolved settings (`table` has `type`; what is missing takes its default, what is unknown
  /// throws). Exceptions of the plugin come back as Error with its interface, type and plugin in front.
  template <class Interface>
  std::unique_ptr<Interface> make(const Table& table) const {
    return std::unique_ptr<Interface>(static_cast<Interface*>(make_part(Interface::kInterface, table).release()));
  }
  std::unique_ptr<Component> make_part(std::string_view interface, const Table& table) const override;

  const Catalogue& catalogue() const { return catalogue_; }
  Catalogue& catalogue() { return catalogue_; }

  /// Set by the loader around a plugin's add_to.
  void adding_for(std::string plugin, std::string library, std::string hash);

 private:
  Catalogue catalogue_;
  std::map<std::pair<std::string, std::string>, Make> makers_;
  std::string plugin_ = "program", library_, hash_;
};

}  // namespace xp
