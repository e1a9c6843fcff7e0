#!/bin/sh
# Runs nvcc, and fails where ptxas notes that a kernel's asynchronous products are carried out one after the other
# ("wgmma ... serialized", C7514 and its neighbours): information to ptxas, an error to us, like a warning.
notes=$(mktemp) || exit 1
trap 'rm -f "$notes"' EXIT
"$@" >"$notes" 2>&1
status=$?
cat "$notes" >&2
if grep -q 'wgmma.*serialized' "$notes"; then
  echo "error: products by warpgroups are serialised (the note above): see cuda/warpgroup.h" >&2
  exit 1
fi
exit $status
