// Element types under safetensors' names: "F32", "BF16", ...
#ifndef XR_FORMAT_DTYPE_NAMES_H
#define XR_FORMAT_DTYPE_NAMES_H

#include "shared/tensor/tensor.h"

// False for a type that this program does not hold.
bool xr_dtype_from_safetensors(const char *name, XrDType *out);
const char *xr_dtype_to_safetensors(XrDType dtype);

#endif
