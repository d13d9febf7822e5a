# LibTorch's Gloo process group: the wheel has the code and its own header, but not the headers that this one includes;
# those of libgloo-dev serve, without its library.
set(XP_HAS_GLOO OFF)
if(XP_GLOO)
  find_path(XP_GLOO_INCLUDE gloo/rendezvous/store.h)
  if(XP_GLOO_INCLUDE)
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_INCLUDES ${TORCH_INCLUDE_DIRS} ${XP_GLOO_INCLUDE})
    set(CMAKE_REQUIRED_LIBRARIES ${XP_TORCH_LIB_DIR}/libtorch_cpu.so ${XP_TORCH_LIB_DIR}/libc10.so)
    set(CMAKE_REQUIRED_DEFINITIONS -DUSE_C10D_GLOO)
    check_cxx_source_compiles("
      #include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
      int main() { return c10d::ProcessGroupGloo::Options::create_default() == nullptr; }" XP_GLOO_WORKS)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
    unset(CMAKE_REQUIRED_DEFINITIONS)
    set(XP_HAS_GLOO ${XP_GLOO_WORKS})
  endif()
  if(NOT XP_HAS_GLOO)
    message(STATUS "No Gloo: training in one process only (install libgloo-dev for more)")
  endif()
endif()
