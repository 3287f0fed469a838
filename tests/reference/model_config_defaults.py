"""Writes tests/data/model/config_defaults.json: what transformers makes of configurations that leave fields out, and with
which tokens a model of a folder ends what it generates.

    pip install torch==2.15.0 transformers==5.24.0 && python tests/reference/model_config_defaults.py
"""

import json
import pathlib
import tempfile

from transformers import (AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, Qwen2_5_VLForConditionalGeneration,
                          Qwen2ForCausalLM)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "model" / "config_defaults.json"

# What is always said. 64 heads, so that every default of num_key_value_heads (8 and 32) divides them.
SIZES = dict(hidden_size=256, intermediate_size=24, num_hidden_layers=1, num_attention_heads=64, vocab_size=28,
             max_position_embeddings=128)
MROPE = dict(mrope_section=[1, 0, 1], rope_type="default")
VISION25 = dict(depth=1, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=256, patch_size=4,
                temporal_patch_size=2, spatial_merge_size=2, window_size=16, fullatt_block_indexes=[0])
VISION3 = dict(depth=1, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=256, patch_size=4,
               temporal_patch_size=2, spatial_merge_size=2, num_position_embeddings=16, deepstack_visual_indexes=[])
MEDIA = dict(image_token_id=1, video_token_id=2, vision_start_token_id=3, vision_end_token_id=4)


def text_only(family, **said):
    return dict(model_type=family, **SIZES, **said)


def qwen25(**said):
    return dict(model_type="qwen2_5_vl", **SIZES, **MEDIA, vision_config=VISION25, rope_scaling=MROPE, **said)


def qwen3(**said):
    # Half of a head's 64 pairs and more: sections are of the default head_dim, 128.
    rope = dict(rope_type="default", mrope_section=[24, 20, 20])
    return dict(model_type="qwen3_vl", **MEDIA, vision_config=VISION3, text_config=SIZES | dict(rope_scaling=rope) | said)


CONFIGS = [
    text_only("llama"),
    text_only("qwen2"),
    text_only("qwen3"),
    qwen25(),
    qwen3(),
    text_only("llama", num_key_value_heads=None),
    text_only("qwen2", num_key_value_heads=None),
    text_only("qwen3", num_key_value_heads=None),
    qwen25(num_key_value_heads=None),
    qwen3(num_key_value_heads=None),
    text_only("qwen2", rope_scaling=dict(rope_type="linear", factor=2.0)),
    text_only("qwen3", rope_parameters=dict(rope_type="default")),
    qwen25(rope_theta=5.0, rms_norm_eps=1e-3, num_key_value_heads=4, tie_word_embeddings=True),
    qwen3(rope_theta=5.0, rms_norm_eps=1e-3, num_key_value_heads=4, head_dim=128),
]


def resolved(said):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(said))
        config = AutoConfig.from_pretrained(folder)
    text = config.get_text_config()
    return dict(rope_theta=text.rope_parameters["rope_theta"], rms_norm_eps=text.rms_norm_eps,
                num_key_value_heads=text.num_key_value_heads,
                head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
                hidden_act=text.hidden_act, tie_word_embeddings=config.tie_word_embeddings,
                attention_bias=getattr(text, "attention_bias", False), mlp_bias=getattr(text, "mlp_bias", False))


# Files beside the weights, as far as they speak of end tokens.
FOLDERS = [
    dict(config=dict(eos_token_id=5)),
    dict(config=dict(eos_token_id=[5, 6])),
    dict(config=dict()),
    dict(config=dict(eos_token_id=None)),
    dict(config=dict(eos_token_id=5), generation=dict(eos_token_id=[7, 8])),
    dict(config=dict(eos_token_id=5), generation=dict(do_sample=True)),
    dict(config=dict(eos_token_id=5), generation=dict(eos_token_id=None)),
    dict(config=dict(eos_token_id=5, temperature=0.5, do_sample=True, top_k=7, top_p=0.5, repetition_penalty=1.5)),
    dict(config=dict(text_config=dict(eos_token_id=6))),
    dict(config=dict(eos_token_id=5, text_config=dict(eos_token_id=6))),
    dict(config=dict(text_config=dict(eos_token_id=6)), generation=dict(do_sample=True)),
]


def generation(folder, said):
    """The settings that `generate` works with, of a folder with a tiny model."""
    config = json.loads((folder / "original.json").read_text())
    own = dict(said["config"])
    for place in (config, config.get("text_config", {})):
        place.pop("eos_token_id", None)
    if "text_config" in own:
        config["text_config"] |= own.pop("text_config")
    (folder / "config.json").write_text(json.dumps(config | own))
    file = folder / "generation_config.json"
    file.unlink(missing_ok=True)
    if "generation" in said:
        file.write_text(json.dumps(said["generation"]))
    model = (AutoModelForImageTextToText if "text_config" in config else AutoModelForCausalLM).from_pretrained(folder)
    used = model._prepare_generation_config(None)[0]
    model._prepare_special_tokens(used, device="cpu")
    ends = [] if used._eos_token_tensor is None else used._eos_token_tensor.tolist()
    return dict(eos_token_id=ends, do_sample=used.do_sample, temperature=used.temperature, top_k=used.top_k, top_p=used.top_p,
                repetition_penalty=used.repetition_penalty)


def model_folder(path, model_class, said):
    path.mkdir()
    said = said | dict(num_key_value_heads=64)
    (path / "config.json").write_text(json.dumps(said))
    model_class(AutoConfig.from_pretrained(path)).save_pretrained(path)
    (path / "config.json").rename(path / "original.json")
    return path


with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    text = model_folder(root / "text", Qwen2ForCausalLM, text_only("qwen2"))
    nested = model_folder(root / "nested", Qwen2_5_VLForConditionalGeneration, qwen25())
    folders = [said | dict(used=generation(nested if "text_config" in said["config"] else text, said)) for said in FOLDERS]
OUT.write_text(json.dumps(dict(configs=[dict(said=said, resolved=resolved(said)) for said in CONFIGS], folders=folders),
                          indent=1) + "\n")
