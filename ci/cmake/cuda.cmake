# cuda/: compiled by nvcc (XR_CUDA), or as C++ against cuda/emulation/ (XR_CUDA_EMULATION), or left out.
# docs/cuda.md describes both.
option(XR_CUDA "Build the CUDA backend (needs the CUDA Toolkit)" OFF)
option(XR_CUDA_EMULATION "Build the CUDA backend for an emulated GPU on the CPU, for tests" OFF)
set(XR_CUDA_ARCHITECTURES "80;90a" CACHE STRING
    "Compute capabilities to make machine code for; newer GPUs compile the PTX of the first")
if(XR_CUDA AND XR_CUDA_EMULATION)
  message(FATAL_ERROR "XR_CUDA and XR_CUDA_EMULATION exclude each other")
endif()

file(GLOB xr_cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)
set(xr_cuda_flags "")

if(XR_CUDA)
  # Not ccache: it looks at the host's part of a file, and takes what was made from another kernel where only code
  # behind __CUDA_ARCH__ and the like has changed.
  if(NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/ci/cmake/nvcc.sh)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES OFF) # xr_cuda_flags says for which
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  set(CMAKE_CUDA_STANDARD 17)
  foreach(architecture ${XR_CUDA_ARCHITECTURES})
    list(APPEND xr_cuda_flags -gencode=arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  list(GET XR_CUDA_ARCHITECTURES 0 first)
  list(APPEND xr_cuda_flags -gencode=arch=compute_${first},code=compute_${first}
       # A multiply and an add are fused only where the code says so, as on the CPU.
       --fmad=false --Werror=all-warnings -Xcompiler=-Wall,-Werror -lineinfo)
elseif(XR_CUDA_EMULATION)
  enable_language(CXX)
  set(CMAKE_CXX_STANDARD 17)
  set(CMAKE_CXX_EXTENSIONS ON)
  if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER AND CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  endif()
  find_library(BOOST_CONTEXT boost_context REQUIRED)
  list(APPEND xr_cuda_flags -Wall -Wextra -Werror -Wno-unused-parameter -Wmissing-declarations
       -Wno-unknown-pragmas -ffp-contract=off -fno-math-errno -fno-exceptions -fno-rtti)
  set_source_files_properties(${xr_cuda_sources} PROPERTIES LANGUAGE CXX)
endif()

# The instrumentation that cuda/emulation/memory.cpp defines, in place of AddressSanitizer's.
# Optimised, so that what a GPU keeps in registers is no memory here.
set(xr_cuda_checked -fno-sanitize=address -fsanitize=thread -fno-omit-frame-pointer -O2)

# Compiles sources of kernels as part of `target`.
function(xr_add_cuda target)
  add_library(${target}_cuda OBJECT ${ARGN})
  target_include_directories(${target}_cuda PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${target}_cuda PRIVATE ${xr_cuda_flags})
  set_target_properties(${target}_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(XR_CUDA_EMULATION)
    target_compile_definitions(${target}_cuda PRIVATE XR_CUDA_EMULATION _GNU_SOURCE)
    target_include_directories(${target}_cuda BEFORE PRIVATE ${CMAKE_SOURCE_DIR}/cuda/emulation)
    if(XR_SANITIZE)
      target_compile_options(${target}_cuda PRIVATE ${xr_cuda_checked})
    endif()
  endif()
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_cuda>)
endfunction()

function(xr_add_backend target)
  if(XR_CUDA)
    xr_add_cuda(${target} ${xr_cuda_sources})
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cuda/batches.c)
    target_link_libraries(${target} PUBLIC CUDA::cudart_static CUDA::cublasLt)
  elseif(XR_CUDA_EMULATION)
    xr_add_cuda(${target} ${xr_cuda_sources})
    file(GLOB emulation CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/emulation/*.cpp)
    add_library(${target}_emulation OBJECT ${emulation})
    target_include_directories(${target}_emulation PRIVATE ${CMAKE_SOURCE_DIR}
                               ${CMAKE_SOURCE_DIR}/cuda/emulation)
    target_compile_options(${target}_emulation PRIVATE ${xr_cuda_flags})
    target_compile_definitions(${target}_emulation PRIVATE XR_CUDA_EMULATION _GNU_SOURCE)
    set_target_properties(${target}_emulation PROPERTIES POSITION_INDEPENDENT_CODE ON)
    if(XR_SANITIZE)
      # What runs on fibers' stacks is not instrumented.
      target_compile_options(${target}_emulation PRIVATE -fno-sanitize=address -O2)
      target_compile_definitions(${target}_emulation PRIVATE XR_EMULATION_CHECKED)
    endif()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cuda/batches.c
                   $<TARGET_OBJECTS:${target}_emulation>)
    target_link_libraries(${target} PUBLIC ${BOOST_CONTEXT} ${CMAKE_DL_LIBS})
  else()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cuda/none.c)
  endif()
endfunction()
