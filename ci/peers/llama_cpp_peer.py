"""llama.cpp: rates as JSON. usage: llama_cpp_peer.py FILE.gguf THREADS"""

import ctypes
import json
import random
import sys
import time

import llama_cpp as llama

PROMPT, STEPS, MOST = 1024, 24, 8


def quiet(level, text, data):
    pass


def batch_of(tokens):
    """tokens: (id, position, sequence); logits are wanted of all that end a sequence."""
    batch = llama.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, (token, position, sequence) in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
        batch.seq_id[i][0] = sequence
        batch.logits[i] = i + 1 == len(tokens) or tokens[i + 1][2] != sequence
    return batch


def decode(context, tokens):
    batch = batch_of(tokens)
    assert llama.llama_decode(context, batch) == 0
    llama.llama_get_logits(context)
    llama.llama_batch_free(batch)


def prefill(context, sequence):
    start = time.perf_counter()
    decode(context, [(random.randrange(150000), i, sequence) for i in range(PROMPT)])
    return PROMPT / (time.perf_counter() - start)


def steps(context, sequences, first):
    times = []
    for step in range(STEPS):
        tokens = [(random.randrange(150000), first + step, s) for s in range(sequences)]
        start = time.perf_counter()
        decode(context, tokens)
        times.append(time.perf_counter() - start)
    return sequences / sorted(times)[len(times) // 2]


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    log = llama.llama_log_callback(quiet)
    llama.llama_log_set(log, ctypes.c_void_p(0))
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    p = llama.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = (PROMPT + 256) * MOST, PROMPT, 512, MOST
    p.n_threads = p.n_threads_batch = threads
    p.kv_unified = False
    context = llama.llama_init_from_model(model, p)
    memory = llama.llama_get_memory(context)
    rates = []
    for _ in range(3):
        llama.llama_memory_clear(memory, True)
        rates.append(prefill(context, 0))
    one = steps(context, 1, PROMPT)
    llama.llama_memory_clear(memory, True)
    for s in range(MOST):
        prefill(context, s)
    print(json.dumps({"prefill": max(rates), "decode": one, "decode8": steps(context, MOST, PROMPT)}))


main()
