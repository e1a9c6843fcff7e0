#!/usr/bin/env bash
# Compares xreasoner with llama.cpp and PyTorch on this machine and prints the table of docs/speed.md.
# usage: ci/peers.sh [VENV [WORK]]     VENV: Python environment, made where it is missing (6 GB);
#                                      WORK: folder for the models, made where missing (2.4 GB)
# Further settings: XR_THREADS (2), XR_ROUNDS (3).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$root/build/peers}
work=${2:-$root/build/peers-work}
"$venv/bin/python" -c "import torch, transformers, gguf, llama_cpp" 2>/dev/null ||
    "$root/ci/peers/setup.sh" "$venv"
mkdir -p "$work"
[ -e "$work/bf16/config.json" ] || "$venv/bin/python" "$root/ci/peers/checkpoint.py" "$work"
for type in f32 bf16; do
    [ -e "$work/$type.gguf" ] ||
        "$venv/bin/python" "$root/ci/peers/gguf_file.py" "$work/$type" "$work/$type.gguf"
done
cmake -S "$root" --preset default >/dev/null
cmake --build "$root/build" --target xreasoner_program >/dev/null
"$venv/bin/python" "$root/ci/peers/compare.py" "$root/build/bin/xreasoner" "$work" \
    --threads "${XR_THREADS:-2}" --rounds "${XR_ROUNDS:-3}"
