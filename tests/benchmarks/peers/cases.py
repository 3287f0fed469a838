"""What the peers do: each case prepares once and gives a function that does the work once."""
import json
import os
import pathlib

import torch
from torch.nn import functional as F

from models import Decoder, read_safetensors, token_at

MODELS = pathlib.Path(os.environ["CAPRL_BENCHMARK_MODELS"])


def decoder():
    return Decoder.of(read_safetensors(MODELS / "decoder.safetensors"), heads=4)


def compiled(function, mode):
    return torch.compile(function) if mode == "compile" else function


def next_token_loss(model, tokens, rotary):
    hidden = model(model.embedding(tokens[:, :-1]), rotary)
    return F.cross_entropy(model.head(hidden).flatten(0, 1), tokens[:, 1:].flatten())


def training_step(mode, sequences=32, length=128):
    model = decoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    tokens = torch.tensor([[token_at(s, t) for t in range(length + 1)] for s in range(sequences)])
    rotary = model.rotary(torch.arange(length))
    loss_of = compiled(next_token_loss, mode)
    first = []

    def step():
        loss = loss_of(model, tokens, rotary)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        if not first:
            first.append(loss.item())
        return {"first_loss": first[0]}

    return step


def sampling(mode, batch, prompt_tokens=64, drawn=128):
    model = decoder().eval()
    prompts = torch.tensor([[token_at(b, t) for t in range(prompt_tokens)] for b in range(batch)])
    total = prompt_tokens + drawn
    cosine, sine = model.rotary(torch.arange(total))
    cache = model.new_cache(batch, total)
    for part in cache:
        part.zero_()
    visible = torch.ones(total, total).tril().bool()

    def draw(hidden):
        probabilities = torch.softmax(model.head(hidden[:, -1]), -1)
        return torch.multinomial(probabilities, 1)

    def eager_step(token, t):
        rotary = (cosine[t : t + 1], sine[t : t + 1])
        return draw(model.against_cache(model.embedding(token), rotary, cache, t, t + 1))

    def fixed_step(token, position, rotary_cosine, rotary_sine, mask):
        hidden = model.at_position(model.embedding(token), (rotary_cosine, rotary_sine), cache, position, mask)
        return torch.softmax(model.head(hidden[:, -1]), -1)

    fixed_step = compiled(fixed_step, mode)
    positions = [torch.tensor([t]) for t in range(total)]

    def compiled_step(token, t):
        probabilities = fixed_step(token, positions[t], cosine[t : t + 1], sine[t : t + 1], visible[t : t + 1])
        return torch.multinomial(probabilities, 1)

    one = eager_step if mode == "eager" else compiled_step

    @torch.inference_mode()
    def sample():
        torch.manual_seed(1)
        rotary = (cosine[:prompt_tokens], sine[:prompt_tokens])
        token = draw(model.against_cache(model.embedding(prompts), rotary, cache, 0, prompt_tokens))
        for t in range(prompt_tokens, total - 1):
            token = one(token, t)
        return {}

    return sample


def adamw_large(mode, parameters=1 << 25):
    weight = torch.nn.Parameter(torch.ones(parameters))
    weight.grad = torch.full((parameters,), 1e-3)
    optimizer = torch.optim.AdamW([weight], lr=1e-3, fused=True)

    def step():
        optimizer.step()
        return {}

    return step


def optimizer_decoder(mode):
    model = decoder()
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if steps % 64 == 0:  # averages of nothing but zeros become denormal numbers, which are slow
            for parameter in parameters:
                parameter.grad.fill_(1e-3)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        return {}

    return step


def peak_resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024e-6
    return 0.0


def about():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_num_interop_threads(1)
    return {"torch": torch.__version__, "start_MB": peak_resident()}


def check():
    """The numbers that our programs got from the same weights, and those that these models get."""
    from rl_step import RlStep

    description = json.loads((MODELS / "step.json").read_text())
    with torch.no_grad():
        model = decoder()
        tokens = torch.tensor([[token_at(s, t) for t in range(65)] for s in range(2)])
        loss = next_token_loss(model, tokens, model.rotary(torch.arange(64))).item()
        step = RlStep("eager")
        log_probability, score = step.check()
    return {
        "decoder_loss": [description["decoder_loss"], loss],
        "log_probability_sum": [description["log_probability_sum"], log_probability],
        "mean_score": [description["mean_score"], score],
    }


def rl_step(mode):
    from rl_step import RlStep

    return RlStep(mode).run


CASES = {
    "training_step": training_step,
    "sampling_1": lambda mode: sampling(mode, 1),
    "sampling_8": lambda mode: sampling(mode, 8),
    "sampling_64": lambda mode: sampling(mode, 64),
    "adamw_large": adamw_large,
    "optimizer_decoder": optimizer_decoder,
    "rl_step": rl_step,
}
