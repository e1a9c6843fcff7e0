"""transformers' two processors of pictures on one thread: megapixels a second as JSON.

usage: images_peer.py FILE...      {"slow": {NAME: rate, ...}, "fast": {...}}
"""

import json
import os
import sys
import time

import torch
from PIL import Image
from transformers import Qwen2VLImageProcessor, Qwen2VLImageProcessorFast

# The published values of Qwen2.5-VL.
VALUES = dict(min_pixels=3136, max_pixels=12845056, patch_size=14, temporal_patch_size=2,
              merge_size=2, image_mean=[0.48145466, 0.4578275, 0.40821073],
              image_std=[0.26862954, 0.26130258, 0.27577711])
ROUNDS = 5


def rate(processor, path):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        image = Image.open(path).convert("RGB")
        processor(images=image, return_tensors="pt")
        best = min(best, time.perf_counter() - start)
    return image.size[0] * image.size[1] / 1e6 / best


def main():
    torch.set_num_threads(1)
    processors = {"slow": Qwen2VLImageProcessor(**VALUES),
                  "fast": Qwen2VLImageProcessorFast(**VALUES)}
    print(json.dumps({name: {os.path.basename(path): rate(processor, path)
                             for path in sys.argv[1:]} for name, processor in processors.items()}))


main()
