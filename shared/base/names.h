// Names that people type.
#ifndef XR_BASE_NAMES_H
#define XR_BASE_NAMES_H

// The one of `names` (`count` of them) that is nearest to `wanted` by edit distance, or NULL when
// none is near.
const char *xr_nearest_name(const char *wanted, const char *const *names, int count);

#endif
