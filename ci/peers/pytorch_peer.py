"""PyTorch with transformers: rates as JSON. usage: pytorch_peer.py FOLDER THREADS"""

import json
import sys
import time

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

PROMPT, STEPS = 1024, 12


def timed(work):
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main():
    torch.set_num_threads(int(sys.argv[2]))
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(sys.argv[1], dtype="auto",
                                                               attn_implementation="sdpa").eval()
    ids = torch.randint(0, 150000, (1, PROMPT))
    with torch.inference_mode():
        best, times = 0.0, []
        for _ in range(2):
            out, seconds = timed(lambda: model(input_ids=ids, use_cache=True, logits_to_keep=1))
            best = max(best, PROMPT / seconds)
        for step in range(STEPS):
            token = out.logits[:, -1:].argmax(-1)
            cache, position = out.past_key_values, torch.tensor([PROMPT + step])
            out, seconds = timed(lambda: model(input_ids=token, past_key_values=cache,
                                               use_cache=True, cache_position=position))
            times.append(seconds)
    print(json.dumps({"prefill": best, "decode": 1 / sorted(times)[len(times) // 2]}))


main()
