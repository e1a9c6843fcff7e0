"""Hugging Face tokenizers on one thread, a document (a line) at a time: MB/s as JSON.

usage: tokenizers_peer.py TOKENIZER_JSON FILE...
"""

import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    lines = []
    for path in sys.argv[2:]:
        with open(path) as file:
            lines += list(file)
    size = sum(len(line.encode()) for line in lines)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for line in lines:
            tokenizer.encode(line, add_special_tokens=False).ids
        best = min(best, time.perf_counter() - start)
    print(json.dumps({"tokenizer": size / 1e6 / best}))


main()
