#include "shared/format/dtype_names.h"

#include "shared/base/memory.h"

#include <string.h>

static const char *const NAMES[] = {
    [XR_F32] = "F32", [XR_BF16] = "BF16", [XR_F16] = "F16", [XR_F64] = "F64",
    [XR_I64] = "I64", [XR_I32] = "I32",   [XR_U8] = "U8",
};

bool xr_dtype_from_safetensors(const char *name, XrDType *out) {
    for (size_t i = 0; i < XR_COUNT(NAMES); i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *out = (XrDType)i;
        return true;
    }
    return false;
}

const char *xr_dtype_to_safetensors(XrDType dtype) {
    return NAMES[dtype];
}
