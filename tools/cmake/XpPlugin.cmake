# xp_plugin(path/name [SOURCES more.cpp ...] [TORCH] [LIBRARIES lib ...]): one shared library from name.cpp, its manifest
# beside it. TORCH: the plugin includes LibTorch. `path` is relative to the calling folder; the plugin's name is its stem.
function(xp_plugin path)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;LIBRARIES" ${ARGN})
  get_filename_component(name ${path} NAME_WE)
  if(arg_UNPARSED_ARGUMENTS)
    list(JOIN arg_UNPARSED_ARGUMENTS " " unknown)
    message(FATAL_ERROR "xp_plugin(${path}): unknown argument ${unknown}; there is SOURCES, TORCH and LIBRARIES")
  endif()
  if(NOT name MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    message(FATAL_ERROR "xp_plugin(${path}): `${name}` is no plugin's name: letters, digits and _ after a letter")
  endif()
  if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/${path})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${path}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  elseif(path MATCHES "\\.cpp$")
    set(sources ${path})
  else()
    set(sources ${path}.cpp)
  endif()
  set(target plugin_${name})
  add_library(${target} MODULE ${sources} ${arg_SOURCES})
  # No run path: the host has loaded libxp_core, and libxp_engine where it is needed, before it opens a plugin. So the
  # library's bytes depend on its source alone, and not on any folder.
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} PREFIX "" SUFFIX ".so" DEFINE_SYMBOL "" INSTALL_RPATH ""
                        BUILD_WITH_INSTALL_RPATH ON CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON
                        LIBRARY_OUTPUT_DIRECTORY ${XP_PLUGIN_OUTPUT})
  target_link_libraries(${target} PRIVATE xp_flags xp_core ${arg_LIBRARIES})
  if(arg_TORCH)
    target_link_libraries(${target} PRIVATE xp_engine xp_torch)
  endif()
  target_compile_options(${target} PRIVATE -frandom-seed=${name})
  if(NOT XP_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  target_link_options(${target} PRIVATE -Wl,--version-script=${XP_PLUGIN_EXPORTS})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${XP_PLUGIN_EXPORTS})
  # The manifest: a child process loads the finished library once.
  if(XP_DESCRIBE)
    set(describe ${XP_DESCRIBE})
  else()
    set(describe $<TARGET_FILE:xp-describe>)
    add_dependencies(${target} xp-describe)
  endif()
  add_custom_command(TARGET ${target} POST_BUILD
                     COMMAND ${describe} --write $<TARGET_FILE:${target}> VERBATIM)
  set_property(GLOBAL APPEND PROPERTY XP_PLUGIN_TARGETS ${target})
  if(XP_DESCRIBE)
    xp_outside_test(${name} ${target})
  endif()
endfunction()

# Outside the tree a plugin's <name>_test.cpp becomes a test of its own; inside, plugins/CMakeLists.txt joins those of a
# folder in one program.
function(xp_outside_test name target)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${name}_test.cpp)
  if(NOT EXISTS ${source} OR NOT TARGET xp_testing_core OR NOT BUILD_TESTING)
    return()
  endif()
  find_package(Catch2 3 REQUIRED)
  add_executable(test_${name} ${source})
  set_target_properties(test_${name} PROPERTIES CXX_STANDARD 20 CXX_EXTENSIONS OFF BUILD_RPATH ${XP_LIBRARY_DIR})
  target_compile_definitions(test_${name} PRIVATE XP_PLUGIN_OUTPUT="${XP_PLUGIN_OUTPUT}")
  target_link_libraries(test_${name} PRIVATE xp_flags xp_testing_core Catch2::Catch2WithMain)
  add_dependencies(test_${name} ${target})
  add_test(NAME ${name} COMMAND test_${name})
endfunction()

if(NOT XP_PLUGIN_OUTPUT)
  set(XP_PLUGIN_OUTPUT ${CMAKE_BINARY_DIR}/plugins)
endif()
# The host refuses folders that others can write.
file(MAKE_DIRECTORY ${XP_PLUGIN_OUTPUT})
file(CHMOD ${XP_PLUGIN_OUTPUT} DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
     WORLD_READ WORLD_EXECUTE)
set(XP_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/plugin_exports.map)
