# Headers that most plugins and most of their tests read, compiled once each: a third to a half of what such a file costs.
# Every file still names what it needs; the debug preset builds without, and so do plugins outside the tree.
option(XP_PRECOMPILED "Precompile the headers that most plugins and tests read" ON)

# xp_precompiled(target HEADERS...): `target`, with its flags and libraries, compiles these headers for others.
function(xp_precompiled target)
  set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  target_precompile_headers(${target} PRIVATE ${ARGN})
endfunction()

# xp_use_precompiled(source target...): for targets with the same compiler flags as `source`.
function(xp_use_precompiled source)
  if(NOT TARGET ${source})
    return()
  endif()
  foreach(target IN LISTS ARGN)
    target_precompile_headers(${target} REUSE_FROM ${source})
  endforeach()
endfunction()

if(XP_PRECOMPILED)
  # A header alone is no target: each gets a source with nothing in it.
  set(nothing ${CMAKE_BINARY_DIR}/precompiled/nothing.cpp)
  file(CONFIGURE OUTPUT ${nothing} CONTENT "int main() {}\n" @ONLY)
  add_library(xp_core_plugin_headers OBJECT ${nothing})
  target_link_libraries(xp_core_plugin_headers PRIVATE xp_flags xp_core)
  xp_precompiled(xp_core_plugin_headers <algorithm> <cmath> <map> <set> <plugin/plugin.h> <base/text.h> <api/dataset.h>
                 <api/tokenizer.h> <base/digest.h> <kit/text_files.h>)
  add_library(xp_plugin_headers OBJECT ${nothing})
  target_link_libraries(xp_plugin_headers PRIVATE xp_flags xp_core xp_engine xp_torch)
  xp_precompiled(xp_plugin_headers <algorithm> <cmath> <map> <set> <plugin/plugin.h> <base/text.h> <api/ops.h>
                 <api/objective.h> <api/evaluator.h> <api/checkpoint_transform.h> <api/stage.h>
                 <kit/torch_operators.h>)
  if(XP_TESTS)
    add_executable(xp_test_headers ${nothing})
    target_link_libraries(xp_test_headers PRIVATE xp_test_build xp_testing Catch2::Catch2WithMain)
    xp_precompiled(xp_test_headers <algorithm> <cmath> <catch2/catch_approx.hpp> <catch2/catch_test_macros.hpp>
                   <catch2/matchers/catch_matchers_string.hpp> <testing/torch_fixture.h> <testing/torch_recipe_run.h>
                   <api/ops.h> <kit/torch_operators.h>)
    add_executable(xp_core_test_headers ${nothing})
    target_link_libraries(xp_core_test_headers PRIVATE xp_test_build xp_core Catch2::Catch2WithMain
                          nlohmann_json::nlohmann_json)
    xp_precompiled(xp_core_test_headers <algorithm> <cmath> <filesystem> <functional> <map> <set>
                   <catch2/catch_approx.hpp> <catch2/catch_test_macros.hpp>
                   <catch2/matchers/catch_matchers_string.hpp> <nlohmann/json.hpp> <base/error.h> <base/file.h>
                   <base/text.h> <schema/value.h>)
  endif()
endif()
