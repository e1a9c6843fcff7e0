"""A GRPO step by TRL: seconds and peak memory as JSON.

usage: trl_peer.py FOLDER GSM8K_TRAIN_JSONL THREADS      4 prompts, 8 samples each, 128 new tokens
"""

import json
import os
import resource
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

STEPS = 2


class TimedTrainer(GRPOTrainer):
    times = []

    def training_step(self, *args, **kwargs):
        start = time.perf_counter()
        result = super().training_step(*args, **kwargs)
        self.times.append(time.perf_counter() - start)
        return result


def reward(completions, **_):
    """Something that differs from sample to sample; what it is costs nothing."""
    return [float(len(c) % 2) for c in completions]


def main():
    folder, questions, threads = sys.argv[1:4]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json",
                                        eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                        model_input_names=["input_ids", "attention_mask"])
    with open(questions) as file:
        rows = [{"prompt": json.loads(line)["question"]} for line in file][:64]
    with tempfile.TemporaryDirectory() as out:
        config = GRPOConfig(output_dir=out, per_device_train_batch_size=32, num_generations=8,
                            max_completion_length=128, max_prompt_length=256, max_steps=STEPS,
                            learning_rate=1e-6, report_to=[], use_cpu=True, bf16=False, fp16=False,
                            temperature=1.0, save_strategy="no", beta=0.0, loss_type="dapo",
                            gradient_checkpointing=False, disable_tqdm=True, logging_steps=1000)
        TimedTrainer(model=Qwen2ForCausalLM.from_pretrained(folder), reward_funcs=reward, args=config,
                     train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"grpo_seconds": min(TimedTrainer.times), "peak": peak}))


main()
