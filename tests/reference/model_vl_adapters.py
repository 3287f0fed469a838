"""Opens an adapter that the library saved for a Qwen2.5-VL or Qwen3-VL captioner by Hugging Face peft, on the folder that
it is for, and compares it with the folder that it was merged into.

    pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2
    sft --model BASE --data DATA --steps 6 --batch 4 --lora-rank 2 --learning-rate 0.01 --out OUT
    python tests/reference/model_vl_adapters.py OUT/adapter BASE OUT/model

Every A and B of the file must have a place in peft's model and every one of these a tensor of the file, as peft's own
names say; peft itself only warns, and leaves B at 0. Logits must be those of the merged folder, and with pictures others
than those of the base.
"""

import pathlib
import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

# Pictures of each prompt, in tokens along height and width.
PROMPTS = [[(3, 4)], [(2, 2), (5, 3)], []]
TEXT = 11  # tokens before, between and after pictures


def open_model(folder):
    model, report = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], (folder, kind, report[kind])
    return model.eval()


def make_prompt(config, pictures, generator):
    vision = config.vision_config
    special = (config.image_token_id, config.video_token_id, config.vision_start_token_id, config.vision_end_token_id)
    words = lambda: torch.randint(min(special), [TEXT], generator=generator).tolist()
    ids, grids = words(), []
    for height, width in pictures:
        ids += [config.vision_start_token_id] + [config.image_token_id] * (height * width) + [config.vision_end_token_id]
        ids += words()
        grids.append([1, height * vision.spatial_merge_size, width * vision.spatial_merge_size])
    kinds = [[int(token == config.image_token_id) for token in ids]]
    given = dict(input_ids=torch.tensor([ids]), mm_token_type_ids=torch.tensor(kinds), use_cache=False)
    if grids:
        columns = 3 * vision.temporal_patch_size * vision.patch_size**2
        rows = sum(height * width for _, height, width in grids)
        given |= dict(pixel_values=torch.randn(rows, columns, generator=generator), image_grid_thw=torch.tensor(grids))
    return given


def logits(model, prompts):
    with torch.no_grad():
        return [model(**prompt).logits[0] for prompt in prompts]


def distance(a, b):
    return max(float((x - y).norm() / y.norm()) for x, y in zip(a, b))


def open_adapter(base, folder):
    """peft's model, which must have a place for each tensor of the file, and no other."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, folder).eval()
    warned = [str(warning.message).split("\n")[0][:300] for warning in warned if "adapter keys" in str(warning.message)]
    plain = lambda name: name.replace(".default", "")
    opened = {plain(name): value for name, value in model.named_parameters() if ".lora_" in name}
    stored = load_file(folder / "adapter_model.safetensors")
    assert stored and all(value.any() for value in stored.values()), "an adapter that was not trained tells nothing"
    zero = sorted(name for name, value in opened.items() if not value.any())
    assert not warned and not zero, "\n".join(warned + [f"{len(zero)} are 0 of {len(opened)}:", *zero])
    assert opened.keys() == stored.keys(), "\n".join(sorted(opened.keys() ^ stored.keys()))
    for name, value in opened.items():
        assert torch.equal(value, stored[name]), name
    return model, opened


def main():
    adapter, base, merged = map(pathlib.Path, sys.argv[1:])
    model = open_model(base)
    generator = torch.Generator().manual_seed(1)
    prompts = [make_prompt(model.config, pictures, generator) for pictures in PROMPTS]
    before, expected = logits(model, prompts), logits(open_model(merged), prompts)
    opened, tensors = open_adapter(model, adapter)
    found = logits(opened, prompts)
    tower = sum(".visual." in name for name in tensors)
    apart = distance(found, expected)
    moved = min(distance([a], [b]) for a, b, pictures in zip(found, before, PROMPTS) if pictures)
    print(f"{adapter}: {len(tensors)} tensors, {tower} of them the tower's; logits within {apart:.1e} of the merged ones, "
          f"moved by {moved:.1e}")
    assert apart < 1e-5 and moved > 1e-3


main()
