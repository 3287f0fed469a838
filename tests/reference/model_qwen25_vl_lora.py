"""Writes tests/data/lora_qwen25_vl/: an adapter with random numbers that Hugging Face peft puts on
tests/data/qwen25_vl/published, named as transformers 5 names its layers, and the weights that it is merged into, named
as that folder names them.

    pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 && python tests/reference/model_qwen25_vl_lora.py
"""

import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
OUT = DATA / "lora_qwen25_vl"


def main():
    torch.manual_seed(1)
    base = AutoModelForImageTextToText.from_pretrained(DATA / "qwen25_vl" / "published", dtype=torch.float32).eval()
    model = get_peft_model(base, LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "qkv"]))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(OUT)
    (OUT / "README.md").unlink()
    config = json.loads((OUT / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "tests/data/qwen25_vl/published"
    config["target_modules"].sort()
    (OUT / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    merged = model.merge_and_unload().state_dict()
    save_file({name.replace("model.language_model.", "model.").replace("model.visual.", "visual."): weight.contiguous()
               for name, weight in merged.items() if name.endswith(("q_proj.weight", "qkv.weight"))},
              OUT / "merged.safetensors")


main()
