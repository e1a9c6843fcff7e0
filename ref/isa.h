// Kernels for several instruction sets. A file ref/NAME_kernels.c is compiled once for each of them
// (ci/cmake/kernels.cmake) with XR_ISA naming it; it exports one constant table of functions whose
// name ends in the instruction set: XR_KERNEL(xr_matmul_kernels) is xr_matmul_kernels_avx2. The
// file without suffix (ref/NAME.c) chooses a table at run time with XR_CHOOSE_KERNELS.
//
// Kernels are plain C with the compiler's vector types, so that one text serves all machines. They
// must not call functions that are inlined from headers shared with other files (the linker could
// keep the copy of the wrong instruction set): everything they use is static in the file.
#ifndef XR_REF_ISA_H
#define XR_REF_ISA_H

typedef enum XrIsa { XR_ISA_BASELINE, XR_ISA_AVX2, XR_ISA_AVX512 } XrIsa;

// The best instruction set of this processor; the environment variable XR_CPU (baseline, avx2,
// avx512) lowers it, for tests and comparison.
XrIsa xr_isa(void);
const char *xr_isa_name(XrIsa isa);

#define XR_ISA_JOIN_(name, isa) name##_##isa
#define XR_ISA_JOIN(name, isa) XR_ISA_JOIN_(name, isa)
#define XR_KERNEL(name) XR_ISA_JOIN(name, XR_ISA)

#if defined(__x86_64__)
#define XR_DECLARE_KERNELS(type, name) extern const type name##_baseline, name##_avx2, name##_avx512
#define XR_CHOOSE_KERNELS(name)                                                                    \
    (xr_isa() == XR_ISA_AVX512 ? &name##_avx512                                                    \
     : xr_isa() == XR_ISA_AVX2 ? &name##_avx2                                                      \
                               : &name##_baseline)
#else
#define XR_DECLARE_KERNELS(type, name) extern const type name##_baseline
#define XR_CHOOSE_KERNELS(name) (&name##_baseline)
#endif

#endif
