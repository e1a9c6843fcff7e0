// The operations that cuda/ does not have yet: `#define XR_CUDA_ABSENT_name XR_ABSENT`. Calling one
// aborts with its name, and its test rows are skipped by name and counted. Write the operation and
// remove its line: one that is neither here nor there does not link.
#ifndef XR_CUDA_ABSENT_H
#define XR_CUDA_ABSENT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
// Whether the backend has that operation of the table.
bool xr_cuda_has(const char *operation);
#ifdef __cplusplus
}
#endif

#define XR_ABSENT ~, 1

// XR_CUDA_IS_ABSENT(name) is 1 or 0; XR_CUDA_IF_ABSENT(name, a, b) is a or b.
#define XR_CUDA_SECOND(a, b, ...) b
#define XR_CUDA_PICK(...) XR_CUDA_SECOND(__VA_ARGS__, 0, 0)
#define XR_CUDA_IS_ABSENT(name) XR_CUDA_PICK(XR_CUDA_ABSENT_##name)
#define XR_CUDA_CHOOSE_0(a, b) b
#define XR_CUDA_CHOOSE_1(a, b) a
#define XR_CUDA_CHOOSE_(absent, a, b) XR_CUDA_CHOOSE_##absent(a, b)
#define XR_CUDA_CHOOSE(absent, a, b) XR_CUDA_CHOOSE_(absent, a, b)
#define XR_CUDA_IF_ABSENT(name, a, b) XR_CUDA_CHOOSE(XR_CUDA_IS_ABSENT(name), a, b)

#endif
