# Flags that every target of the project and every plugin shares, and the build stamp.

add_library(xp_flags INTERFACE)
target_compile_options(xp_flags INTERFACE -Wall -Wextra -Wpedantic -Wno-unknown-pragmas
                       -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
if(DEFINED ENV{CI})
  target_compile_options(xp_flags INTERFACE -Werror)
endif()
if(XP_SANITIZE)
  target_compile_options(xp_flags INTERFACE -fsanitize=${XP_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(xp_flags INTERFACE -fsanitize=${XP_SANITIZE})
endif()

# LibTorch as system headers, without its command-line flags.
add_library(xp_torch INTERFACE)
target_include_directories(xp_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
get_filename_component(XP_TORCH_LIB_DIR "${TORCH_LIBRARY}" DIRECTORY)
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
     ${CMAKE_SOURCE_DIR}/framework/api/*.h ${CMAKE_SOURCE_DIR}/framework/kit/*.h)
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
