# What several processes need of LibTorch: the wheel has its process groups and their headers, but not what these include.
include(CheckCXXSourceCompiles)

# xp_try_process_group(OUT NAME OPTIONS [INCLUDES dir...] [LIBRARIES file...]): whether a program builds that makes
# options of the group, such as Gloo, by the expression.
function(xp_try_process_group out name options)
  cmake_parse_arguments(its "" "" "INCLUDES;LIBRARIES" ${ARGN})
  string(TOUPPER ${name} upper)
  set(CMAKE_REQUIRED_INCLUDES ${TORCH_INCLUDE_DIRS} ${its_INCLUDES})
  set(CMAKE_REQUIRED_LIBRARIES ${XP_TORCH_LIB_DIR}/libtorch_cpu.so ${XP_TORCH_LIB_DIR}/libc10.so ${its_LIBRARIES})
  set(CMAKE_REQUIRED_DEFINITIONS -DUSE_C10D_${upper})
  check_cxx_source_compiles("
    #include <torch/csrc/distributed/c10d/ProcessGroup${name}.hpp>
    int main() { return c10d::ProcessGroup${name}::Options::${options} == nullptr; }" ${out})
endfunction()

# The headers of libgloo-dev serve, without its library.
set(XP_HAS_GLOO OFF)
if(XP_GLOO)
  find_path(XP_GLOO_INCLUDE gloo/rendezvous/store.h)
  if(XP_GLOO_INCLUDE)
    xp_try_process_group(XP_GLOO_WORKS Gloo "create_default()" INCLUDES ${XP_GLOO_INCLUDE})
    set(XP_HAS_GLOO ${XP_GLOO_WORKS})
  endif()
  if(NOT XP_HAS_GLOO)
    message(STATUS "No Gloo: training in one process only (install libgloo-dev for more)")
  endif()
endif()

# Sums on GPUs, where LibTorch has CUDA; nccl.h comes with NCCL's package or, of a Python package torch, lies beside it.
set(XP_HAS_NCCL OFF)
if(XP_HAS_GLOO AND TARGET torch_cuda)
  find_path(XP_NCCL_INCLUDE nccl.h HINTS ${XP_TORCH_DIR}/../nvidia/nccl/include)
  if(XP_NCCL_INCLUDE)
    set(XP_NCCL_INCLUDES ${XP_NCCL_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
    set(XP_NCCL_LIBRARIES ${XP_TORCH_LIB_DIR}/libtorch_cuda.so ${XP_TORCH_LIB_DIR}/libc10_cuda.so CUDA::cudart)
    xp_try_process_group(XP_NCCL_WORKS NCCL "create()" INCLUDES ${XP_NCCL_INCLUDES} LIBRARIES ${XP_NCCL_LIBRARIES})
    set(XP_HAS_NCCL ${XP_NCCL_WORKS})
  endif()
  if(NOT XP_HAS_NCCL)
    message(STATUS "No NCCL: several processes sum gradients of GPUs on the CPU")
  endif()
endif()
