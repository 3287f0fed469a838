"""Writes tests/data/sampling/filters.json: logits before and after the logits processors of Hugging Face transformers.

    pip install torch transformers && python tests/reference/sampling_filters.py
"""

import json
import pathlib

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

MAKE = {
    "repetition_penalty": lambda value: RepetitionPenaltyLogitsProcessor(penalty=value),
    "temperature": lambda value: TemperatureLogitsWarper(value),
    "top_k": lambda value: TopKLogitsWarper(int(value)),
    "top_p": lambda value: TopPLogitsWarper(value),
    "min_p": lambda value: MinPLogitsWarper(value),
}
# In the order in which transformers' generate applies them.
STACKS = [
    {"temperature": 0.6},
    {"top_k": 1},
    {"top_k": 7},
    {"top_p": 0.01},
    {"top_p": 0.5},
    {"top_p": 0.95},
    {"min_p": 0.02},
    {"min_p": 0.4},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.8},
    {"repetition_penalty": 1.05, "temperature": 1.5, "top_k": 30, "top_p": 0.9, "min_p": 0.05},
]


def main():
    generator = torch.Generator().manual_seed(20)
    cases = []
    for stack in STACKS:
        for scale in (0.5, 2.0):
            logits = torch.randn(48, generator=generator) * scale
            history = torch.randint(0, 48, (12,), generator=generator)
            after = logits[None].clone()
            for name, value in stack.items():
                after = MAKE[name](value)(history[None], after)
            cases.append(
                {
                    "filters": stack,
                    "logits": [float(f"{x:.9g}") for x in logits.tolist()],
                    "history": history.tolist(),
                    "kept": torch.isfinite(after[0]).nonzero()[:, 0].tolist(),
                    "after": [float(f"{x:.9g}") for x in after[0].tolist() if x != float("-inf")],
                }
            )
    path = pathlib.Path(__file__).parent.parent / "data" / "sampling" / "filters.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(cases, indent=None, separators=(",", ":")).replace('},{"filters"', '},\n{"filters"') + "\n")


main()
