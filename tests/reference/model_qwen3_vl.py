"""Writes tests/data/qwen3_vl/: small Qwen3-VL folders with random weights, and what Hugging Face transformers and PyTorch's
autograd make of them: positions, logits, gradients of a weighted sum of caption log-probabilities, greedy continuations.

    pip install torch==2.15.0 transformers==5.24.0 && python tests/reference/model_qwen3_vl.py

    python tests/reference/model_qwen3_vl.py check FOLDER

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
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLModel

from model_qwen25_vl import (CONTINUED, END, IMAGE, ROOT, START, VIDEO, VOCABULARY, WORDS, check_saved, random_model,
                             tokens_of, write_expected)

OUT = ROOT / "tests" / "data" / "qwen3_vl"

TEXT = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
            head_dim=8, vocab_size=VOCABULARY, max_position_embeddings=256, rms_norm_eps=1e-5, initializer_range=0.4,
            bos_token_id=0, eos_token_id=0)
VISION = dict(depth=3, hidden_size=8, intermediate_size=12, num_heads=2, patch_size=2, temporal_patch_size=2,
              spatial_merge_size=2, num_position_embeddings=16, deepstack_visual_indexes=[0, 2], out_hidden_size=16,
              initializer_range=0.4)


def rope(sections):
    return dict(rope_parameters=dict(rope_type="default", rope_theta=500.0, mrope_section=sections, mrope_interleaved=True))


# Prompts are lists of words (how many) and media: (kind, grid). Grids are larger and smaller than the table of positions. A
# video's times stand apart, each after a word that tells it.
CASES = {
    "deep": (TEXT | rope([2, 1, 1]), VISION, False,
             [[3, ("image", (1, 6, 10)), 4], [2, ("video", (3, 4, 2)), 3, ("image", (1, 2, 2)), 2], [5]]),
    "tied": (TEXT | rope([3, 3, 2]) | dict(num_hidden_layers=2, head_dim=16, num_key_value_heads=2, attention_bias=True),
             VISION | dict(num_heads=1, depth=2, temporal_patch_size=1, spatial_merge_size=1, num_position_embeddings=9,
                           deepstack_visual_indexes=[0], rope_parameters=dict(rope_type="axial", rope_theta=200.0)), True,
             [[("image", (1, 3, 5)), 1, ("image", (1, 1, 4)), 3], [1, ("video", (2, 3, 3)), 2]]),
}


def draw_prompts(name):
    """For each prompt its tokens, media (a video's times apart), captions, and the grids as transformers has them."""
    draw = random.Random(name)
    _, vision, _, prompts = CASES[name]
    words = lambda count: [draw.randrange(WORDS) for _ in range(count)]
    drawn = []
    for prompt in prompts:
        tokens, media, grids = [], [], {"image": [], "video": []}
        for part in prompt:
            if isinstance(part, int):
                tokens += words(part)
                continue
            kind, (times, height, width) = part
            grids[kind].append((times, height, width))
            pad = IMAGE if kind == "image" else VIDEO
            for _ in range(times):
                tokens += words(1) if kind == "video" else []
                grid = (1, height, width)
                media.append(dict(kind=kind, grid=grid, seconds=0, begin=len(tokens) + 1))
                tokens += [START] + [pad] * tokens_of(grid, vision["spatial_merge_size"]) + [END]
        first = words(7)
        drawn.append((dict(tokens=tokens, media=media, captions=[first, first[:3] + words(2)]), grids))
    return drawn


def rope_index(config, prompt, grids):
    model = types.SimpleNamespace(config=config)
    model.get_vision_position_ids = types.MethodType(Qwen3VLModel.get_vision_position_ids, model)
    tokens = prompt["tokens"] + [0] * CONTINUED
    kinds = torch.tensor([[{IMAGE: 1, VIDEO: 2}.get(token, 0) for token in tokens]])
    given = {f"{kind}_grid_thw": torch.tensor(found) if found else None for kind, found in grids.items()}
    return Qwen3VLModel.get_rope_index(model, torch.tensor([tokens]), mm_token_type_ids=kinds, **given)[0][:, 0].tolist()


def make_case(name, generator):
    text, vision, tied, _ = CASES[name]
    config = Qwen3VLConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO,
                           vision_start_token_id=START, vision_end_token_id=END, tie_word_embeddings=tied)
    folder = OUT / name
    model = random_model(Qwen3VLForConditionalGeneration, config, generator)
    model.save_pretrained(folder, **(dict(max_shard_size="8KB") if tied else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    drawn = draw_prompts(name)
    positions = [rope_index(config, prompt, grids) for prompt, grids in drawn]
    prompts = [prompt for prompt, _ in drawn]
    write_expected(folder, model, prompts, positions, generator)
    return prompts, positions


def make_all():
    assert transformers.__version__ == "5.24.0"
    shutil.rmtree(OUT, ignore_errors=True)
    cases, positions = {}, {}
    for seed, name in enumerate(CASES):
        torch.manual_seed(seed)
        cases[name], positions[name] = make_case(name, torch.Generator().manual_seed(seed))
    (OUT / "cases.json").write_text(json.dumps(cases) + "\n")
    (OUT / "positions.json").write_text(json.dumps(positions) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check_saved(Qwen3VLForConditionalGeneration, OUT, pathlib.Path(sys.argv[2]))
    else:
        make_all()
