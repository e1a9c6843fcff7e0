#!/usr/bin/env python3
"""Writes golden/tokenizer/chat.json: conversations rendered by transformers' apply_chat_template.

usage: make_chat.py OUT_DIR TOKENIZER.json

The templates are those that Qwen published with Qwen2.5-VL (2025-01), Qwen2 and Qwen2.5 (2024); the
ids are those of TOKENIZER.json (golden/tokenizer/small.json). Each template's text goes into the file too,
for the recognition by shared/text/chat_template.c; its hashes are printed.
Made with transformers 4.57.6, tokenizers 0.22.2, Jinja2 3.1.6, xxhash 4.1.0.
"""
import json
import re
import sys

import xxhash
from transformers import PreTrainedTokenizerFast

QWEN25_VL = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>"
    "system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content "
    "or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|>"
    "<|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video "
    "{{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
QWEN25_VL_BARE = QWEN25_VL.replace(
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful "
    "assistant.<|im_end|>\n{% endif %}", "")
QWEN2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'SYSTEM' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nSYSTEM<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""
TEMPLATES = {
    "Qwen2.5-VL": QWEN25_VL,
    "Qwen2.5-VL without system": QWEN25_VL_BARE,
    "Qwen2": QWEN2,
    "Qwen2.5": QWEN25.replace("SYSTEM", "You are a helpful assistant."),
    "Qwen2.5-Instruct": QWEN25.replace(
        "SYSTEM", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    "Qwen2.5-Math": QWEN25.replace(
        "SYSTEM", "Please reason step by step, and put your final answer within \\\\boxed{}."),
}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def picture(name="a.png"):
    return {"type": "image", "image": name}


def words(text):
    return {"type": "text", "text": text}


TEXT_CHATS = [
    [user("Hello world")],
    [{"role": "system", "content": "Be brief."}, user("2+2?"), assistant("4"), user("3+3?")],
    [user("\n\n  starts with line ends"), assistant("\n<think>\nx\n</think>\n\n<answer>A</answer>")],
    [user(""), assistant(""), user(" ")],
    [user("e\u0301\u0327 \u0301at the start?"), assistant("\u0301 a mark"), user("\r\n\tTab ")],
    [{"role": "system", "content": ""}, {"role": "system", "content": "twice"}, user("中文 ١٢٣ 👍🏽")],
    [user("x"), assistant("I call it."), {"role": "tool", "content": "\n42"},
     {"role": "tool", "content": "43\n"}, assistant("It is 42 or 43.")],
    [{"role": "tool", "content": "first"}, user("and?")],
]
OTHER_ROLES = [[{"role": "critic", "content": "hm"}, {"role": "USER 2", "content": "ok"}]]
PICTURE_CHATS = [
    [{"role": "user", "content": [picture(), words("What is this?")]}],
    [{"role": "user", "content": [words("Compare "), picture("a.png"), words("\n and "),
                                  picture("b.jpg"), picture("c.webp"), words("e"), words("\u0301")]},
     assistant("Same."), {"role": "user", "content": [picture("d.png")]}],
    [{"role": "system", "content": [words("Look "), words("well.")]},
     {"role": "user", "content": []}],
]


def render(tokenizer, template, messages, **options):
    """apply_chat_template's ids, each picture's pad repeated 2, 3, 4, ... times as a processor would."""
    text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **options)
    count = [1]

    def pads(_):
        count[0] += 1
        return "<|image_pad|>" * count[0]
    text = re.sub(re.escape("<|image_pad|>"), pads, text)
    return tokenizer.encode(text, add_special_tokens=False)


def template_hash(text):
    text = text.rstrip()
    found = re.search(r"<\|im_start\|>system(?:\\n|\n)([^']*?)<\|im_end\|>", text)
    if found:
        text = text.replace(found.group(1), "")
    return xxhash.xxh3_64_hexdigest(text.encode())


def main():
    out, path = sys.argv[1:]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=path)
    cases = []
    for name, template in TEMPLATES.items():
        print(name, template_hash(template), file=sys.stderr)
        chats = TEXT_CHATS + (OTHER_ROLES if not name.startswith("Qwen2.5") or "VL" in name else [])
        for messages in chats + (PICTURE_CHATS if "VL" in name else []):
            for prompt in (False, True):
                options = {"add_generation_prompt": prompt}
                if messages in PICTURE_CHATS and prompt:
                    options["add_vision_id"] = True
                cases.append({"template": name, "messages": messages, **options,
                              "ids": render(tokenizer, template, messages, **options)})
    with open(out + "/chat.json", "w", encoding="utf-8") as file:
        json.dump({"templates": TEMPLATES, "cases": cases}, file, ensure_ascii=True)


if __name__ == "__main__":
    main()
