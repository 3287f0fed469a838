"""Writes tests/data/lora/: adapters with random numbers that Hugging Face peft puts on the folders of tests/data/model,
and what it makes of them: logits, gradients of a weighted sum of token log-probabilities by A and B, merged weights.

    pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 && python tests/reference/nn_lora.py

And the other way round: opens the adapters that our test saved beside its own logits, and compares.

    CAPRL_LORA_OUT=build/lora build/release/tests/test_model --test-case='an adapter that is saved*'
    python tests/reference/nn_lora.py build/lora
"""

import json
import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "tests" / "data" / "model"
OUT = ROOT / "tests" / "data" / "lora"

# Every way to name targets, on parts of fused products and on whole ones; both scales; ranks above and below a layer's
# size.
CASES = {
    "llama_tied": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "llama_biases": dict(r=3, lora_alpha=5, target_modules="all-linear", use_rslora=True),
    "qwen2_tied": dict(r=2, lora_alpha=16,
                       target_modules=r".*\.layers\.1\.(self_attn\.(k|o)_proj|mlp\.(up|down)_proj)"),
    "qwen2_shards": dict(r=20, lora_alpha=4, use_rslora=True,
                         target_modules=["gate_proj", "layers.0.self_attn.k_proj", "model.layers.1.self_attn.o_proj"]),
    "qwen3_biases": dict(r=1, lora_alpha=2, lora_dropout=0.3, target_modules=["v_proj", "down_proj", "k_proj"]),
}


def base_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(model, ids):
    return model(torch.tensor([ids])).logits[0]


def log_probabilities(model, ids):
    """Of each token after the first."""
    return torch.log_softmax(logits(model, ids).double(), dim=-1)[range(len(ids) - 1), ids[1:]]


def make_case(name, options, case, generator):
    model = get_peft_model(base_model(MODELS / name), LoraConfig(task_type="CAUSAL_LM", **options)).eval()
    trained = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():  # B begins at 0: give it numbers
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink()
    config = OUT / name / "adapter_config.json"
    fields = json.loads(config.read_text())
    if isinstance(fields["target_modules"], list):
        fields["target_modules"].sort()  # peft keeps a set: without this each run writes another file
    fields["base_model_name_or_path"] = name
    config.write_text(json.dumps(fields, indent=2) + "\n")

    loss = sum((torch.tensor(weight) * log_probabilities(model, ids)).sum()
               for ids, weight in zip(case["sequences"], case["weights"]))
    loss.backward()
    plain = lambda key: key.removeprefix("base_model.model.").replace(".default", "")
    expected = {f"gradient.{plain(key)}": parameter.grad.clone() for key, parameter in trained.items()}
    with torch.no_grad():
        for i, ids in enumerate(case["sequences"]):
            expected[f"logits.{i}"] = logits(model, ids).clone()
    before = load_shards(MODELS / name)
    for key, weight in model.merge_and_unload().state_dict().items():
        if key in before and not torch.equal(weight, before[key]):
            expected[f"merged.{key}"] = weight.clone()
    save_file(expected, OUT / name / "expected.safetensors")


def load_shards(folder):
    return {key: value for file in folder.glob("model*.safetensors") for key, value in load_file(file).items()}


def open_ours(folder):
    for adapter in sorted(path for path in folder.iterdir() if path.is_dir()):
        config = json.loads((adapter / "adapter_config.json").read_text())
        ours = load_file(adapter.with_suffix(".safetensors"))
        model = PeftModel.from_pretrained(base_model(MODELS / config["base_model_name_or_path"]), adapter).eval()
        with torch.no_grad():
            theirs = logits(model, ours["ids"].tolist())
            plain = logits(model.unload(), ours["ids"].tolist())
        distance = float((theirs - ours["logits"]).norm() / theirs.norm())
        moved = float((plain - theirs).norm() / theirs.norm())
        print(f"{adapter.name}: {distance:.1e} from peft; the adapter moves the logits by {moved:.1e}")
        assert distance < 1e-5 and moved > 1e-2, adapter


def main():
    if len(sys.argv) > 1:
        open_ours(pathlib.Path(sys.argv[1]))
        return
    shutil.rmtree(OUT, ignore_errors=True)
    generator = torch.Generator().manual_seed(3)
    cases = json.loads((MODELS / "cases.json").read_text())
    for seed, (name, options) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        make_case(name, options, cases[name], generator)


main()
