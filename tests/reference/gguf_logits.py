"""Compares what caprl makes of a GGUF file with what Hugging Face transformers makes of it: the ids of the text by Hugging
Face tokenizers, and the logits that examples/write_logits wrote.

    pip install torch==2.15.0 transformers==5.24.0 tokenizers==0.23.3 gguf==0.19.0
    build/examples/write_logits --model MODEL.gguf --text docs/world.md --positions 2000 --out logits.safetensors
    python tests/reference/gguf_logits.py MODEL.gguf docs/world.md logits.safetensors
"""

import pathlib
import sys

import gguf
import torch
from safetensors import safe_open
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM


def ids_of(model, text):
    """Of a file whose tokenizer.ggml.pre is smollm, whose tokenizer.json has Digits and ByteLevel."""
    fields = gguf.GGUFReader(model).fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    vocabulary = {token: i for i, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer.encode(text).ids


def main():
    model_path, text_path, ours_path = map(pathlib.Path, sys.argv[1:])
    model = AutoModelForCausalLM.from_pretrained(str(model_path.parent), gguf_file=model_path.name,
                                                 dtype=torch.float32).eval()
    positions = same_top = 0
    divergence = worst = 0.0
    ids = []
    with safe_open(ours_path, "pt") as file, torch.no_grad():
        for window in range(sum(name.startswith("ids.") for name in file.keys())):
            tokens = file.get_tensor(f"ids.{window}")
            ids += tokens.tolist()
            ours = torch.log_softmax(file.get_tensor(f"logits.{window}").double(), -1)
            theirs = torch.log_softmax(model(tokens[None]).logits[0].double(), -1)
            each = (theirs.exp() * (theirs - ours)).sum(-1)
            divergence += float(each.sum())
            worst = max(worst, float(each.max()))
            same_top += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
            positions += len(tokens)
    same_ids = ids == ids_of(model_path, text_path.read_text(encoding="utf-8"))[: len(ids)]
    print(f"{positions} positions: the same ids: {same_ids}; the same most likely token: {same_top / positions:.4%}; "
          f"KL(transformers || caprl): mean {divergence / positions:.2e}, highest {worst:.2e}")
    assert same_ids and same_top >= 0.99 * positions and divergence < 1e-3 * positions


main()
