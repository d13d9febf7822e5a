# Install tree, and find_package(xp) for plugins outside this one, from the install tree and from the build tree.
include(CMakePackageConfigHelpers)

string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
set(XP_TYPE_FLAGS "${CMAKE_CXX_FLAGS_${type}}")
string(JOIN " " XP_COMMON_OPTIONS_TEXT ${XP_COMMON_OPTIONS})
set(XP_TORCH_LIBRARIES "${XP_TORCH_LIB_DIR}/libtorch.so;${XP_TORCH_LIB_DIR}/libtorch_cpu.so;${XP_TORCH_LIB_DIR}/libc10.so")

# From the build tree.
set(XP_CONFIG_PLACES "set(XP_INCLUDE_DIR \"${CMAKE_SOURCE_DIR}/framework\")
set(XP_STAMP_DIR \"${CMAKE_BINARY_DIR}/include\")
set(XP_LIBRARY_DIR \"${CMAKE_BINARY_DIR}/lib\")
set(XP_TESTING_LIBRARY \"${CMAKE_BINARY_DIR}/framework/libxp_testing_core.a\")
set(XP_TORCH_TESTING_LIBRARY \"${CMAKE_BINARY_DIR}/framework/libxp_testing.a\")
set(XP_DESCRIBE \"${CMAKE_BINARY_DIR}/bin/xp-describe\")
set(XP_PROGRAM \"${CMAKE_BINARY_DIR}/bin/xp\")
set(XP_CMAKE_DIR \"${CMAKE_SOURCE_DIR}/tools/cmake\")")
configure_file(${CMAKE_SOURCE_DIR}/tools/cmake/xpConfig.cmake.in ${CMAKE_BINARY_DIR}/xpConfig.cmake @ONLY)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/xpConfigVersion.cmake COMPATIBILITY ExactVersion)

# From the install tree, wherever it was moved to.
set(XP_CONFIG_PLACES "get_filename_component(xp_prefix \"\${CMAKE_CURRENT_LIST_DIR}/../../..\" ABSOLUTE)
set(XP_INCLUDE_DIR \"\${xp_prefix}/include/xp\")
set(XP_STAMP_DIR \"\${xp_prefix}/include/xp\")
set(XP_LIBRARY_DIR \"\${xp_prefix}/lib\")
set(XP_TESTING_LIBRARY \"\${xp_prefix}/lib/libxp_testing_core.a\")
set(XP_TORCH_TESTING_LIBRARY \"\${xp_prefix}/lib/libxp_testing.a\")
set(XP_DESCRIBE \"\${xp_prefix}/bin/xp-describe\")
set(XP_PROGRAM \"\${xp_prefix}/bin/xp\")
set(XP_CMAKE_DIR \"\${CMAKE_CURRENT_LIST_DIR}\")")
configure_file(${CMAKE_SOURCE_DIR}/tools/cmake/xpConfig.cmake.in ${CMAKE_BINARY_DIR}/install/xpConfig.cmake @ONLY)

# The host refuses plugins in folders that others can write, whatever the umask is.
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
install(TARGETS xp_core xp_engine LIBRARY DESTINATION lib)
install(TARGETS xp-describe RUNTIME DESTINATION bin)
if(TARGET xp)
  install(TARGETS xp RUNTIME DESTINATION bin)
endif()
if(TARGET xp-draw)
  install(TARGETS xp-draw RUNTIME DESTINATION bin)
endif()
if(TARGET xp_testing_core)
  install(TARGETS xp_testing_core xp_testing ARCHIVE DESTINATION lib)
endif()
get_property(plugins GLOBAL PROPERTY XP_PLUGIN_TARGETS)
foreach(plugin IN LISTS plugins)
  install(TARGETS ${plugin} LIBRARY DESTINATION lib/xp/plugins)
  get_target_property(name ${plugin} OUTPUT_NAME)
  install(FILES ${XP_PLUGIN_OUTPUT}/${name}.json DESTINATION lib/xp/plugins)
endforeach()
foreach(folder base schema plugin api kit testing)
  install(DIRECTORY framework/${folder} DESTINATION include/xp FILES_MATCHING PATTERN "*.h"
          PATTERN "torch_recipe_run.h" EXCLUDE)  # needs parts of the engine that no library exports
endforeach()
install(FILES ${CMAKE_BINARY_DIR}/include/plugin/build_stamp.h DESTINATION include/xp/plugin)
install(FILES ${CMAKE_BINARY_DIR}/install/xpConfig.cmake ${CMAKE_BINARY_DIR}/xpConfigVersion.cmake
              tools/cmake/XpPlugin.cmake tools/cmake/plugin_exports.map
        DESTINATION lib/cmake/xp)
