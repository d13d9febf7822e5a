# Flags that every target of the project and every plugin shares, and the build stamp.

# No folder of this machine stands in what is built: the same source elsewhere gives the same bytes. ccache may rewrite
# absolute paths to relative ones, so those are mapped too.
get_filename_component(XP_TORCH_LIB_DIR "${TORCH_LIBRARY}" DIRECTORY)
get_filename_component(XP_TORCH_DIR "${XP_TORCH_LIB_DIR}" DIRECTORY)
file(RELATIVE_PATH XP_SOURCE_FROM_BUILD ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
string(REGEX REPLACE "/$" "" XP_SOURCE_FROM_BUILD "${XP_SOURCE_FROM_BUILD}")
set(XP_PATH_OPTIONS -ffile-prefix-map=${XP_TORCH_DIR}=torch -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
    -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
if(XP_SOURCE_FROM_BUILD)
  list(APPEND XP_PATH_OPTIONS -ffile-prefix-map=${XP_SOURCE_FROM_BUILD}=.)
endif()

# What plugins outside the tree are compiled with as well.
set(XP_COMMON_OPTIONS -Wall -Wextra -Wpedantic -Wno-unknown-pragmas)
set(known_wrong "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  set(known_wrong -Wno-restrict)  # GCC bug 105651: reported for `"text" + std::string`
endif()
add_library(xp_flags INTERFACE)
target_compile_options(xp_flags INTERFACE ${XP_COMMON_OPTIONS} ${XP_PATH_OPTIONS} ${known_wrong})
list(APPEND XP_COMMON_OPTIONS ${known_wrong})
# What reads the command line is not timed: a third of its compile time is optimisation.
add_library(xp_quick_build INTERFACE)
target_link_libraries(xp_quick_build INTERFACE xp_flags)
target_compile_options(xp_quick_build INTERFACE $<$<CONFIG:Release>:-O1>)
# Tests spend their time in the libraries that they test.
add_library(xp_test_build INTERFACE)
target_link_libraries(xp_test_build INTERFACE xp_flags)
target_compile_options(xp_test_build INTERFACE $<$<CONFIG:Release>:-O0>)
option(XP_WERROR "Warnings end the build" OFF)
if(XP_WERROR)
  target_compile_options(xp_flags INTERFACE -Werror)
endif()
if(XP_SANITIZE)
  target_compile_options(xp_flags INTERFACE -fsanitize=${XP_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(xp_flags INTERFACE -fsanitize=${XP_SANITIZE})
endif()

option(XP_FUZZERS "libFuzzer targets (tests/fuzz/targets, see tools/fuzz)" OFF)
if(XP_FUZZERS)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer)
  check_cxx_source_compiles("extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }"
                            XP_HAS_LIBFUZZER)
  unset(CMAKE_REQUIRED_FLAGS)
  if(NOT XP_HAS_LIBFUZZER)
    message(FATAL_ERROR "XP_FUZZERS needs a compiler that knows -fsanitize=fuzzer, and ${CMAKE_CXX_COMPILER} "
            "(${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}) does not: install clang with its run-time library "
            "(Debian: clang-16 and libclang-rt-16-dev) and configure by tools/fuzz.")
  endif()
endif()

# xp_unity(target...): headers cost more than code, so neighbouring files become one. Plugins stay apart: rebuilding one is
# what people wait for. A test that includes LibTorch itself stays alone, for LibTorch's CHECK would hide Catch2's.
function(xp_unity)
  foreach(target IN LISTS ARGN)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${XP_UNITY} UNITY_BUILD_BATCH_SIZE 10)
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
      if(NOT source MATCHES "_test\\.cpp$")
        continue()
      endif()
      file(STRINGS ${source} direct REGEX "#include <(ATen|torch)/")
      if(direct)
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endforeach()
  endforeach()
endfunction()

# LibTorch as system headers, without its command-line flags.
add_library(xp_torch INTERFACE)
target_include_directories(xp_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(xp_torch INTERFACE ${XP_TORCH_LIB_DIR}/libtorch.so ${XP_TORCH_LIB_DIR}/libtorch_cpu.so
                      ${XP_TORCH_LIB_DIR}/libc10.so)
if(TORCH_CXX_FLAGS MATCHES "_GLIBCXX_USE_CXX11_ABI=([01])")
  set(XP_STRING_ABI ${CMAKE_MATCH_1})
  add_compile_definitions(_GLIBCXX_USE_CXX11_ABI=${XP_STRING_ABI})
else()
  set(XP_STRING_ABI 1)
endif()

# Host and plugins compare this text: it changes when any public header does.
set(XP_TORCH_VERSION ${Torch_VERSION})
file(GLOB XP_PUBLIC_HEADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/framework/base/*.h
     ${CMAKE_SOURCE_DIR}/framework/schema/*.h ${CMAKE_SOURCE_DIR}/framework/plugin/*.h
     ${CMAKE_SOURCE_DIR}/framework/api/*.h ${CMAKE_SOURCE_DIR}/framework/kit/*.h
     ${CMAKE_SOURCE_DIR}/framework/kit/*/*.h)
set(header_hashes "")
foreach(header IN LISTS XP_PUBLIC_HEADERS)
  file(SHA256 ${header} one)
  string(APPEND header_hashes ${one})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
endforeach()
string(SHA256 header_hash "${header_hashes}")
string(SUBSTRING ${header_hash} 0 16 header_hash)
set(XP_BUILD_STAMP "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}, sanitizers (${XP_SANITIZE}), string abi ${XP_STRING_ABI}, LibTorch ${XP_TORCH_VERSION}, headers ${header_hash}")
configure_file(${CMAKE_SOURCE_DIR}/framework/plugin/build_stamp.h.in
               ${CMAKE_BINARY_DIR}/include/plugin/build_stamp.h @ONLY)
