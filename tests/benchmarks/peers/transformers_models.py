"""What Hugging Face transformers does with the folders of models_benchmark.cpp; see serve.py's protocol. A mode is how
`generate` keeps keys and values: `dynamic` grows them, `static` reserves them at once."""
import json
import os
import pathlib

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402 (it reads the variables above)
from torch.nn import functional as F  # noqa: E402

from models import token_at  # noqa: E402

transformers.utils.logging.disable_progress_bar()
MODELS = pathlib.Path(os.environ["CAPRL_BENCHMARK_MODELS"])
DESCRIBED = json.loads((MODELS / "models.json").read_text())
DRAWN, PROMPT, TRAINED = 64, 512, (4, 256)


class Text:
    described = DESCRIBED["text"]

    def __init__(self):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            MODELS / "text", dtype=torch.float32, attn_implementation="sdpa").eval()

    def prompt(self):
        return {"input_ids": torch.tensor([[token_at(0, t) for t in range(PROMPT)]])}

    def loss(self):
        tokens = torch.tensor([[token_at(text, t) for t in range(TRAINED[1])] for text in range(TRAINED[0])])
        return self.model(input_ids=tokens, labels=tokens, use_cache=False).loss


class Vlm:
    described = DESCRIBED["vlm"]

    def __init__(self):
        self.model = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(
            MODELS / "vlm", dtype=torch.float32, attn_implementation="sdpa").eval()
        values = np.fromfile(MODELS / "vlm_pixels.f32", dtype=np.float32)
        rows = [np.prod(prompt["grid"]) for prompt in self.described["prompts"]]
        self.pixels = torch.from_numpy(values.reshape(sum(rows), -1)).split([int(count) for count in rows])

    def inputs(self, prompts, with_captions):
        """Prompts of one length."""
        rows = [prompt["tokens"] + (prompt["caption"] if with_captions else []) for prompt in prompts]
        tokens = torch.tensor(rows)
        return {"input_ids": tokens, "pixel_values": torch.cat(self.pixels[:len(prompts)]),
                "image_grid_thw": torch.tensor([prompt["grid"] for prompt in prompts]),
                "mm_token_type_ids": (tokens == self.described["image_token"]).int()}

    def prompt(self):
        return self.inputs(self.described["prompts"][:1], False)

    def loss(self):
        prompts = self.described["prompts"]
        captions = torch.tensor([prompt["caption"] for prompt in prompts])
        # Logits of the captions alone: those of the prompts, whose labels nobody has, would cost as much again.
        logits = self.model(**self.inputs(prompts, True), use_cache=False,
                            logits_to_keep=captions.shape[1] + 1).logits[:, :-1]
        return F.cross_entropy(logits.flatten(0, 1), captions.flatten())


def read_prompt(model):
    @torch.inference_mode()
    def run():
        logits = model.model(**model.prompt(), use_cache=True, logits_to_keep=1).logits
        return {"first": int(logits[0, -1].argmax())}

    return run


def settings(mode, **more):
    cache = {"cache_implementation": "static"} if mode == "static" else {}
    return transformers.GenerationConfig(max_new_tokens=DRAWN, do_sample=False, eos_token_id=None, pad_token_id=0,
                                         disable_compile=True, **cache, **more)


def generate(model, captions, mode):
    """Captions of one prompt. Where the cache grows, it is read once, as ours is; `generate` alone would read it for
    each caption."""
    inputs = model.prompt()
    length = inputs["input_ids"].shape[1]

    @torch.inference_mode()
    def run():
        if mode == "static" or captions == 1:
            tokens = model.model.generate(**repeat(inputs, captions), generation_config=settings(mode))
        else:
            read = model.model(**inputs, use_cache=True, logits_to_keep=1)
            cache = read.past_key_values
            cache.batch_repeat_interleave(captions)
            first = read.logits[:, -1].argmax(-1, keepdim=True)
            given = torch.cat((inputs["input_ids"], first), 1).repeat_interleave(captions, 0)
            chosen = settings(mode)
            chosen.max_new_tokens = DRAWN - 1
            tokens = model.model.generate(input_ids=given, cache=cache, generation_config=chosen)
        drawn = tokens[:, length:]
        if drawn.shape != (captions, DRAWN):
            raise RuntimeError(f"expected {captions} x {DRAWN} tokens, got {tuple(drawn.shape)}")
        return {"tokens": drawn[-1].tolist()}

    return run


def repeat(inputs, captions):
    pixels = {"pixel_values", "image_grid_thw"}
    return {name: value.repeat(captions, 1) if name in pixels else value.repeat_interleave(captions, 0)
            for name, value in inputs.items()}


def train(model):
    optimizer = torch.optim.AdamW(model.model.parameters(), lr=1e-7, weight_decay=0.01, fused=True)

    def step():
        model.loss().backward()
        torch.nn.utils.clip_grad_norm_(model.model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        return {}

    return step


def check():
    """Ours and theirs: the loss, how many drawn tokens are the same, and how far their log-probabilities are apart."""
    checked = {}
    for name, kind in (("text", Text), ("vlm", Vlm)):
        model = kind()
        ours = model.described
        with torch.inference_mode():
            checked[f"{name}_loss"] = [ours["loss"], model.loss().item()]
            drawn = model.model.generate(**model.prompt(), generation_config=settings(
                "dynamic", return_dict_in_generate=True, output_logits=True))
        tokens = drawn.sequences[0, -DRAWN:]
        batch = generate(model, 8, "dynamic")()["tokens"]
        same = sum(a == b == c for a, b, c in zip(ours["drawn"], tokens.tolist(), batch))
        checked[f"{name}_same_drawn_tokens"] = [DRAWN, same]
        log_probabilities = torch.log_softmax(torch.cat(drawn.logits), -1).gather(1, tokens[:, None])[:, 0]
        apart = (log_probabilities - torch.tensor(ours["log_probabilities"])).abs().max().item()
        checked[f"{name}_largest_difference_of_log_probabilities"] = [0, apart]
    return checked


def about():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_num_interop_threads(1)
    return {"torch": torch.__version__, "transformers": transformers.__version__,
            "parameters": {name: described["parameters"] for name, described in DESCRIBED.items()},
            "prompt_tokens": {"text": PROMPT, "vlm": len(DESCRIBED["vlm"]["prompts"][0]["tokens"])},
            "trained": {"text": f"{TRAINED[0]} x {TRAINED[1]} tokens",
                        "vlm": f"{len(DESCRIBED['vlm']['prompts'])} pictures with captions of "
                               f"{len(DESCRIBED['vlm']['prompts'][0]['caption'])} tokens"}}


CASES = {f"{name}_{case}": (lambda mode, kind=kind, run=run: run(kind(), mode))
         for name, kind in (("text", Text), ("vlm", Vlm))
         for case, run in (("prompt", lambda model, mode: read_prompt(model)),
                           ("generate_1", lambda model, mode: generate(model, 1, mode)),
                           ("generate_8", lambda model, mode: generate(model, 8, mode)),
                           ("train", lambda model, mode: train(model)))}
