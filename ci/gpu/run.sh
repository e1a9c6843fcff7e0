#!/usr/bin/env bash
# Tests and times the CUDA backend on this machine (docs/gpu-runs.md); everything goes to results.txt too.
# usage: ./run.sh [PART...]     parts: cpu tests ptx bench pytorch sanitizer demo; all of them without any
# Exit status: 0 all passed, 1 something failed, 2 a wrong part, 3 there is no GPU or the programs do not start.
set -uo pipefail
cd "$(dirname "$0")" || exit 3
here=$PWD
parts=(cpu tests ptx bench pytorch sanitizer demo)
for part in "$@"; do
    [[ " ${parts[*]} " == *" $part "* ]] || { echo "run.sh: no part $part; there are: ${parts[*]}" >&2; exit 2; }
done
[ $# -eq 0 ] || parts=("$@")
failures=0
started=$(mktemp -d)
trap 'rm -rf "$started"' EXIT

section() { printf '\n== %s ==\n' "$*"; }
asked() { [[ " ${parts[*]} " == *" $1 "* ]]; }

# CUDA's library: where the loader looks, in a toolkit's folder, or beside a PyTorch.
find_library() {
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | awk -v name="$1" '$1 == name {print $NF}'
    local folder
    for folder in ${LD_LIBRARY_PATH:+${LD_LIBRARY_PATH//:/ }} /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib \
        $(python3 -c 'import site; print(*site.getsitepackages(), site.getusersitepackages())' 2>/dev/null); do
        ls "$folder/$1" "$folder"/nvidia/*/lib/"$1" 2>/dev/null
    done
}

# Scripts that start the programs with the libraries of the bundle; $1: the loader, nothing for the machine's.
make_starters() {
    local program name
    for program in "$here"/bin/*; do
        name=$(basename "$program")
        {
            echo '#!/bin/sh'
            echo 'XR_TEST_ITSELF=$0' # /proc/self/exe may be the loader
            echo 'export XR_TEST_ITSELF'
            if [ -n "${1:-}" ]; then
                echo "exec '$1' --library-path '$here/glibc:$here/lib:$cuda_folder' '$program' \"\$@\""
            else
                echo "LD_LIBRARY_PATH='$here/lib:$cuda_folder' exec '$program' \"\$@\""
            fi
        } >"$started/$name"
        chmod +x "$started/$name"
    done
}

# Makes the programs start here; says how.
prepare() {
    local need library version
    need=$(grep -aoh 'libcublasLt\.so\.[0-9]*' lib/libxreasoner.so* | head -n 1)
    library=$(find_library "$need" | head -n 1)
    if [ -z "$library" ]; then
        echo "$need is not on this machine: install CUDA's libraries (libcublas) of that version, or name their" \
            "folder in LD_LIBRARY_PATH"
        return 3
    fi
    cuda_folder=$(dirname "$library")
    make_starters
    if version=$("$started/xreasoner" --version 2>&1); then
        echo "$version"
        echo "$library; the machine's C library"
        return 0
    fi
    make_starters "$(ls "$here"/glibc/ld-linux*)"
    if version=$("$started/xreasoner" --version 2>&1); then
        echo "$version"
        echo "$library; the bundle's C library, as the machine's is too old"
        return 0
    fi
    printf 'the programs do not start here:\n%s\n' "$version"
    return 3
}

check() { # NAME COMMAND...: its outcome, and its output where it failed
    local name=$1 start=$SECONDS log=$started/log
    shift
    if "$@" >"$log" 2>&1; then
        echo "passed  $name: $((SECONDS - start)) s, $(grep -c '^\[       OK' "$log") tests, $(
            grep -c '^\[  SKIPPED' "$log") skipped"
    else
        echo "FAILED  $name, status $?"
        grep -vE '^\[( +OK| RUN)' "$log" | tail -n 40
        failures=$((failures + 1))
    fi
}
operations_on_cpu() {
    local name
    while read -r name; do check "$name" "$started/$name" '*/cpu/*'; done <operations.txt
}
all_on_gpu() { # PREFIX
    local program name
    for program in bin/test_*; do
        name=$(basename "$program")
        case $name in
        test_cuda) check "$1$name" "$started/$name" ;;
        *) check "$1$name" "$started/$name" '*cuda*' ;;
        esac
    done
}

run_sanitizer() {
    local sanitizer tool
    sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
    if [ -z "$sanitizer" ]; then
        echo "no compute-sanitizer here"
        return
    fi
    for tool in memcheck racecheck synccheck; do
        sanitize() {
            check "$tool $1" "$sanitizer" --tool $tool --target-processes all --error-exitcode 9 \
                "$started/$1" ${2:+"$2"}
        }
        sanitize test_attention '*/cuda/*31x3x1x16*'
        sanitize test_norm '*/cuda/*33x*'
        sanitize test_logprob '*/cuda/*'
        sanitize test_cuda
    done
}

run_parts() {
    export XR_SOURCE_DIR=$here XR_PROGRAM=$started/xreasoner
    date -u '+%Y-%m-%d %H:%M UTC'
    cat about.txt
    prepare || return 3
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap,clocks.max.sm --format=csv
    else
        echo "no nvidia-smi"
    fi
    if asked cpu; then
        section "tests, CPU"
        operations_on_cpu
    fi
    local no_gpu
    no_gpu=$("$started/test_cuda" 2>&1 | sed -n 's/^no GPU: //p' | head -n 1)
    if [ -n "$no_gpu" ]; then
        section "no GPU"
        echo "$no_gpu"
        [ $failures -eq 0 ] || echo "$failures FAILED on the CPU"
        return 3
    fi
    if asked tests; then
        section "tests, GPU"
        all_on_gpu ""
    fi
    if asked ptx; then
        section "tests, the code for compute capability 8.0 compiled by the driver (CUDA_FORCE_PTX_JIT)"
        CUDA_FORCE_PTX_JIT=1 CUDA_CACHE_DISABLE=0 all_on_gpu "ptx "
    fi
    if asked bench; then
        section "benchmarks"
        "$started/xreasoner" bench --device cuda || failures=$((failures + 1))
    fi
    if asked pytorch; then
        section "the same by PyTorch"
        if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
            python3 pytorch.py || failures=$((failures + 1))
        else
            echo "no PyTorch with CUDA here"
        fi
    fi
    if asked sanitizer; then
        section "compute-sanitizer on small shapes"
        run_sanitizer
    fi
    if asked demo; then
        section "the whole recipe on the tiny world"
        rm -rf "$here/demo"
        if "$started/xreasoner" demo --device cuda --out "$here/demo" 2>"$started/demo.log"; then
            echo "passed  demo"
        else
            echo "FAILED  demo"
            tail -n 20 "$started/demo.log"
            failures=$((failures + 1))
        fi
    fi
    section "outcome"
    if [ $failures -gt 0 ]; then
        echo "$failures FAILED"
        return 1
    fi
    echo "all passed"
}
run_parts 2>&1 | tee results.txt
exit "${PIPESTATUS[0]}"
