// Brings an open file to the disk on a thread of its own, so that who appends to it need not wait.
#ifndef XR_BASE_FILE_SYNC_H
#define XR_BASE_FILE_SYNC_H

typedef struct XrFileSync XrFileSync;

// `file` is a descriptor that stays the caller's and open until xr_file_sync_free.
XrFileSync *xr_file_sync_create(int file);
// What was written before is brought to the disk, at once where nothing else is on its way there.
// Returns at once: 0, or the errno of the first failure so far.
int xr_file_sync_start(XrFileSync *sync);
// Waits until all that was started is there; the same result.
int xr_file_sync_wait(XrFileSync *sync);
// Waits, and ends the thread. NULL is fine.
void xr_file_sync_free(XrFileSync *sync);

#endif
