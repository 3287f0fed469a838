"""Writes tests/data/objective/policy_gradient.json: losses and their derivatives by torch's autograd, and advantages by torch.

    pip install torch && python tests/reference/objective_policy_gradient.py
"""

import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)


def token_losses(generator):
    cases = []
    for low, high, dual, kl, coefficient in [
        (0.2, 0.2, 0, "none", 0),
        (0.2, 0.28, 0, "k2", 0.1),
        (0.1, 0.3, 3.0, "k3", 0.05),
        (0.2, 0.2, 1.5, "k3", 1.0),
    ]:
        size = 24
        log_probability = (-2 * torch.rand(size, generator=generator) - 0.1).requires_grad_()
        recorded = log_probability.detach() + 0.4 * torch.randn(size, generator=generator)
        reference = log_probability.detach() + 0.5 * torch.randn(size, generator=generator)
        advantage = torch.randn(size, generator=generator)
        weight = torch.rand(size, generator=generator)
        ratio = torch.exp(log_probability - recorded)
        objective = torch.minimum(ratio * advantage, torch.clamp(ratio, 1 - low, 1 + high) * advantage)
        if dual:
            objective = torch.where(advantage < 0, torch.maximum(objective, dual * advantage), objective)
        difference = log_probability - reference
        divergence = {
            "none": 0 * difference,
            "k2": difference**2 / 2,
            "k3": torch.exp(-difference) - 1 + difference,
        }[kl]
        loss = weight * (coefficient * divergence - objective)
        (derivative,) = torch.autograd.grad(loss.sum(), log_probability)
        cases.append(
            {"clip_low": low, "clip_high": high, "dual_clip": dual, "kl": kl, "kl_coefficient": coefficient}
            | {
                name: value.detach().tolist()
                for name, value in {
                    "log_probability": log_probability,
                    "recorded": recorded,
                    "reference": reference,
                    "advantage": advantage,
                    "weight": weight,
                    "loss": loss,
                    "derivative": derivative,
                }.items()
            }
        )
    return cases


def advantages(generator):
    sizes = [8, 8, 4, 5]
    totals = torch.rand(sum(sizes), generator=generator)
    second = torch.rand(sum(sizes), generator=generator) * 0.3
    weights = [1.0, 0.2]
    grouped = lambda values, formula: torch.cat([formula(group) for group in values.split(sizes)])
    rloo = lambda group: torch.stack([group[i] - torch.cat([group[:i], group[i + 1 :]]).mean() for i in range(len(group))])
    grpo = lambda group: (group - group.mean()) / (group.std() + 1e-6)
    whiten = lambda values, epsilon: (values - values.mean()) / (values.std(correction=0) + epsilon)
    centred = grouped(totals, lambda group: group - group.mean())
    decoupled = weights[0] * grouped(totals, grpo) + weights[1] * grouped(second, grpo)
    results = {
        "rloo": grouped(totals, rloo),
        "rloo_whitened": whiten(grouped(totals, rloo), 1e-8),
        "grpo": grouped(totals, grpo),
        "dr_grpo": centred,
        "reinforce_plus_plus": whiten(totals, 1e-8),
        "reinforce_plus_plus_baseline": whiten(centred, 1e-8),
        "gdpo": whiten(decoupled, 1e-6),
    }
    begin = torch.tensor([0] + sizes).cumsum(0)
    return {
        "group_begin": begin.tolist(),
        "totals": totals.tolist(),
        "parts": [totals.tolist(), second.tolist()],
        "weights": weights,
        "advantages": {name: values.tolist() for name, values in results.items()},
    }


def main():
    generator = torch.Generator().manual_seed(4)
    numbers = {"token_losses": token_losses(generator), "advantages": advantages(generator)}
    path = pathlib.Path(__file__).parent.parent / "data" / "objective" / "policy_gradient.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(numbers, separators=(",", ":")) + "\n")


main()
