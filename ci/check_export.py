#!/usr/bin/env python3
"""Does transformers load an exported model folder, and does it compute the same logits?

usage: check_export.py XREASONER MODEL [BASE]
BASE: the folder that training started from; its vision tower must have come out byte for byte.
Needs torch, transformers, safetensors, pillow (golden/README.md has the versions).
"""
import glob
import json
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration, Qwen2ForCausalLM

program, folder = sys.argv[1:3]
base = sys.argv[3] if len(sys.argv) > 3 else None


def tensors(path):
    return {name: (f, name) for file in glob.glob(f"{path}/*.safetensors")
            for f in [safe_open(file, "pt")] for name in f.keys()}


config = json.load(open(f"{folder}/config.json"))
kind = Qwen2ForCausalLM if config["model_type"] == "qwen2" else Qwen2_5_VLForConditionalGeneration
model, info = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                   output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"], info
AutoTokenizer.from_pretrained(folder)
with tempfile.TemporaryDirectory() as scratch:
    request, out = f"{scratch}/request.json", f"{scratch}/out.safetensors"
    json.dump({"messages": [{"role": "user", "content": "How many are 17 apples and 4 apples?"}]},
              open(request, "w"))
    subprocess.run([program, "forward", folder, "--request", request, "--out", out, "--last",
                    "100000", "--dtype", "f32"], check=True)
    with safe_open(out, "pt") as f:
        ids, ours = f.get_tensor("input_ids"), f.get_tensor("logits")
with torch.inference_mode():
    theirs = model(input_ids=ids[None]).logits[0].float()
error = ((ours - theirs).abs().max() / theirs.abs().max()).item()
print(f"{folder}: {len(ids)} tokens, logits differ by {error:.2e} of the largest")
assert error < 1e-4
if base:
    old, new = tensors(base), tensors(folder)
    vision = [n for n in new if n.startswith("visual.")]
    for name in vision:
        f, key = old[name if name in old else f"model.{name}"]
        a, b = f.get_tensor(key), new[name][0].get_tensor(name)
        assert a.dtype == b.dtype and torch.equal(a, b), name
    print(f"{len(vision)} tensors of the vision tower as in {base}")
