# ref/*_kernels.c are compiled once for each instruction set that the processor family has; the
# program chooses at run time (ref/isa.h). Each object sees XR_ISA, the suffix of its symbols.
set(xr_isas baseline)
set(xr_flags_baseline "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND xr_isas avx2 avx512)
  set(xr_flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
  set(xr_flags_avx512 -mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw -mavx512vl -mavx512dq
      -mprefer-vector-width=512)
endif()

function(xr_add_kernels target)
  if(NOT ARGN)
    return()
  endif()
  # Sanitized tests spend most of their time in these. Other kernels take longer to optimise than tests gain, and so do
  # these for AVX-512, of which gcc makes a minute's work.
  if(XR_SANITIZE)
    set_source_files_properties(${CMAKE_SOURCE_DIR}/ref/product_kernels.c PROPERTIES COMPILE_OPTIONS -O2)
    foreach(kernels linear attention)
      set_source_files_properties(${CMAKE_SOURCE_DIR}/ref/${kernels}_kernels.c PROPERTIES COMPILE_OPTIONS
          "$<$<NOT:$<STREQUAL:$<TARGET_PROPERTY:NAME>,${target}_avx512>>:-O2>")
    endforeach()
  endif()
  foreach(isa ${xr_isas})
    add_library(${target}_${isa} OBJECT ${ARGN})
    target_compile_options(${target}_${isa} PRIVATE ${xr_flags_${isa}})
    target_compile_definitions(${target}_${isa} PRIVATE XR_ISA=${isa})
    target_include_directories(${target}_${isa} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target}_${isa} PRIVATE xr_flags)
    if(XR_FUZZ) # clang takes minutes to instrument unrolled products, which the targets hardly run
      target_compile_options(${target}_${isa} PRIVATE -fno-sanitize=undefined)
    endif()
    set_target_properties(${target}_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${isa}>)
  endforeach()
endfunction()
