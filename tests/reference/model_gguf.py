"""Writes tests/data/model/gguf/: the small folders of model_decoders.py as llama.cpp's converter would write them, and
chat.gguf, a small Llama with a tokenizer, block-wise types and Llama 3.1's stretched angles, with the logits of Hugging Face
transformers. Writes tests/data/text/*.gguf, files with a tokenizer alone, with ids by Hugging Face tokenizers.

    pip install torch==2.15.0 transformers==5.24.0 tokenizers==0.23.3 gguf==0.19.0 && python tests/reference/model_gguf.py
"""

import json
import math
import pathlib
import random

import gguf
import numpy
import torch
from gguf import GGMLQuantizationType as Type
from gguf import TokenType
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
OUT = DATA / "model" / "gguf"
FOLDERS = ["llama_tied", "llama_linear", "qwen2_tied", "qwen2_yarn", "qwen3_tied"]
READ_BY_TRANSFORMERS = ["llama_tied", "qwen2_tied"]  # its reader passes over rope.scaling and Qwen3's head size
PARTS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
         "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}


def gguf_name(name):
    if name in WHOLE:
        return WHOLE[name]
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    part, kind = part.rsplit(".", 1)
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def permuted(rows, heads):
    """The order of rows that the original Llama code and llama.cpp rotate: LlamaModel.permute of its converter."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def converted(config, tensors):
    """Tensors by llama.cpp's names, in its order of rows."""
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    result = {}
    for name, tensor in tensors.items():
        values = tensor.float().numpy()
        part = name.split(".")[-2]
        if config["model_type"] == "llama" and part in heads:
            values = permuted(values, heads[part])
        result[gguf_name(name)] = numpy.ascontiguousarray(values)
    return result


def add_rope(writer, config):
    rope = config.get("rope_parameters") or config
    writer.add_rope_freq_base(rope["rope_theta"])
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return
    writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
    writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])


def add_config(writer, config):
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(head)
    if head * config["num_attention_heads"] != config["hidden_size"]:
        writer.add_key_length(head)
        writer.add_value_length(head)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert_folder(name):
    folder = DATA / "model" / name
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", config["model_type"])
    writer.add_name(name)
    add_config(writer, config)
    add_rope(writer, config)
    for tensor, values in converted(config, load_file(folder / "model.safetensors")).items():
        writer.add_tensor(tensor, values)
    close(writer)


def check_folder(name):
    """transformers' own reader of such files sees the model that the folder holds."""
    model = AutoModelForCausalLM.from_pretrained(str(OUT), gguf_file=f"{name}.gguf", dtype=torch.float32).eval()
    ids = json.loads((DATA / "model" / "cases.json").read_text())[name]["sequences"][0]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    expected = load_file(DATA / "model" / name / "expected.safetensors")["logits.0"]
    difference = float((logits - expected).norm() / expected.norm())
    print(f"{name}: transformers' reader differs by {difference:.1e}")
    assert difference < 1e-5


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2])
# What the tokenizer.json of these models says, by the name that llama.cpp gives it.
PRE = {"gpt-2": (GPT2, None, False),
       "smollm": (DIGITS, None, False),
       "starcoder": (DIGITS, None, False),
       "qwen2": (pre_tokenizers.Sequence([split(WORD + r"\p{N}" + REST), BYTES]), normalizers.NFC(), False),
       "llama-bpe": (pre_tokenizers.Sequence([split(WORD + r"\p{N}{1,3}" + REST), BYTES]), None, True)}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


UNKNOWN = "\x04"  # SmolLM2's vocabulary has no token for this and some other control characters


def trained_tokenizer(name, texts, vocabulary):
    pre_tokenizer, normalizer, ignore_merges = PRE[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = [letter for letter in pre_tokenizers.ByteLevel.alphabet() if name != "smollm" or letter != "\u0104"]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, special_tokens=SPECIAL,
                                  initial_alphabet=sorted(alphabet))
    tokenizer.train_from_iterator([text for text in texts if UNKNOWN not in text], trainer)
    if ignore_merges:  # some tokens only as whole pieces
        file = json.loads(tokenizer.to_str())
        file["model"]["merges"] = file["model"]["merges"][:-30]
        tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("caf\u00e9", normalized=False)])
    return tokenizer


def add_tokenizer(writer, name, tokenizer, rows):
    """Of `rows` ids; those that are no token are marked as unused, as converters do."""
    file = json.loads(tokenizer.to_str())
    kinds = {token["id"]: TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED for token in file["added_tokens"]}
    by_id = {i: text for text, i in tokenizer.get_vocab(with_added_tokens=True).items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list([by_id.get(i, f"[PAD{i}]") for i in range(rows)])
    writer.add_token_types([kinds.get(i, TokenType.NORMAL) if i in by_id else TokenType.UNUSED for i in range(rows)])
    writer.add_token_merges([" ".join(merge) for merge in file["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def plain(tokenizer):
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(file))


def write_tokenizers(texts):
    """Files without tensors, and ids: `parse`, where special tokens in the text count; `plain`, without added tokens."""
    rng = random.Random(5)
    shown = [text for text in texts if len(text) < 80]
    shown = rng.sample(shown, 60) + ["1234567 x12345", "caf\u00e9 cafe\u0301 <think>12</think><|im_end|>",
                                     f"an{UNKNOWN}d a{UNKNOWN} {UNKNOWN} o{UNKNOWN}f"]
    cases = {"texts": shown, "tokenizers": {}}
    for name in PRE:
        tokenizer = trained_tokenizer(name, texts, 340)
        if name == "starcoder":  # the reader of tokenizer.json shall give the same
            tokenizer.save(str(DATA / "text" / "digits.json"), pretty=False)
        writer = gguf.GGUFWriter(DATA / "text" / f"{name}.gguf", "none")
        add_tokenizer(writer, name, tokenizer, tokenizer.get_vocab_size() + 3)
        close(writer)
        cases["tokenizers"][name] = {
            "parse": [e.ids for e in tokenizer.encode_batch(shown, add_special_tokens=False)],
            "plain": [e.ids for e in plain(tokenizer).encode_batch(shown, add_special_tokens=False)],
        }
    (DATA / "text" / "gguf_cases.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")


def llama3_divisors(config, head):
    """rope_freqs.weight as llama.cpp's converter makes it: Llama3Model.generate_extra_tensors."""
    rope = config.rope_parameters
    context = rope["original_max_position_embeddings"]
    divisors = []
    for i in range(0, head, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (i / head)
        if wave < context / rope["high_freq_factor"]:
            divisors.append(1.0)
        elif wave > context / rope["low_freq_factor"]:
            divisors.append(rope["factor"])
        else:
            smooth = (context / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(divisors, dtype=numpy.float32)


def write_chat(texts):
    """A model as a user has it: tokenizer and blocks of several types in one file."""
    torch.manual_seed(3)
    tokenizer = trained_tokenizer("smollm", texts, 320)
    rows = tokenizer.get_vocab_size() + 3
    config = LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                         num_key_value_heads=1, vocab_size=rows, max_position_embeddings=128, rms_norm_eps=1e-5,
                         initializer_range=0.3, tie_word_embeddings=True, rope_theta=500000.0,
                         rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                           original_max_position_embeddings=8192, rope_theta=500000.0))
    model = LlamaForCausalLM(config).eval()
    kinds = {"token_embd": Type.Q8_0, "attn_q": Type.Q4_0, "attn_k": Type.Q4_1, "attn_v": Type.Q5_0, "attn_output": Type.Q5_1,
             "ffn_gate": Type.F16, "ffn_up": Type.BF16, "ffn_down": Type.Q8_0}
    writer = gguf.GGUFWriter(OUT / "chat.gguf", "llama")
    add_config(writer, config.to_dict())
    writer.add_rope_freq_base(500000.0)
    add_tokenizer(writer, "smollm", tokenizer, rows)
    writer.add_tensor("rope_freqs.weight", llama3_divisors(config, 16))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            heads = {"q_proj": 2, "k_proj": 1}.get(name.split(".")[-2])
            values = parameter.numpy()
            kind = kinds.get(gguf_name(name).split(".")[-2], Type.F32)
            stored = gguf.quants.quantize(permuted(values, heads) if heads else values, kind)
            writer.add_tensor(gguf_name(name), stored, raw_dtype=kind)
            # The numbers of a row stay together, so the order of rows does not matter to what is stored of them.
            parameter.copy_(torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind).copy()))
    close(writer)
    text = "<|im_start|>user\nA large red circle is left of 12 small blue squares.<|im_end|>\n"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    save_file({"ids": torch.tensor(ids, dtype=torch.int32), "logits": logits.clone()}, OUT / "chat.safetensors")
    (OUT / "chat.safetensors").chmod(0o644)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        convert_folder(name)
    for name in READ_BY_TRANSFORMERS:
        check_folder(name)
    texts = json.loads((DATA / "text" / "tokenizer_cases.json").read_text())["texts"]
    write_tokenizers(texts)
    write_chat(texts)


main()
