"""Writes tests/data/model/: small Llama folders with random weights, and log-probabilities by Hugging Face transformers, of
them and of the committed judge.

    pip install torch transformers && python tests/reference/model_llama.py
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "model"


def log_probabilities(model, ids):
    """Of each token after the first."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits, dim=-1)[range(len(ids) - 1), ids[1:]].tolist()


def case(model, generator, vocabulary):
    sequences = [torch.randint(vocabulary, (length,), generator=generator).tolist() for length in (17, 5)]
    return {"sequences": sequences, "log_probabilities": [log_probabilities(model, ids) for ids in sequences]}


def main():
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    cases = {}
    for name, tied in (("llama_tied", True), ("llama_untied", False)):
        config = LlamaConfig(
            hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=40, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=500.0, tie_word_embeddings=tied,
            initializer_range=0.3)
        model = LlamaForCausalLM(config).eval()
        with torch.no_grad():  # gains other than 1
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn(parameter.shape))
        model.save_pretrained(OUT / name)
        (OUT / name / "generation_config.json").unlink(missing_ok=True)
        # transformers 5 writes theta into "rope_parameters"; before it stood beside the rest: one folder of each sort.
        config_file = OUT / name / "config.json"
        written = json.loads(config_file.read_text())
        if tied:
            written["rope_theta"] = written.pop("rope_parameters")["rope_theta"]
        config_file.write_text(json.dumps(written, indent=2) + "\n")
        cases[name] = case(model, generator, 40)
    judge, report = AutoModelForCausalLM.from_pretrained(
        ROOT / "examples" / "weights" / "judge1", dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], report
    cases["judge1"] = case(judge.eval(), generator, judge.config.vocab_size)
    (OUT / "llama.json").write_text(json.dumps(cases) + "\n")


main()
