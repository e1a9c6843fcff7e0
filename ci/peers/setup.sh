#!/usr/bin/env bash
# Makes a Python environment with the programs that xreasoner is compared with.
# usage: ci/peers/setup.sh VENV      (about 15 minutes: llama.cpp is compiled; 6 GB)
set -euo pipefail
venv=${1:?usage: ci/peers/setup.sh VENV}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 transformers==4.57.6 \
    tokenizers==0.22.2 trl==0.24.0 "datasets<5" accelerate safetensors pillow numpy gguf
# From source, so that it uses all instructions of this machine.
"$venv/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python==0.3.36
"$venv/bin/python" -c "import torch, transformers, trl, gguf, llama_cpp
print('torch', torch.__version__, 'transformers', transformers.__version__, 'trl', trl.__version__,
      'llama-cpp-python', llama_cpp.__version__)"
