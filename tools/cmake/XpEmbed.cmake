# xp_embed(OUT NAME FILES): text files as one source, OUT.cpp in the build folder beside OUT.h: std::map name -> text, from
# the function xp::NAME(). The name is the file's, without an ending `.in`. Gives the source's path in xp_embedded.
function(xp_embed out name)
  set(entries "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    get_filename_component(key ${file} NAME)
    string(REGEX REPLACE "\\.in$" "" key ${key})
    string(APPEND entries "      {\"${key}\", R\"xp_embedded(${text})xp_embedded\"},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${out}.cpp @ONLY CONTENT [[
#include "@out@.h"

namespace xp {

const std::map<std::string, std::string_view>& @name@() {
  static const std::map<std::string, std::string_view> all = {
@entries@  };
  return all;
}

}  // namespace xp
]])
  set(xp_embedded ${CMAKE_CURRENT_BINARY_DIR}/${out}.cpp PARENT_SCOPE)
endfunction()
