# Compiler flags of all of the project's own code.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(xr_flags INTERFACE)
# Sums are in the order that the code says; a multiply and an add are fused only where it says so.
set(xr_c_flags -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wcast-align -Wwrite-strings -Wvla -Wundef -Wno-unused-parameter
    -ffp-contract=off -fno-math-errno $<$<CONFIG:Release>:-O3> $<$<CONFIG:Debug>:-Og>)
target_compile_options(xr_flags INTERFACE "$<$<COMPILE_LANGUAGE:C>:${xr_c_flags}>")
target_compile_definitions(xr_flags INTERFACE _GNU_SOURCE)

set(XR_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
if(XR_SANITIZE)
  add_compile_options(${XR_SANITIZERS})
  add_link_options(${XR_SANITIZERS})
endif()
if(XR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
if(XR_LINT)
  find_program(CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_C_CLANG_TIDY ${CLANG_TIDY} --quiet)
endif()
