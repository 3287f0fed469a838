"""Writes tests/data/optim/adamw.json: parameters after steps of torch's AdamW, with gradients clipped by their global norm and
learning rates of a warm-up and a cosine.

    pip install torch && python tests/reference/optim_adamw.py
"""

import json
import math
import pathlib

import torch

torch.set_default_dtype(torch.float64)
OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "optim" / "adamw.json"


def rate(step, peak=0.05, warmup=2, decay=4, final_share=0.1):
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / decay)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress)))


def main():
    generator = torch.Generator().manual_seed(3)
    matrix = torch.randn(3, 4, generator=generator).requires_grad_()
    vector = torch.randn(4, generator=generator).requires_grad_()
    optimizer = torch.optim.AdamW(
        [{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}], betas=(0.9, 0.95), eps=1e-8)
    steps = []
    start = {"matrix": matrix.flatten().tolist(), "vector": vector.tolist()}
    for step in range(8):
        scale = 0.1 if step % 2 else 3.0  # some are clipped, some are not
        matrix.grad = scale * torch.randn(3, 4, generator=generator)
        vector.grad = scale * torch.randn(4, generator=generator)
        given = {"matrix": matrix.grad.flatten().tolist(), "vector": vector.grad.tolist()}
        norm = math.sqrt(float((matrix.grad**2).sum() + (vector.grad**2).sum()))
        for parameter in (matrix, vector):
            parameter.grad *= min(1.0, 1.0 / norm)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        steps.append({"gradient": given, "norm": norm, "learning_rate": rate(step),
                      "after": {"matrix": matrix.flatten().tolist(), "vector": vector.tolist()}})
    OUT.write_text(json.dumps({"start": start, "steps": steps}) + "\n")


main()
