"""A step of supervised fine-tuning by PyTorch: rate and peak memory as JSON.

usage: pytorch_sft_peer.py FOLDER THREADS      one sequence of 1,024 tokens, AdamW, vision frozen
"""

import json
import resource
import sys
import time

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

LENGTH, STEPS = 1024, 3


def step(model, optimizer, ids):
    start = time.perf_counter()
    model(input_ids=ids, labels=ids).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


def main():
    torch.set_num_threads(int(sys.argv[2]))
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(sys.argv[1], dtype=torch.float32,
                                                               attn_implementation="sdpa")
    model.train()
    model.visual.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, betas=(0.9, 0.999), weight_decay=0)
    ids = torch.randint(0, 150000, (1, LENGTH))
    times = [step(model, optimizer, ids) for _ in range(STEPS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # The first step makes the optimiser's state.
    print(json.dumps({"sft": LENGTH / min(times[1:]), "peak": peak}))


main()
