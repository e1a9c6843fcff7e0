#!/usr/bin/env python3
"""Make the small checkpoints of golden/models and the reference tensors of every stage.

usage: make_models.py            (writes below the folder that it lies in; golden/README.md)
Versions: torch 2.13.0, transformers 4.57.6, tokenizers 0.22, safetensors, pillow 13.
Everything is computed in float32 on the CPU with eager attention, from the weights as they are on
disk.
"""
import json
import os
import shutil

import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import (GenerationConfig, PreTrainedTokenizerFast, Qwen2_5_VLConfig,
                          Qwen2_5_VLForConditionalGeneration, Qwen2Config, Qwen2ForCausalLM)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

import tiny_tokenizer
from tiny_tokenizer import IDS

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = 400  # embedding rows: 382 tokens and padding
NEW_TOKENS = 16
assert torch.__version__.split("+")[0] == "2.13.0" and transformers.__version__ == "4.57.6"

# ---- pictures and requests -------------------------------------------------------------------

# Width and height before resizing; merged grids of 3x5, 2x2, 5x7, 5x4 and 1x7 cells.
PICTURES = dict(a=(150, 80), b=(60, 61), c=(190, 140), d=(100, 150), e=(200, 28))


def user(*parts):
    content = [dict(type="image", image=f"golden/images/{p[1:]}.png") if p.startswith("@")
               else dict(type="text", text=p) for p in parts]
    return dict(role="user", content=content)


REQUESTS = dict(
    text=[dict(role="user", content="How many apples are left?")],
    image=[user("@a", "What is in the picture?")],
    two=[user("First: ", "@a", "Second: ", "@d", "Which is larger?")],
    adjacent=[user("Compare", "@b", "@e")],
    turns=[dict(role="system", content="Answer briefly."), user("@c", "How many?"),
           dict(role="assistant", content="There are 12."), dict(role="user", content="Why?")],
    talk=[dict(role="system", content="You are a helpful assistant."),
          dict(role="user", content="How long does the journey take?\n9:30 to 11:45"),
          dict(role="assistant", content="It takes 2 hours and 15 minutes."),
          dict(role="user", content="Let me think...")],
    short=[dict(role="user", content="7")],
)

# ---- models ------------------------------------------------------------------------------------

# text: hidden, layers, heads, kv heads, intermediate, mrope; vision: depth, hidden, heads,
# intermediate, window, full-attention blocks. `form` of config.json, type and prefix on disk.
MODELS = dict(
    gqa2_tied=dict(text=(64, 2, 4, 2, 96, [2, 3, 3]), vision=(4, 32, 2, 48, 112, [1, 3]), tied=True,
                   form="flat", dtype=torch.float32, prefix="hub", shards=1, seed=1,
                   requests=["text", "image", "two", "adjacent", "turns"],
                   gradients=["two", "text"]),
    gqa4_shards=dict(text=(128, 2, 4, 1, 64, [4, 6, 6]), vision=(3, 40, 2, 52, 56, [2]), tied=False,
                     form="nested", dtype=torch.bfloat16, prefix="nested", shards=3, seed=2,
                     requests=["image", "two", "turns"], gradients=["image", "turns"]),
    gqa7_half=dict(text=(112, 2, 7, 1, 80, [2, 3, 3]), vision=(2, 48, 1, 40, 112, [1]), tied=False,
                   form="v5", dtype=torch.float16, prefix="hub", shards=1, seed=3,
                   requests=["two", "adjacent", "turns"], gradients=[]),
    mha_head64=dict(text=(128, 1, 2, 2, 72, [8, 12, 12]), vision=(3, 64, 4, 36, 168, [0]), tied=True,
                    form="nested", dtype=torch.float16, prefix="hub", shards=1, seed=4,
                    requests=["image", "turns"], gradients=[]),
    head128=dict(text=(256, 1, 2, 1, 96, [16, 24, 24]), vision=(2, 80, 1, 44, 112, [0]), tied=True,
                 form="flat", dtype=torch.bfloat16, prefix="nested", shards=1, seed=5,
                 requests=["two", "adjacent"], gradients=[]),
    text_only=dict(text=(96, 2, 6, 2, 64, None), vision=None, tied=True, form="flat",
                   dtype=torch.float32, prefix="hub", shards=1, seed=6,
                   requests=["talk", "short"], gradients=["talk", "short"]),
)


def text_keys(spec):
    hidden, layers, heads, kv, inner, sections = spec["text"]
    keys = dict(vocab_size=VOCAB, hidden_size=hidden, num_hidden_layers=layers,
                num_attention_heads=heads, num_key_value_heads=kv, intermediate_size=inner,
                hidden_act="silu", max_position_embeddings=4096, max_window_layers=layers,
                rms_norm_eps=1e-6 if sections else 1e-5, initializer_range=0.02,
                attention_dropout=0.0, use_cache=True, use_sliding_window=False,
                sliding_window=32768, tie_word_embeddings=spec["tied"],
                bos_token_id=IDS["<|endoftext|>"], eos_token_id=IDS["<|im_end|>"])
    if sections:
        keys["rope_theta"] = 1000000.0
        keys["rope_scaling"] = dict(type="mrope", mrope_section=sections)
    else:
        keys["rope_theta"] = 10000.0
    return keys


def vision_keys(spec):
    depth, hidden, heads, inner, window, full = spec["vision"]
    return dict(depth=depth, hidden_act="silu", hidden_size=hidden, intermediate_size=inner,
                num_heads=heads, in_chans=3, out_hidden_size=spec["text"][0], patch_size=14,
                spatial_merge_size=2, spatial_patch_size=14, window_size=window,
                fullatt_block_indexes=full, tokens_per_second=2, temporal_patch_size=2)


def token_keys():
    return dict(image_token_id=IDS["<|image_pad|>"], video_token_id=IDS["<|video_pad|>"],
                vision_start_token_id=IDS["<|vision_start|>"],
                vision_end_token_id=IDS["<|vision_end|>"],
                vision_token_id=IDS["<|vision_pad|>"])


def config_json(spec):
    """config.json as the hub's (flat), as transformers 4.57 saves it, or as transformers 5 does."""
    text, dtype = text_keys(spec), str(spec["dtype"]).split(".")[1]
    if spec["vision"] is None:
        return dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", torch_dtype=dtype,
                    transformers_version="4.43.1", **text)
    top = dict(architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl")
    if spec["form"] == "flat":
        return dict(top, torch_dtype=dtype, transformers_version="4.41.2", **text, **token_keys(),
                    vision_config=vision_keys(spec))
    vision = vision_keys(spec)
    vision["in_channels"] = vision.pop("in_chans")
    vision["model_type"] = "qwen2_5_vl" if spec["form"] == "nested" else "qwen2_5_vl_vision"
    text["model_type"] = "qwen2_5_vl_text"
    text["layer_types"] = ["full_attention"] * text["num_hidden_layers"]
    text["sliding_window"] = None
    sections = text.pop("rope_scaling")["mrope_section"]
    rope = dict(mrope_section=sections, rope_type="default", type="default")
    if spec["form"] == "v5":
        rope["rope_theta"] = text.pop("rope_theta")
        tied = text.pop("tie_word_embeddings")
        text["rope_parameters"] = rope
        return dict(top, dtype=dtype, text_config=text, tie_word_embeddings=tied,
                    transformers_version="5.3.0", vision_config=vision, **token_keys())
    text["rope_scaling"] = rope
    # 4.57 repeats the text keys on the top level, and writes tie_word_embeddings only where it
    # differs from a class default: on the top level when false, in text_config when true.
    tied = text.pop("tie_word_embeddings")
    (text if tied else top)["tie_word_embeddings"] = tied
    top.pop("architectures")
    text["architectures"] = ["Qwen2_5_VLForConditionalGeneration"]
    copies = {k: text[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads",
                                   "num_hidden_layers", "num_key_value_heads", "rms_norm_eps",
                                   "rope_theta", "vocab_size", "bos_token_id", "eos_token_id")}
    return dict(top, dtype=dtype, text_config=text, transformers_version="4.57.6",
                vision_config=vision, **copies, **token_keys())


def make_model(spec):
    torch.manual_seed(spec["seed"])
    if spec["vision"] is None:
        config, kind = Qwen2Config(**text_keys(spec)), Qwen2ForCausalLM
    else:
        vision = vision_keys(spec)
        config = Qwen2_5_VLConfig(**text_keys(spec), **token_keys(), vision_config=vision)
        kind = Qwen2_5_VLForConditionalGeneration
    config._attn_implementation = "eager"
    model = kind(config).float().eval()
    assert model.get_input_embeddings().weight.shape[0] == VOCAB
    with torch.no_grad():
        # Activations stay of order one and logits spread, so that mistakes show.
        for name, p in model.named_parameters():
            if p.ndim == 1 and name.endswith("bias"):
                p.normal_(0, 0.1)
            elif p.ndim == 1:
                p.uniform_(0.6, 1.4)
            elif "embed_tokens" in name:
                p.normal_(0, 2.0 / p.shape[1] ** 0.5 if spec["tied"] else 1.0)
            else:
                # With tied embeddings the residual stream's own token would always win, did the
                # layers not add more to it.
                layer = "layers" in name and ("o_proj" in name or "down_proj" in name)
                gain = 2.0 if "lm_head" in name else 3.0 if layer and spec["tied"] else 1.0
                p.normal_(0, gain / p[0].numel() ** 0.5)
            p.copy_(p.to(spec["dtype"]).float())
    return model


def disk_name(name, prefix):
    if prefix == "nested":
        return name
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def save_weights(model, spec, folder):
    tensors = {disk_name(n, spec["prefix"]): p.detach().to(spec["dtype"]).contiguous()
               for n, p in model.named_parameters()}
    shards = spec["shards"]
    if shards == 1:
        save_file(tensors, f"{folder}/model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map = {}
    for k in range(shards):
        part = names[k::shards]  # a layer's tensors lie in different files
        file = f"model-{k + 1:05d}-of-{shards:05d}.safetensors"
        save_file({n: tensors[n] for n in part}, f"{folder}/{file}", metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(f"{folder}/model.safetensors.index.json",
               dict(metadata=dict(total_size=total), weight_map=dict(sorted(weight_map.items()))))


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")


PREPROCESSOR = dict(min_pixels=3136, max_pixels=12845056, patch_size=14, temporal_patch_size=2,
                    merge_size=2, image_mean=[0.48145466, 0.4578275, 0.40821073],
                    image_std=[0.26862954, 0.26130258, 0.27577711],
                    image_processor_type="Qwen2VLImageProcessor",
                    processor_class="Qwen2_5_VLProcessor")


def save_folder(model, spec, folder, tokenizer):
    os.makedirs(folder)
    write_json(f"{folder}/config.json", config_json(spec))
    write_json(f"{folder}/generation_config.json", dict(
        bos_token_id=IDS["<|endoftext|>"], pad_token_id=IDS["<|endoftext|>"], do_sample=True,
        eos_token_id=[IDS["<|im_end|>"], IDS["<|endoftext|>"]], repetition_penalty=1.05,
        temperature=0.000001, transformers_version="4.49.0"))
    if spec["vision"]:
        write_json(f"{folder}/preprocessor_config.json", PREPROCESSOR)
    tokenizer.save(f"{folder}/tokenizer.json")
    write_json(f"{folder}/tokenizer_config.json", dict(
        add_bos_token=False, add_prefix_space=False, bos_token=None, eos_token="<|im_end|>",
        pad_token="<|endoftext|>", unk_token=None, model_max_length=131072, errors="replace",
        split_special_tokens=False, clean_up_tokenization_spaces=False,
        tokenizer_class="Qwen2Tokenizer", chat_template=tiny_tokenizer.CHAT_TEMPLATE))
    save_weights(model, spec, folder)


def check_folder(model, spec, folder):
    """transformers reads from the folder what was meant (it cannot read the form of version 5)."""
    if spec["form"] == "v5":
        return
    again = type(model).from_pretrained(folder, dtype=torch.float32)
    mine = dict(model.named_parameters())
    for name, p in again.named_parameters():
        assert torch.equal(p, mine[name]), name
    assert again.config.get_text_config().tie_word_embeddings == spec["tied"]


# ---- pictures ----------------------------------------------------------------------------------

def make_pictures():
    processor = Qwen2VLImageProcessor(min_pixels=3136, max_pixels=12845056)
    os.makedirs(f"{HERE}/images")
    pixels, grids, saved = {}, {}, {}
    for i, (name, (width, height)) in enumerate(PICTURES.items()):
        torch.manual_seed(100 + i)
        y = torch.arange(height).view(-1, 1, 1) / height
        x = torch.arange(width).view(1, -1, 1) / width
        wave = torch.rand(3) * 9 * x + torch.rand(3) * 9 * y + torch.rand(3) * 6
        rgb = 127.5 + 100 * torch.sin(wave)
        rgb[height // 4:height // 2, width // 3:width // 2] = torch.rand(3) * 255
        rgb += (torch.rand(height // 4 + 1, width // 4 + 1, 1) * 40).repeat_interleave(
            4, 0).repeat_interleave(4, 1)[:height, :width]
        image = Image.fromarray(rgb.clamp(0, 255).to(torch.uint8).numpy())
        image.save(f"{HERE}/images/{name}.png", optimize=True)
        out = processor(Image.open(f"{HERE}/images/{name}.png"), return_tensors="pt")
        pixels[name], grids[name] = out["pixel_values"], out["image_grid_thw"]
        saved[f"{name}.pixel_values"] = pixels[name].contiguous()
        saved[f"{name}.image_grid_thw"] = grids[name].contiguous()
    save_file(saved, f"{HERE}/images/patches.safetensors")
    return pixels, grids


# ---- reference tensors -------------------------------------------------------------------------

def pictures_of(messages):
    parts = [p for m in messages if not isinstance(m["content"], str) for p in m["content"]]
    return [os.path.basename(p["image"])[:-4] for p in parts if p["type"] == "image"]


def encode(messages, template, tokenizer, grids):
    text = template.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    pieces = text.split("<|image_pad|>")
    text = pieces[0]
    for name, piece in zip(pictures_of(messages), pieces[1:]):
        text += "<|image_pad|>" * (int(grids[name].prod()) // 4) + piece
    return torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])


def prepare(model, messages, ids, pixels, grids):
    names = pictures_of(messages)
    if not names:
        return dict(input_ids=ids)
    return dict(input_ids=ids, pixel_values=torch.cat([pixels[n] for n in names]),
                image_grid_thw=torch.cat([grids[n] for n in names]))


def hook_outputs(model, store):
    """Every stage's output under its name; returns the hooks."""
    def keep(name):
        def hook(module, inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            store[name] = output.detach().reshape(-1, output.shape[-1]).clone()
        return hook

    language = model.model.language_model if hasattr(model.model, "language_model") else model.model
    hooks = [layer.register_forward_hook(keep(f"layers.{i}"))
             for i, layer in enumerate(language.layers)]
    hooks.append(language.norm.register_forward_hook(keep("norm")))

    def embeddings(module, args, kwargs):
        embeds = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        store["inputs_embeds"] = embeds.detach()[0].clone()
    hooks.append(language.layers[0].register_forward_pre_hook(embeddings, with_kwargs=True))
    if hasattr(model.model, "visual"):
        visual = model.model.visual
        hooks.append(visual.patch_embed.register_forward_hook(keep("vision.patch_embed")))
        hooks += [b.register_forward_hook(keep(f"vision.blocks.{i}"))
                  for i, b in enumerate(visual.blocks)]
        hooks.append(visual.register_forward_hook(keep("image_embeds")))
    return hooks


def add_vision_index(model, inputs, out):
    grid = inputs["image_grid_thw"]
    index, cu_window = model.model.visual.get_window_index(grid)
    out["image_grid_thw"] = grid
    out["window_index"] = index
    out["cu_window_seqlens"] = torch.unique_consecutive(torch.tensor(cu_window))
    out["cu_seqlens"] = F.pad(torch.repeat_interleave(grid[:, 1] * grid[:, 2], grid[:, 0])
                              .cumsum(0), (1, 0))


def positions(model, inputs):
    if not hasattr(model.model, "get_rope_index"):
        return torch.arange(inputs["input_ids"].shape[1]).expand(3, -1).contiguous()
    index, _ = model.model.get_rope_index(inputs["input_ids"], inputs.get("image_grid_thw"))
    return index[:, 0].contiguous()


def greedy(model, inputs, penalty):
    """Ids of the continuation and, from the plain logits, their log-probabilities."""
    config = GenerationConfig(do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=None,
                              pad_token_id=0, repetition_penalty=penalty, output_logits=True,
                              output_scores=True, return_dict_in_generate=True)
    with torch.no_grad():
        out = model.generate(**inputs, generation_config=config,
                             attention_mask=torch.ones_like(inputs["input_ids"]))
    new = out.sequences[0, inputs["input_ids"].shape[1]:]
    for scores in out.scores:
        best = scores[0].topk(2).values
        assert best[0] - best[1] > 2e-3, "a tie that rounding could decide; take another seed"
    logits = torch.cat(out.logits).float()
    return new, logits.log_softmax(-1).gather(1, new[:, None])[:, 0]


def check_continuation(model, inputs, ids):
    """The continuation follows from one pass over all of it, without a cache."""
    full = torch.cat([inputs["input_ids"], ids[None]], 1)
    model.model.rope_deltas = None
    with torch.no_grad():
        logits = model(**dict(inputs, input_ids=full)).logits[0]
    start = inputs["input_ids"].shape[1] - 1
    assert torch.equal(logits[start:-1].argmax(-1), ids)


def reference(model, inputs, all_logits):
    out = dict(input_ids=inputs["input_ids"][0], position_ids=positions(model, inputs))
    hooks = hook_outputs(model, out)
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    for hook in hooks:
        hook.remove()
    if "image_grid_thw" in inputs:
        add_vision_index(model, inputs, out)
    out["logits"] = logits if all_logits else logits[-2:].clone()
    logprobs = logits.log_softmax(-1)
    out["logprobs"] = logprobs[:-1].gather(1, out["input_ids"][1:, None])[:, 0]
    plain, plain_logprobs = greedy(model, inputs, 1.0)
    check_continuation(model, inputs, plain)
    penalised, penalised_logprobs = greedy(model, inputs, 1.05)
    out.update({"greedy.ids": plain, "greedy.logprobs": plain_logprobs,
                "greedy_penalty.ids": penalised, "greedy_penalty.logprobs": penalised_logprobs})
    return {k: v.contiguous() for k, v in out.items()}


def gradients(model, batch):
    """Gradient of the cross-entropy of all requests' labels, divided once by their number."""
    out, total, count = {}, 0, 0
    for name, inputs in batch.items():
        ids = inputs["input_ids"]
        labels = ids.clone()
        labels[0, :ids.shape[1] // 3] = -100
        labels[0, 5::4] = -100
        labels[ids == IDS["<|image_pad|>"]] = -100
        out[f"{name}.labels"] = labels[0].clone()
        model.model.rope_deltas = None
        logits = model(**inputs).logits[0]
        total = total + F.cross_entropy(logits[:-1], labels[0, 1:], ignore_index=-100,
                                        reduction="sum")
        count += int((labels[0, 1:] != -100).sum())
    model.zero_grad()
    loss = total / count
    loss.backward()
    out["loss"] = loss.detach().reshape(1)
    out["label_count"] = torch.tensor([count])
    for name, p in model.named_parameters():
        out["grad." + disk_name(name, "hub")] = p.grad.contiguous()
    return out


def main():
    for name in ("models", "images", "requests", "reference"):
        shutil.rmtree(f"{HERE}/{name}", ignore_errors=True)
    os.makedirs(f"{HERE}/requests")
    os.makedirs(f"{HERE}/reference")
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = tiny_tokenizer.make()
    template = PreTrainedTokenizerFast(tokenizer_object=tokenizer,
                                       chat_template=tiny_tokenizer.CHAT_TEMPLATE)
    pixels, grids = make_pictures()
    for name, messages in REQUESTS.items():
        write_json(f"{HERE}/requests/{name}.json", dict(messages=messages))
    for name, spec in MODELS.items():
        model = make_model(spec)
        folder = f"{HERE}/models/{name}"
        save_folder(model, spec, folder, tokenizer)
        check_folder(model, spec, folder)
        inputs = {r: prepare(model, REQUESTS[r], encode(REQUESTS[r], template, tokenizer, grids),
                             pixels, grids) for r in spec["requests"]}
        for i, request in enumerate(spec["requests"]):
            save_file(reference(model, inputs[request], all_logits=i == 0),
                      f"{HERE}/reference/{name}.{request}.safetensors")
        if spec["gradients"]:
            save_file(gradients(model, {r: inputs[r] for r in spec["gradients"]}),
                      f"{HERE}/reference/{name}.gradients.safetensors")
        print(name, sum(p.numel() for p in model.parameters()), "parameters")


main()
