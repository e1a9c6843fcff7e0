// Keys of other trainers that have another name here, or no use.
#ifndef XR_TRAIN_FOREIGN_KEYS_H
#define XR_TRAIN_FOREIGN_KEYS_H

// What to write instead of a key of transformers, TRL, verl or LLaMA-Factory; NULL for a key of
// none of them.
const char *xr_foreign_key(const char *name);

#endif
