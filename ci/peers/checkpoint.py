"""Writes the models that are measured, with random weights.

usage: checkpoint.py OUT [TOKENIZER_JSON]
OUT/f32 and OUT/bf16: the `bench` model, a Qwen2.5-VL of 205 M parameters; OUT/grpo: a Qwen2 of 46 M, in
f32. With Qwen2.5's tokenizer.json, which is copied into each, they can also be opened for start-up and
training.
"""

import shutil
import sys
from pathlib import Path

import torch
from transformers import (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Config,
                          Qwen2ForCausalLM)

TEXT = dict(vocab_size=151936, hidden_size=768, intermediate_size=2048, num_hidden_layers=12,
            num_attention_heads=12, num_key_value_heads=4, tie_word_embeddings=True,
            rms_norm_eps=1e-6, rope_theta=1e6, max_position_embeddings=32768,
            max_window_layers=12, use_sliding_window=False, bos_token_id=151643,
            eos_token_id=151645,
            rope_scaling={"type": "mrope", "mrope_section": [8, 12, 12]})
VISION = dict(depth=8, hidden_size=320, num_heads=5, intermediate_size=864, out_hidden_size=768,
              patch_size=14, spatial_merge_size=2, temporal_patch_size=2, window_size=112,
              fullatt_block_indexes=[3, 7], tokens_per_second=2, in_chans=3, hidden_act="silu")
SMALL = dict(vocab_size=151936, hidden_size=256, intermediate_size=704, num_hidden_layers=8,
             num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
             max_position_embeddings=4096, bos_token_id=151643, eos_token_id=151645,
             pad_token_id=151643)


def fill(model):
    """Activations of order one, whatever the depth: variance 1/inputs; scales and biases apart."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(0, 0.1)
        elif parameter.ndim == 1:
            parameter.uniform_(0.6, 1.4)
        elif "embed_tokens" in name:  # the head too
            parameter.normal_(0, 2 * TEXT["hidden_size"] ** -0.5)
        else:
            parameter.normal_(0, parameter[0].numel() ** -0.5)


def main():
    out = Path(sys.argv[1])
    torch.manual_seed(1)
    config = Qwen2_5_VLConfig(vision_config=VISION, image_token_id=151655, video_token_id=151656,
                              vision_start_token_id=151652, vision_end_token_id=151653, **TEXT)
    model = Qwen2_5_VLForConditionalGeneration(config)
    with torch.no_grad():
        fill(model)
    model.float().save_pretrained(out / "f32")
    model.bfloat16().save_pretrained(out / "bf16")
    Qwen2ForCausalLM(Qwen2Config(**SMALL)).save_pretrained(out / "grpo")
    for name in ("f32", "bf16", "grpo"):
        if len(sys.argv) > 2:
            shutil.copy(sys.argv[2], out / name / "tokenizer.json")


main()
