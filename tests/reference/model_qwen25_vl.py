"""Writes tests/data/qwen25_vl/: small Qwen2.5-VL folders with random weights, and what Hugging Face transformers and PyTorch's
autograd make of them: positions, logits, gradients of a weighted sum of caption log-probabilities, greedy continuations.

    pip install torch==2.15.0 transformers==4.49.0 && python tests/reference/model_qwen25_vl.py positions
    pip install torch==2.15.0 transformers==5.24.0 && python tests/reference/model_qwen25_vl.py

Positions come from the version that the model was published with: text after a video goes on behind its largest position. In
5.24 it goes on behind the video's height and width, even where its times reach further (its own `rope_deltas`, for tokens that
are generated, are as before); where they do not, both versions agree, which the second run checks. (4.57 is no reference: it
cut the seconds between times down to whole numbers.) Everything else is computed by the second, at the first's positions.

    python tests/reference/model_qwen25_vl.py check FOLDER

opens what the library saved in FOLDER (see docs/models.md) and compares logits with those of the folders it was read from.
"""

import json
import pathlib
import random
import shutil
import sys
import types

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "qwen25_vl"
CONTINUED = 64
VOCABULARY = 40
IMAGE, VIDEO, START, END = 30, 31, 32, 33
WORDS = 30  # ids below are text

TEXT = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            vocab_size=VOCABULARY, max_position_embeddings=256, rms_norm_eps=1e-5, initializer_range=0.4, bos_token_id=0,
            eos_token_id=0)
VISION = dict(depth=3, hidden_size=8, intermediate_size=12, num_heads=2, patch_size=2, temporal_patch_size=2,
              spatial_merge_size=2, window_size=8, fullatt_block_indexes=[1], out_hidden_size=16, tokens_per_second=2,
              initializer_range=0.4)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)


def rope(sections, **more):
    return dict(rope_parameters=dict(rope_theta=500.0, mrope_section=sections, **(more or dict(rope_type="default"))))


# Prompts are lists of words (how many) and media: (kind, grid, seconds from one time to the next). Grids have odd sides in
# tokens, so that windows are cut off; the videos' times are fractions of a position, reach beyond height and width, or do not.
CASES = {
    # as published: text fields on the top level, times reaching far
    "published": (TEXT | rope([2, 1, 1]), VISION, False,
                  [[3, ("image", (1, 6, 10), 0), 4], [2, ("video", (3, 4, 6), 1.75), 3, ("image", (1, 2, 2), 0), 2], [5]]),
    # named by modules; tied head; one patch a token; stretched angles; no text at first
    "nested": (TEXT | rope([1, 0, 3], **YARN) | dict(num_key_value_heads=2, max_position_embeddings=128),
               VISION | dict(hidden_size=16, spatial_merge_size=1, window_size=6, fullatt_block_indexes=[0, 2],
                             rope_parameters=dict(rope_type="axial", rope_theta=200.0)), True,
               [[("image", (1, 3, 4), 0), ("image", (1, 4, 5), 0), 3], [1, ("video", (2, 5, 5), 0.3), 2]]),
    # as transformers 5 saves, in several files; windows alone; a frame a patch; 3 x 3 patches a token
    "newest": (TEXT | rope([1, 2, 5]) | dict(num_attention_heads=1, num_hidden_layers=1),
               VISION | dict(hidden_size=4, num_heads=1, temporal_patch_size=1, spatial_merge_size=3, window_size=12,
                             fullatt_block_indexes=[], tokens_per_second=5, depth=2), False,
               [[2, ("video", (4, 9, 15), 0.24), 1, ("video", (2, 6, 3), 0.4), 3], [2, ("image", (1, 15, 3), 0), 1]]),
}
REACH_BEYOND = {("published", 1), ("newest", 0)}  # where the versions differ


def tokens_of(grid, merge):
    return grid[0] * (grid[1] // merge) * (grid[2] // merge)


def draw_prompts(name):
    """For each prompt its tokens, media and captions."""
    draw = random.Random(name)
    _, vision, _, prompts = CASES[name]
    words = lambda count: [draw.randrange(WORDS) for _ in range(count)]
    drawn = []
    for prompt in prompts:
        tokens, media = [], []
        for part in prompt:
            if isinstance(part, int):
                tokens += words(part)
                continue
            kind, grid, seconds = part
            pad = IMAGE if kind == "image" else VIDEO
            media.append(dict(kind=kind, grid=grid, seconds=seconds, begin=len(tokens) + 1))
            tokens += [START] + [pad] * tokens_of(grid, vision["spatial_merge_size"]) + [END]
        first = words(7)
        captions = [first, first[:3] + words(2)]
        drawn.append(dict(tokens=tokens, media=media, captions=captions))
    return drawn


def grids(prompt, kind):
    found = [media["grid"] for media in prompt["media"] if media["kind"] == kind]
    return torch.tensor(found) if found else None


def seconds(prompt):
    found = [media["seconds"] for media in prompt["media"] if media["kind"] == "video"]
    return torch.tensor(found) if found else None


def rope_index(owner, name, prompt, tokens, **more):
    """The positions by the class that has the function in this version, without its weights."""
    _, vision, _, _ = CASES[name]
    names = dict(image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START)
    model = types.SimpleNamespace(config=types.SimpleNamespace(vision_config=types.SimpleNamespace(**vision), **names))
    if hasattr(owner, "get_vision_position_ids"):
        model.get_vision_position_ids = types.MethodType(owner.get_vision_position_ids, model)
    positions, _ = owner.get_rope_index(
        model, torch.tensor([tokens]), image_grid_thw=grids(prompt, "image"), video_grid_thw=grids(prompt, "video"),
        second_per_grid_ts=seconds(prompt), **more)
    return positions[:, 0].tolist()


def make_config(name):
    text, vision, tied, _ = CASES[name]
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO,
                            vision_start_token_id=START, vision_end_token_id=END, tie_word_embeddings=tied)


def write_positions():
    """Of each prompt, and of as much text behind it as anything here goes on."""
    assert transformers.__version__ == "4.49.0"
    positions = {name: [rope_index(Qwen2_5_VLForConditionalGeneration, name, prompt, prompt["tokens"] + [0] * CONTINUED)
                        for prompt in draw_prompts(name)] for name in CASES}
    OUT.mkdir(exist_ok=True)
    (OUT / "positions.json").write_text(json.dumps(positions) + "\n")


def check_positions(name, prompts, positions):
    for number, prompt in enumerate(prompts):
        tokens = prompt["tokens"] + [0] * CONTINUED
        kinds = torch.tensor([[{IMAGE: 1, VIDEO: 2}.get(token, 0) for token in tokens]])
        own = rope_index(transformers.Qwen2_5_VLModel, name, prompt, tokens, mm_token_type_ids=kinds)
        assert (own == positions[number]) != ((name, number) in REACH_BEYOND), (name, number)


def logits(model, prompt, pixels, positions, more):
    tokens = prompt["tokens"] + more
    where = torch.tensor(positions)[:, None, :len(tokens)]
    given = {}
    for kind, key in (("image", "pixel_values"), ("video", "pixel_values_videos")):
        rows = [values for values, media in zip(pixels, prompt["media"]) if media["kind"] == kind]
        if rows:
            given |= {key: torch.cat(rows), f"{kind}_grid_thw": grids(prompt, kind)}
    return model(input_ids=torch.tensor([tokens]), position_ids=where, use_cache=False, **given).logits[0]


def near(a, b):
    """Equal but for rounding: where weights lie in memory decides which product PyTorch takes."""
    return float((a - b).norm() / b.norm()) < 1e-6


def log_probabilities(model, prompt, pixels, positions, caption):
    rows = torch.log_softmax(logits(model, prompt, pixels, positions, caption[:-1]).double(), dim=-1)
    return rows[range(len(prompt["tokens"]) - 1, len(rows)), caption]


def greedy(model, prompt, pixels, positions):
    """The continuation, and by how much the best token is ahead at the least."""
    margin, more = float("inf"), []
    for _ in range(CONTINUED):
        best = logits(model, prompt, pixels, positions, more)[-1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        more.append(int(best.indices[0]))
    assert not {IMAGE, VIDEO} & set(more)
    return more, margin


def random_model(model_class, config, generator):
    model = model_class(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # gains other than 1, biases other than 0
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        for token in (IMAGE, VIDEO):  # never the best: as a token of text, transformers would take it for a picture's
            model.lm_head.weight[token] = 0
    return model


def write_as_published(folder):
    """Text fields on the top level, rotary sections as "mrope"; the vision tower's theta is not named."""
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    parameters = text.pop("rope_parameters")
    for key in ("model_type", "layer_types"):
        text.pop(key)
    config |= text | dict(rope_theta=parameters["rope_theta"],
                          rope_scaling=dict(type="mrope", mrope_section=parameters["mrope_section"]))
    vision = config["vision_config"]
    vision.pop("rope_parameters")
    vision["in_chans"] = vision.pop("in_channels")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_nested_names(folder):
    tensors = load_file(folder / "model.safetensors")
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("visual."):
            name = "model." + name
        elif name.startswith("model."):
            name = "model.language_model." + name.removeprefix("model.")
        renamed[name] = tensor
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})


def file_name(name):
    """The name in a published folder of a parameter of transformers' module."""
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def write_expected(folder, model, prompts, positions, generator, file_name=lambda name: name):
    """What the model makes of prompts, which are given weights and continuations; the folder must open as the same model."""
    reopened = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    vision = model.config.vision_config
    columns = 3 * vision.temporal_patch_size * vision.patch_size**2
    expected, loss = {}, 0
    for p, prompt in enumerate(prompts):
        pixels = [torch.randn(media["grid"][0] * media["grid"][1] * media["grid"][2], columns, generator=generator)
                  for media in prompt["media"]]
        expected |= {f"pixels.{p}.{m}": values for m, values in enumerate(pixels)}
        prompt["weights"] = [torch.randn(len(caption), generator=generator).tolist() for caption in prompt["captions"]]
        for caption, weights in zip(prompt["captions"], prompt["weights"]):
            loss = loss + (torch.tensor(weights) * log_probabilities(model, prompt, pixels, positions[p], caption)).sum()
        with torch.no_grad():
            for c, caption in enumerate(prompt["captions"]):
                rows = logits(model, prompt, pixels, positions[p], caption[:-1])
                again = logits(reopened, prompt, pixels, positions[p], caption[:-1])
                assert near(rows, again), folder
                # where captions part, and what stands before them once
                expected[f"logits.{p}.{c}"] = rows[len(prompt["tokens"]) * (c > 0):].clone()
            prompt["continuation"], margin = greedy(model, prompt, pixels, positions[p])
        assert margin > 1e-3, (folder, p, margin)
    loss.backward()
    expected |= {f"gradient.{file_name(key)}": value.grad.clone() for key, value in model.named_parameters()}
    save_file(expected, folder / "expected.safetensors")


def make_case(name, positions, generator):
    folder = OUT / name
    model = random_model(Qwen2_5_VLForConditionalGeneration, make_config(name), generator)
    model.save_pretrained(folder, **(dict(max_shard_size="8KB") if name == "newest" else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name == "published":
        write_as_published(folder)
    if name == "nested":
        write_nested_names(folder)
    prompts = draw_prompts(name)
    check_positions(name, prompts, positions)
    write_expected(folder, model, prompts, positions, generator, file_name)
    return prompts


def make_all():
    assert transformers.__version__ == "5.24.0"
    positions = json.loads((OUT / "positions.json").read_text())
    cases = {}
    for seed, name in enumerate(CASES):
        shutil.rmtree(OUT / name, ignore_errors=True)
        torch.manual_seed(seed)
        cases[name] = make_case(name, positions[name], torch.Generator().manual_seed(seed))
    (OUT / "cases.json").write_text(json.dumps(cases) + "\n")


def check_saved(model_class, out, folder):
    cases = json.loads((out / "cases.json").read_text())
    positions = json.loads((out / "positions.json").read_text())
    for name, prompts in cases.items():
        ours, report = model_class.from_pretrained(folder / name, dtype=torch.float32, output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            assert not report[kind], report
        theirs = model_class.from_pretrained(out / name, dtype=torch.float32)
        stored = load_file(out / name / "expected.safetensors")
        with torch.no_grad():
            for p, prompt in enumerate(prompts):
                pixels = [stored[f"pixels.{p}.{m}"] for m in range(len(prompt["media"]))]
                a, b = (logits(model.eval(), prompt, pixels, positions[name][p], prompt["captions"][0])
                        for model in (ours, theirs))
                assert near(a, b), (name, p)
        print(f"{name}: the same logits")


if __name__ == "__main__":
    if sys.argv[1:] == ["positions"]:
        write_positions()
    elif sys.argv[1:2] == ["check"]:
        check_saved(Qwen2_5_VLForConditionalGeneration, OUT, pathlib.Path(sys.argv[2]))
    else:
        make_all()
