"""Writes tests/data/io/blocks.gguf, a file with a tensor of every type that caprl reads and a metadata value of every type,
and tests/data/io/blocks.safetensors, what the package gguf makes of the tensors.

    pip install gguf==0.19.0 numpy safetensors && python tests/reference/io_gguf.py
"""

import pathlib

import gguf
import numpy
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "io"
ROWS, COLUMNS = 2, 256
# Where the half-precision scales stand in a block; all other bytes are free.
SCALES = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2],
          Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def random_blocks(kind, generator):
    """Blocks of random bytes with scales of any finite size: [ROWS, bytes of a row]."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = generator.integers(0, 256, (ROWS * COLUMNS // elements, size), dtype=numpy.uint8)
    for offset in SCALES[kind]:
        scales = generator.standard_normal(len(blocks)) * 2.0 ** generator.integers(-20, 8, len(blocks))
        blocks[:, offset : offset + 2] = scales.astype(numpy.float16).view(numpy.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def plain_tensors(generator):
    numbers = generator.standard_normal((ROWS, COLUMNS)).astype(numpy.float32)
    halves = numpy.linspace(-7, 7, 24).astype(numpy.float16).reshape(2, 3, 4)
    halves[0, 0, :3] = [6e-8, -65504, -0.0]
    return {
        "plain.f32": (Type.F32, numbers),
        "plain.f16": (Type.F16, halves),
        "plain.bf16": (Type.BF16, gguf.quants.quantize(numbers, Type.BF16)),
    }


def add_values(writer):
    """One value of each type, scalars at their limits."""
    for kind, value in ((Value.UINT8, 255), (Value.INT8, -128), (Value.UINT16, 65535), (Value.INT16, -32768),
                        (Value.UINT32, 4294967295), (Value.INT32, -2147483648), (Value.UINT64, (1 << 63) - 1),
                        (Value.INT64, -(1 << 63)), (Value.FLOAT32, 0.1), (Value.FLOAT64, 0.1), (Value.BOOL, True),
                        (Value.STRING, "für «alle»")):
        writer.add_key_value(f"value.{kind.name.lower()}", value, kind)
    for name, values in (("integers", [1, -2, 3]), ("numbers", [0.5, -1.25]), ("flags", [True, False, True]),
                         ("strings", ["", "a", "zwei Wörter"])):
        writer.add_array(f"list.{name}", values)


def main():
    generator = numpy.random.default_rng(1)
    stored = plain_tensors(generator)
    stored |= {f"blocks.{kind.name.lower()}": (kind, random_blocks(kind, generator)) for kind in SCALES}
    OUT.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(OUT / "blocks.gguf", "none")
    add_values(writer)
    for name, (kind, data) in stored.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expected = {}
    for tensor in gguf.GGUFReader(OUT / "blocks.gguf").tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        expected[tensor.name] = numpy.ascontiguousarray(values.reshape(tuple(reversed(tensor.shape.tolist()))))
        assert numpy.isfinite(values).all(), tensor.name
    save_file(expected, OUT / "blocks.safetensors")
    (OUT / "blocks.safetensors").chmod(0o644)


main()
