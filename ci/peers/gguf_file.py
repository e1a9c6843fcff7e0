"""Writes the language model of a folder made by checkpoint.py as a GGUF file for llama.cpp.

usage: gguf_file.py FOLDER OUT.gguf      in the folder's own type; the vocabulary is made up
"""

import json
import sys
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file

LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    """llama.cpp's name of a tensor, or None for those of the vision tower."""
    fixed = {"model.embed_tokens.weight": "token_embd.weight",
             "model.norm.weight": "output_norm.weight"}
    if name in fixed:
        return fixed[name]
    if not name.startswith("model.layers."):
        return None
    _, _, layer, rest = name.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER[module]}.{kind}"


def header(writer, c):
    writer.add_name("bench")
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"<{i}>" for i in range(c["vocab_size"])])
    writer.add_token_types([gguf.TokenType.NORMAL] * c["vocab_size"])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(c["eos_token_id"])


def main():
    folder, out = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text())
    config = {**config, **config.get("text_config", {})}
    writer = gguf.GGUFWriter(out, "qwen2")
    header(writer, config)
    for name, tensor in load_file(folder / "model.safetensors").items():
        if gguf_name(name) is None:
            continue
        if tensor.dtype == torch.bfloat16 and tensor.ndim > 1:
            writer.add_tensor(gguf_name(name), tensor.view(torch.uint8).numpy(),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(gguf_name(name), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
