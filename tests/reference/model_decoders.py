"""Writes tests/data/model/: small Llama, Qwen2 and Qwen3 folders with random weights, and what Hugging Face transformers and
PyTorch's autograd make of them: logits, gradients of a weighted sum of token log-probabilities, greedy continuations. Also
log-probabilities of the committed judge.

    pip install torch==2.15.0 transformers==5.24.0 && python tests/reference/model_decoders.py
"""

import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "model"
CONTINUED = 64
VOCABULARY = 28

SIZES = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=VOCABULARY, max_position_embeddings=128, rms_norm_eps=1e-5, initializer_range=0.4,
             rope_theta=500.0)
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)

# Every option in some case: tied and untied heads, biases, query and key norms, head sizes that are not C / H, one key head
# or as many as queries, each kind of rotary scaling, weights in several files, the older and the newer form of config.json.
CASES = {
    "llama_tied": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=True), dict(old_config=True)),
    "llama_biases": (LlamaForCausalLM, LlamaConfig,
                     dict(attention_bias=True, mlp_bias=True, head_dim=6, rope_scaling=LLAMA3), dict()),
    "llama_linear": (LlamaForCausalLM, LlamaConfig,
                     dict(num_key_value_heads=1, rope_scaling=dict(rope_type="linear", factor=3.0)), dict()),
    "qwen2_tied": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True), dict(old_config=True)),
    "qwen2_shards": (Qwen2ForCausalLM, Qwen2Config, dict(num_key_value_heads=4), dict(max_shard_size="4KB")),
    "qwen2_yarn": (Qwen2ForCausalLM, Qwen2Config,
                   dict(rope_scaling=YARN | dict(beta_fast=4.0, beta_slow=0.5), num_hidden_layers=3), dict()),
    "qwen3_tied": (Qwen3ForCausalLM, Qwen3Config, dict(tie_word_embeddings=True, head_dim=8), dict(old_config=True)),
    "qwen3_biases": (Qwen3ForCausalLM, Qwen3Config, dict(attention_bias=True, head_dim=6, num_key_value_heads=4), dict()),
    "qwen3_yarn": (Qwen3ForCausalLM, Qwen3Config,
                   dict(head_dim=10, num_key_value_heads=1, rope_scaling=YARN | dict(attention_factor=1.25)), dict()),
}


def random_sequences(generator, vocabulary):
    return [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in (41, 6)]


def log_probabilities(model, ids):
    """Of each token after the first."""
    logits = model(torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits, dim=-1)[range(len(ids) - 1), ids[1:]]


def greedy(model, ids):
    """The continuation, and by how much the best token is ahead at the least."""
    margin = float("inf")
    ids = list(ids)
    for _ in range(CONTINUED):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
    return ids[-CONTINUED:], margin


def write_old_config(file):
    """transformers 5 writes theta into "rope_parameters"; before it stood beside the rest."""
    config = json.loads(file.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    file.write_text(json.dumps(config, indent=2) + "\n")


def make_case(name, model_class, config, saving, generator):
    folder = OUT / name
    old_config = saving.pop("old_config", False)
    model = model_class(config).eval()
    with torch.no_grad():  # gains other than 1, biases other than 0
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder, **saving)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if old_config:
        write_old_config(folder / "config.json")

    sequences = random_sequences(generator, VOCABULARY)
    weights = [torch.randn(len(ids) - 1, generator=generator) for ids in sequences]
    loss = sum((weight * log_probabilities(model, ids)).sum() for ids, weight in zip(sequences, weights))
    loss.backward()
    expected = {f"gradient.{name}": parameter.grad.clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for i, ids in enumerate(sequences):
            expected[f"logits.{i}"] = model(torch.tensor([ids])).logits[0].clone()
        continuation, margin = greedy(model, sequences[1])
    assert margin > 2e-3, (name, margin)
    save_file(expected, folder / "expected.safetensors")
    return {"sequences": sequences, "weights": [weight.tolist() for weight in weights], "continuation": continuation}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    generator = torch.Generator().manual_seed(2)
    cases = {}
    for seed, (name, (model_class, config_class, options, saving)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        cases[name] = make_case(name, model_class, config_class(**SIZES | options), saving, generator)
    judge, report = AutoModelForCausalLM.from_pretrained(
        ROOT / "examples" / "weights" / "judge1", dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], report
    sequences = random_sequences(generator, judge.config.vocab_size)
    with torch.no_grad():
        judged = [log_probabilities(judge.eval(), ids).tolist() for ids in sequences]
    cases["judge1"] = {"sequences": sequences, "log_probabilities": judged}
    (OUT / "cases.json").write_text(json.dumps(cases) + "\n")


main()
