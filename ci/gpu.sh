#!/usr/bin/env bash
# Makes, on a machine with nvcc and no GPU, one file that holds everything needed to test and time the CUDA
# backend on a machine with a GPU that has only the driver and CUDA's libraries (libcublasLt). There:
#
#   tar xf xreasoner-gpu.tar.gz && xreasoner-gpu/run.sh        writes xreasoner-gpu/results.txt
#
# usage: ci/gpu.sh [OUT]      OUT: the file to make (build-gpu/xreasoner-gpu.tar.gz)
# docs/gpu-runs.md says what is run and how to record it.
set -euo pipefail
[[ ${1:-} != @(-h|--help) ]] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit; }
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build-gpu
out=${1:-$build/xreasoner-gpu.tar.gz}
most_bytes=$((60 * 1000 * 1000))
command -v nvcc >/dev/null || { echo "ci/gpu.sh: nvcc (CUDA Toolkit) is not here" >&2; exit 1; }
"$root/ci/install.sh"

cmake -S "$root" --preset cuda -B "$build" -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON >/dev/null
# The rows of operations, what is computed outside of their table, and whole models.
mapfile -t operations <"$build/tests/operations.txt"
mapfile -t models <"$build/tests/models.txt"
tests=("${operations[@]}" "${models[@]}" test_cuda)
cmake --build "$build" -j "$(nproc)" --target xreasoner_program "${tests[@]}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bundle=$folder/xreasoner-gpu
mkdir -p "$bundle/bin" "$bundle/lib" "$bundle/glibc" "$bundle/golden"
programs=("$build/bin/xreasoner" "${tests[@]/#/$build/bin/}")
cp "${programs[@]}" "$bundle/bin/"

# What the programs need: CUDA's libraries are the machine's; so is the C library where it is new enough, and
# ours, with the loader that belongs to it, where it is not.
is_c_library='/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|anl|nss_[a-z]+))\.so\.'
mapfile -t needed < <(ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\/.*ld-linux/ {print $1}' |
    sort -u | grep -vE '/lib(cublas|cublasLt|cuda|cudart)\.so')
folder_of_c=$(dirname "$(readlink -f "$(printf '%s\n' "${needed[@]}" | grep '/libc\.so\.')")")
for library in "${needed[@]}"; do
    if [[ $library =~ $is_c_library ]]; then cp -L "$library" "$bundle/glibc/"; else cp -L "$library" "$bundle/lib/"; fi
done
# The driver's library asks for these, which are empty since glibc 2.34.
for name in libdl.so.2 librt.so.1 libpthread.so.0; do cp -L "$folder_of_c/$name" "$bundle/glibc/"; done
strip --strip-unneeded "$bundle"/bin/* "$bundle"/lib/*

cp "$root"/golden/{ops,bf16}.safetensors "$bundle/golden/"
cp -r "$root"/golden/{models,reference,requests,grpo,sft,images,tokenizer} "$bundle/golden/"
printf '%s\n' "${operations[@]}" >"$bundle/operations.txt"
cp "$root/ci/gpu/run.sh" "$root/ci/gpu/pytorch.py" "$bundle/"
{
    echo "commit $(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)$(
        [ -z "$(git -C "$root" status --porcelain --untracked-files=no 2>/dev/null)" ] || echo ', with changes')"
    echo "built with nvcc $(nvcc --version | sed -n 's/^Cuda compilation tools, //p'), $(
        sed -n 's/^XR_CUDA_ARCHITECTURES:STRING=/for sm_/p' "$build/CMakeCache.txt")"
} >"$bundle/about.txt"
mkdir -p "$(dirname "$out")"
tar -C "$folder" --owner 0 --group 0 -c xreasoner-gpu | gzip -9 >"$out.partial"
mv "$out.partial" "$out"
bytes=$(stat -c %s "$out")
echo "$out: $((bytes / 1000000)) MB"
[ "$bytes" -le "$most_bytes" ] || { echo "ci/gpu.sh: more than $((most_bytes / 1000000)) MB" >&2; exit 1; }
