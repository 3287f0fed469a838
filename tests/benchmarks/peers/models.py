"""The models of the benchmarks in PyTorch: fused query/key/value and gate/up products, SDPA, preallocated caches."""
import json
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    header_size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + header_size + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], dtype=np.float32).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def rotary_table(positions, head_size, theta=10000.0):
    """Cosine and sine [..., positions, head_size]."""
    frequencies = 1.0 / theta ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = positions[..., None].float() * frequencies
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def rotate(x, cosine, sine):
    half = x.shape[-1] // 2
    return x * cosine + torch.cat((-x[..., half:], x[..., :half]), -1) * sine


class Block(nn.Module):
    def __init__(self, width, heads, wide):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.gate_up = nn.Linear(width, 2 * wide, bias=False)
        self.down = nn.Linear(wide, width, bias=False)

    def load(self, tensors, prefix):
        take = lambda name: tensors[prefix + name]
        with torch.no_grad():
            self.attention_norm.weight.copy_(take("input_layernorm.weight"))
            self.qkv.weight.copy_(torch.cat([take(f"self_attn.{p}_proj.weight") for p in "qkv"]))
            self.output.weight.copy_(take("self_attn.o_proj.weight"))
            self.mlp_norm.weight.copy_(take("post_attention_layernorm.weight"))
            self.gate_up.weight.copy_(torch.cat([take(f"mlp.{p}_proj.weight") for p in ("gate", "up")]))
            self.down.weight.copy_(take("mlp.down_proj.weight"))

    def heads_of(self, x, rotary):
        batch, length, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        return q, k, v

    def finish(self, x, attended):
        batch, length, width = x.shape
        x = x + self.output(attended.transpose(1, 2).reshape(batch, length, width))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    def forward(self, x, rotary=None, causal=True):
        q, k, v = self.heads_of(x, rotary)
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=causal))

    def against_cache(self, x, rotary, cache, begin, end, mask=None):
        """New tokens at positions [begin, end) of `cache` [2, B, H, T, D], which they see up to the end of `mask`."""
        q, k, v = self.heads_of(x, rotary)
        cache[0, :, :, begin:end] = k
        cache[1, :, :, begin:end] = v
        keys = cache[:, :, :, :end] if mask is None else cache[:, :, :, : mask.shape[-1]]
        causal = mask is None and end - begin > 1
        return self.finish(x, F.scaled_dot_product_attention(q, keys[0], keys[1], attn_mask=mask, is_causal=causal))

    def at_position(self, x, rotary, cache, position, mask):
        """One new token at `position` (a tensor): all shapes stay as they are, for compiled code."""
        q, k, v = self.heads_of(x, rotary)
        cache[0].index_copy_(2, position, k)
        cache[1].index_copy_(2, position, v)
        return self.finish(x, F.scaled_dot_product_attention(q, cache[0], cache[1], attn_mask=mask))


class Decoder(nn.Module):
    def __init__(self, width, heads, wide, layers, vocabulary):
        super().__init__()
        self.heads, self.head_size = heads, width // heads
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, wide) for _ in range(layers))
        self.final_norm = nn.RMSNorm(width, eps=1e-6)

    @staticmethod
    def of(tensors, heads, prefix=""):
        vocabulary, width = tensors[prefix + "model.embed_tokens.weight"].shape
        wide = tensors[prefix + "model.layers.0.mlp.gate_proj.weight"].shape[0]
        layers = sum(name.startswith(prefix) and name.endswith(".q_proj.weight") for name in tensors)
        model = Decoder(width, heads, wide, layers, vocabulary)
        with torch.no_grad():
            model.embedding.weight.copy_(tensors[prefix + "model.embed_tokens.weight"])
            model.final_norm.weight.copy_(tensors[prefix + "model.norm.weight"])
        for i, block in enumerate(model.blocks):
            block.load(tensors, f"{prefix}model.layers.{i}.")
        return model

    def head(self, hidden):
        return F.linear(hidden, self.embedding.weight)

    def rotary(self, positions):
        return rotary_table(positions, self.head_size)

    def forward(self, x, rotary):
        for block in self.blocks:
            x = block(x, rotary)
        return self.final_norm(x)

    def new_cache(self, batch, length):
        shape = (2, batch, self.heads, length, self.head_size)
        return [torch.empty(shape) for _ in self.blocks]

    def against_cache(self, x, rotary, cache, begin, end, mask=None):
        for block, part in zip(self.blocks, cache):
            x = block.against_cache(x, rotary, part, begin, end, mask)
        return self.final_norm(x)

    def at_position(self, x, rotary, cache, position, mask):
        for block, part in zip(self.blocks, cache):
            x = block.at_position(x, rotary, part, position, mask)
        return self.final_norm(x)


class VisionTower(nn.Module):
    def __init__(self, tensors, heads):
        super().__init__()
        prefix = "visual."
        self.stem = nn.ModuleList()
        while f"{prefix}stem.{len(self.stem)}.weight" in tensors:
            name = f"{prefix}stem.{len(self.stem)}"
            weight = tensors[name + ".weight"]
            out, inputs = weight.shape[0], weight.shape[1] // 9
            convolution = nn.Conv2d(inputs, out, 3, stride=2, padding=1)
            with torch.no_grad():
                convolution.weight.copy_(weight.view(out, 3, 3, inputs).permute(0, 3, 1, 2))
                convolution.bias.copy_(tensors[name + ".bias"])
            self.stem.append(convolution)
        self.positions = nn.Parameter(tensors[prefix + "position_embedding.weight"].clone())
        width = self.positions.shape[1]
        wide = tensors[prefix + "blocks.0.mlp.gate_proj.weight"].shape[0]
        layers = sum(name.startswith(prefix) and name.endswith(".q_proj.weight") for name in tensors)
        self.blocks = nn.ModuleList(Block(width, heads, wide) for _ in range(layers))
        for i, block in enumerate(self.blocks):
            block.load(tensors, f"{prefix}blocks.{i}.")
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.projection = nn.Linear(width, tensors[prefix + "projection.weight"].shape[0], bias=False)
        with torch.no_grad():
            self.norm.weight.copy_(tensors[prefix + "norm.weight"])
            self.projection.weight.copy_(tensors[prefix + "projection.weight"])

    def forward(self, pixels):
        """[N, 3, H, W] to [N, tokens, C]."""
        x = pixels
        for i, convolution in enumerate(self.stem):
            x = convolution(x)
            if i + 1 < len(self.stem):
                x = F.gelu(x, approximate="tanh")
        x = x.flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x, causal=False)
        return self.projection(self.norm(x))


class TinyVlm(nn.Module):
    def __init__(self, tensors, heads=4):
        super().__init__()
        self.vision = VisionTower(tensors, heads)
        self.language = Decoder.of(tensors, heads, "language_model.")


def token_at(number, position):
    return (number * 7919 + position * 31 + position * position * 17 + 11) % 4096
