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

# Sums on GPUs, where LibTorch has CUDA: its own header includes nccl.h, which comes with NCCL's package or, of a Python
# package torch, lies beside it.
set(XP_HAS_NCCL OFF)
if(XP_HAS_GLOO AND TARGET torch_cuda)
  find_path(XP_NCCL_INCLUDE nccl.h HINTS ${XP_TORCH_DIR}/../nvidia/nccl/include)
  if(XP_NCCL_INCLUDE)
    set(XP_NCCL_INCLUDES ${XP_NCCL_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
    set(XP_NCCL_LIBRARIES ${XP_TORCH_LIB_DIR}/libtorch_cuda.so ${XP_TORCH_LIB_DIR}/libc10_cuda.so CUDA::cudart)
    set(CMAKE_REQUIRED_INCLUDES ${TORCH_INCLUDE_DIRS} ${XP_NCCL_INCLUDES})
    set(CMAKE_REQUIRED_LIBRARIES ${XP_TORCH_LIB_DIR}/libtorch_cpu.so ${XP_TORCH_LIB_DIR}/libc10.so ${XP_NCCL_LIBRARIES})
    set(CMAKE_REQUIRED_DEFINITIONS -DUSE_C10D_NCCL)
    check_cxx_source_compiles("
      #include <cuda_runtime_api.h>
      #include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
      int main() { return c10d::ProcessGroupNCCL::Options::create() == nullptr; }" XP_NCCL_WORKS)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
    unset(CMAKE_REQUIRED_DEFINITIONS)
    set(XP_HAS_NCCL ${XP_NCCL_WORKS})
  endif()
  if(NOT XP_HAS_NCCL)
    message(STATUS "No NCCL: several processes sum gradients of GPUs on the CPU")
  endif()
endif()
