#pragma once
// The contract of a plugin: one exported PluginInfo, readable before any code of the library runs.
#include <boost/dll/alias.hpp>
#include <cstdint>

#include "plugin/build_stamp.h"
#include "plugin/registry.h"

#define XP_PLUGIN_ABI 1

namespace xp {

struct PluginInfo {           // plain data, so that the host can look before it runs anything
  std::uint32_t abi;          ///< XP_PLUGIN_ABI; stays the first member
  std::uint32_t size;         ///< sizeof(PluginInfo)
  const char* name;           ///< equals the file's name without extension
  const char* build;          ///< XP_BUILD_STAMP
  void (*add_to)(Registry&);  ///< the only code that the host calls while loading
};

}  // namespace xp

#define XP_CAT_(a, b) a##b
#define XP_CAT(a, b) XP_CAT_(a, b)

/// Defines the one exported symbol of a plugin; the body that follows fills the registry.
#define XP_PLUGIN(NAME)                                                                                      \
  static void xp_add_##NAME([[maybe_unused]] ::xp::Registry& registry);                                      \
  extern const ::xp::PluginInfo xp_info_##NAME;                                                              \
  const ::xp::PluginInfo xp_info_##NAME{XP_PLUGIN_ABI, sizeof(::xp::PluginInfo), #NAME, XP_BUILD_STAMP,      \
                                        &xp_add_##NAME};                                                     \
  BOOST_DLL_ALIAS_SECTIONED(xp_info_##NAME, XP_CAT(XP_CAT(xp_plugin_abi, XP_PLUGIN_ABI), _##NAME), xpplugin) \
  static void xp_add_##NAME([[maybe_unused]] ::xp::Registry& registry)
