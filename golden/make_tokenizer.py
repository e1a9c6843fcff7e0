#!/usr/bin/env python3
"""Writes golden/tokenizer/: small tokenizers of the Qwen2 family and what tokenizers makes of texts.

usage: make_tokenizer.py OUT_DIR DATA_DIR

DATA_DIR holds qwen2.5-vl/tokenizer.json and the data files that are named below; of these only hashes
of ids are written. Everything else is made here.
Made with tokenizers 0.22.2, xxhash 4.1.0.
"""
import copy
import json
import os
import random
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import xxhash
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers

REGEX = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
ADDED = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True),
         ("<|object_ref_start|>", True), ("<|object_ref_end|>", True), ("<|box_start|>", True),
         ("<|box_end|>", True), ("<|quad_start|>", True), ("<|quad_end|>", True),
         ("<|vision_start|>", True), ("<|vision_end|>", True), ("<|vision_pad|>", True),
         ("<|image_pad|>", True), ("<|video_pad|>", True), ("<tool_call>", False),
         ("</tool_call>", False), ("<|fim_prefix|>", False), ("<|fim_middle|>", False),
         ("<|fim_suffix|>", False), ("<|fim_pad|>", False), ("<|repo_name|>", False),
         ("<|file_sep|>", False)]
QWEN3 = ["<tool_response>", "</tool_response>", "<think>", "</think>"]
DATA = ["aime24/aime2024.json", "gsm8k/example_model_solutions-even.jsonl", "gsm8k/test.jsonl",
        "gsm8k/train.jsonl", "math500/math500.json", "mathvision/outputs/gemini-pro-cot.jsonl",
        "mathvision/outputs/qwen-vl-max-cot.jsonl", "mathvision/test.jsonl",
        "mathvista/outputs/gpt4_2shot_solution.json", "mathvista/testmini.json",
        "medqa/medqa_input.jsonl", "medxpertqa/mm_input.jsonl", "mmlu-pro/responses-sample.jsonl",
        "mmlu-pro/test.jsonl", "mmmu-pro/outputs/gpt-4o_standard-10-options_cot.jsonl",
        "qwen2.5-vl/tokenizer.json", "verify/hardverify-dev.jsonl"]
CORPUS = [
    "The quick brown fox doesn't jump over the lazy dog; it's thinking about what it'll do.",
    "<think>\nLet me think step by step.\n</think>\n\n<answer>\\boxed{42}</answer>",
    "If x + y = 12 and x - y = 4, then x = 8 and y = 4. Therefore the answer is (B).",
    "    def f(a, b):\n        return a + b\n\n\tif True:\r\n\t\tpass\r\n",
    "naïve café Übermaß — привет мир, ελληνικά, עברית, العربية, हिन्दी, 中文分词测试，日本語のテスト, 한국어",
    "You are a helpful assistant. What is in this picture? Describe the image, user.",
]


def added(content, number, special, normalized=False):
    return {"id": number, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": normalized, "special": special}


def train(merges):
    """A tokenizer of Qwen2's pipeline, as the package itself writes it."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(REGEX), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, initial_alphabet=alphabet,
                                  show_progress=False)
    t.train_from_iterator(CORPUS * 3, trainer)
    out = json.loads(t.to_str())
    size = len(out["model"]["vocab"])
    out["added_tokens"] = [added(c, size + i, s) for i, (c, s) in enumerate(ADDED)]
    return out


def variants(small):
    legacy = copy.deepcopy(small)
    legacy["model"]["merges"] = [" ".join(m) for m in small["model"]["merges"]]
    legacy["model"].pop("ignore_merges", None)
    qwen3 = copy.deepcopy(small)
    for content in QWEN3:
        qwen3["added_tokens"].append(added(content, qwen3["added_tokens"][-1]["id"] + 1, False))
    # ignore_merges shows where the vocabulary has a word that the merges do not make.
    ignore = copy.deepcopy(small)
    ignore["model"]["ignore_merges"] = True
    half = len(small["model"]["merges"]) // 2
    ignore["model"]["merges"] = small["model"]["merges"][:half]
    # Added tokens that are found in normalised text, with an overlap and a decomposed spelling.
    other = copy.deepcopy(small)
    last = other["added_tokens"][-1]["id"]
    for i, content in enumerate(["cafe\u0301", "<|im_", "dog dog", "\u00e9t", "<|im_start|>x"]):
        other["added_tokens"].append(added(content, last + 1 + i, i == 2, True))
    # Ids of the vocabulary in another order, with gaps.
    gaps = copy.deepcopy(small)
    gaps["model"]["vocab"] = {k: 7 * v + 3 for k, v in small["model"]["vocab"].items()}
    gaps["added_tokens"] = []
    return {"small": small, "legacy": legacy, "qwen3": qwen3, "ignore_merges": ignore,
            "normalized": other, "gaps": gaps}


def hard_texts(rng):
    """Texts on which tokenizers of this kind go wrong."""
    out = ["", " ", "\n", "\r\n", "\t", "\u0000", "a\u0000b", " \u0000 ", "\u00a0", "\u3000\u3000x",
           "\u2028\u2029", "\u0085", "\u180e", "\u200b", "\ufeffa", "Hello world", "  a  \n\n b",
           "a   b", "a \n b", "a\n\n\nb", "a\r\rb\r\n\r\nc", " \r\n \t\n  x", "x  ", "x\n  ", "\t\tx",
           "don't DON'T I'll I'LL we're WE'RE you've YOU'VE I'm I'M he'd HE'D it's IT'S",
           "'s 't 're 've 'm 'll 'd 'S 'T 'Re 'vE 'lL ''s 'sx 'tis '\u017f 'l\u017f 'K \u2019s 's",
           "'\u017ft a'\u017f 'r 'v 'l 'e \"'s\" !'s !!'s", "1234567890", "1,234.5e-6", "\u0661\u0662\u0663",
           "\u2167\u00bd\u00b2", "\u4e00\u4e8c\u4e09", "中文，测试123456 ١٢٣", "日本語テスト。", "한국어",
           "</think>\n\n", "<think>\n", "x</think>", ".</think>\n", "<answer>", "\ufb01 \u212b \u212a",
           "A\u030a e\u0301 \u00e9 e\u0323\u0302 e\u0302\u0323 \u1ec7", "\u1100\u1161\u11a8 \u1100\u1161 \uac00\u11a8 \uac01\u11a8",
           "\u0958 \u0915\u093c \ufb2c \u05e9\u05bc\u05c1", "\u0344 \u0340\u0341 \u0f73\u0f71\u0f72 \u0f75",
           "a\u0345\u0301\u0327\u0323 \u0301\u0327", "\u0301", "\u0301\u0300\u0327", "\U0001d15e\U0001d1bb",
           "\U00011935\U00011930 \U00011131\U00011127", "\u09c7\u09be \u0b47\u0b57 \u0dd9\u0dcf\u0dca",
           "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
           "<|im_start|>user\nhi<|im_end|>\n", "<|im_end|><|im_end|>", "<|im_end|> <|im_end|>", "<|im_end",
           "<<|im_end|>>", "<|im_start|><|im_", "<tool_call>{}</tool_call>", "<tool_response>x</tool_response>",
           "e<|im_end|>\u0301", "a<|endoftext|>\u0323\u0301", " <|im_end|> x", "<|im_start|>x dog dog cafe\u0301 caf\u00e9",
           "e\u0301t \u00e9t <|im_x", "<|vision_start|><|image_pad|><|vision_end|>", "the quick brown fox",
           "\ue000\uf8ff\U000f0000\U0010fffd", "\ufdd0\ufffe\uffff", "\u0378\u0530\U0001fbff", "e\u0315\u0301"]
    out += [c * n for c in "a 1\n!é中👍\u0301\t" for n in (2, 3, 39, 40, 41, 42, 100, 1000)]
    out += [c * 20000 for c in ("a", " ", "1", "\n", "\U0001f44d", "\u4e2d", "\u0301", "ab", " \n", "\u0301\u0327", "a'")]
    pool = list(" \t\n\r'sStTrReEvVlLdDmM019aZ!?<|>_-") + [
        "\u00e9", "\u4e2d", "\u017f", "\u212a", "\u00a0", "\u3000", "\u2028", "\u000b", "\u0085",
        "\u200b", "\u200d", "\U0001f44d", "\U0001f3fd", "\ufe0f", "\u0663", "\u00b2", "\u2167",
        "\u0301", "\u0327", "\u0345", "\u0323", "\u1100", "\u1161", "\u11a8", "\uac00", "<|im_end|>",
        "<|im_start|>", "<tool_call>", "'re", "'LL", "   ", "\n\n", "the", " think", "</think>"]
    out += ["".join(rng.choice(pool) for _ in range(rng.randrange(1, 60))) for _ in range(600)]
    return out


def without_added(tokenizer):
    out = copy.deepcopy(tokenizer)
    out["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(out))


def case_hashes(content, texts):
    """Hashes of the ids of each text, with added tokens found in it and without."""
    special, plain = Tokenizer.from_str(json.dumps(content)), without_added(content)
    return [{"special": ids_hash([ids_of(special, t)]), "plain": ids_hash([ids_of(plain, t)])}
            for t in texts]


def ids_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def ids_hash(lists):
    """XXH3 of the ids of several texts as 32-bit numbers, each text's followed by -1."""
    h = xxhash.xxh3_64()
    for ids in lists:
        h.update(b"".join(i.to_bytes(4, "little") for i in ids) + b"\xff\xff\xff\xff")
    return h.hexdigest()


def decode_cases(tokenizer, rng):
    cases = []
    size = tokenizer.get_vocab_size()
    for n in range(200):
        ids = [rng.randrange(256 if n % 3 else size) for _ in range(rng.randrange(1, 24))]
        cases.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
                      "skipped": tokenizer.decode(ids, skip_special_tokens=True)})
    return cases


def block_text(c):
    """A character in the contexts that matter to the regular expression and to NFC."""
    x = chr(c)
    return (f"{x}a{x}b 1{x}2 {x} \n{x}\n '{x} '{x}e{x}{x}|a\u0301{x}\u0327\u0345{x}|e{x}\u0301"
            f"|\u1100{x}|!{x}!")


def block_hashes(numbers):
    """Hashes of numbers(text) for each block of 4096 code points."""
    out = []
    for first in range(0, 0x110000, 0x1000):
        codes = [c for c in range(first, first + 0x1000) if not 0xD800 <= c < 0xE000]
        out.append(ids_hash(numbers(block_text(c)) for c in codes))
    return out


def pieces_of(tokenizer, text):
    """Lengths in bytes of the pieces of a text's normal form. The byte alphabet has a letter a byte."""
    text = tokenizer.normalizer.normalize_str(text)
    return [len(piece) for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def data_hashes(tokenizer, folder):
    out = {}
    for name in DATA:
        with open(os.path.join(folder, name), "rb") as file:
            lines = file.read().split(b"\n")
        out[name] = ids_hash(ids_of(tokenizer, line.decode()) for line in lines)
    return out


def write(folder, name, value, **options):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, separators=(",", ":"), **options)


def main():
    out, data = sys.argv[1:]
    rng = random.Random(1)
    texts = hard_texts(rng)
    files = variants(train(240))
    cases, decoded, blocks = {}, [], {}
    for name, content in files.items():
        write(out, name + ".json", content, ensure_ascii=False)
        tokenizer = Tokenizer.from_str(json.dumps(content))
        cases[name] = case_hashes(content, texts)
        if name == "small":
            decoded = decode_cases(tokenizer, rng)
            blocks[name] = block_hashes(lambda text: ids_of(tokenizer, text))
            blocks["pieces"] = block_hashes(lambda text: pieces_of(tokenizer, text))
            pieces = [ids_hash([pieces_of(tokenizer, t)]) for t in texts]
    path = os.path.join(data, "qwen2.5-vl/tokenizer.json")
    with open(path, encoding="utf-8") as file:
        real = json.load(file)
    tokenizer = Tokenizer.from_file(path)
    cases["real"] = case_hashes(real, texts)
    blocks["real"] = block_hashes(lambda text: ids_of(tokenizer, text))
    short = [t for t in texts if len(t) < 60][:120]
    small = Tokenizer.from_str(json.dumps(files["small"]))
    examples = [{"text": t, "ids": ids_of(small, t),
                 "real": ids_of(tokenizer, t)} for t in short]
    write(out, "texts.json", {"texts": [t if len(t) < 2000 else [t[:2], len(t)] for t in texts],
                              "cases": cases, "pieces": pieces, "examples": examples, "decoded": decoded,
                              "blocks": blocks, "data": data_hashes(tokenizer, data)})


if __name__ == "__main__":
    main()
