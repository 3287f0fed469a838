"""Writes tests/data/io/reference.safetensors with the reference implementation (pip install safetensors numpy), and
reads a file that caprl wrote if its path is given: python io_safetensors.py [file-written-by-test_io]."""

import pathlib
import struct
import sys

import numpy
from safetensors import TensorSpec, safe_open, serialize


def bf16(values):
    words = numpy.asarray(values, dtype=numpy.float32).view(numpy.uint32)
    return (words >> 16).astype(numpy.uint16)  # the values used are exact in bf16


def tensors():
    def entry(dtype, array):
        return dtype, array

    numbers = numpy.arange(6, dtype=numpy.float32).reshape(2, 3) / 4 - 0.5
    halves = numpy.array([0.0, -0.0, 1.0, -2.5, 65504.0, 6.103515625e-05, 5.9604644775390625e-08, 0.333251953125],
                         dtype=numpy.float16)
    result = {
        "float": entry("float32", numbers),
        "half": entry("float16", halves),
        "bfloat": entry("bfloat16", bf16([1.5, -2.0, 0.15625])),
        "int32": entry("int32", numpy.array([[1], [-2]], dtype=numpy.int32)),
        "int64": entry("int64", numpy.array([1 << 40, -1], dtype=numpy.int64)),
        "uint32": entry("uint32", numpy.array([4294967295], dtype=numpy.uint32)),
        "uint16": entry("uint16", numpy.array([65535], dtype=numpy.uint16)),
        "int16": entry("int16", numpy.array([-3], dtype=numpy.int16)),
        "uint64": entry("uint64", numpy.array([1 << 63], dtype=numpy.uint64)),
        "double": entry("float64", numpy.array([0.1], dtype=numpy.float64)),
        "byte": entry("uint8", numpy.array([7, 8, 9], dtype=numpy.uint8)),
        "int8": entry("int8", numpy.array([-7], dtype=numpy.int8)),
        "scalar": entry("float32", numpy.array(3.25, dtype=numpy.float32)),
        "empty": entry("float32", numpy.zeros((0, 4), dtype=numpy.float32)),
    }
    return result


def main():
    if len(sys.argv) > 1:
        with safe_open(sys.argv[1], "np") as file:
            print("metadata", file.metadata())
            for name in file.keys():
                if file.get_slice(name).get_dtype() != "BF16":  # numpy has no such type
                    print(name, file.get_tensor(name).tolist())
        return
    folder = pathlib.Path(__file__).parent.parent / "data" / "io"
    folder.mkdir(parents=True, exist_ok=True)
    kept = tensors()
    specs = {
        name: TensorSpec(dtype=dtype, shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, (dtype, array) in kept.items()
    }
    content = bytes(serialize(specs, metadata={"format": "pt"}))
    (folder / "reference.safetensors").write_bytes(content)
    length = struct.unpack("<Q", content[:8])[0]
    print(content[8 : 8 + length].decode())


if __name__ == "__main__":
    main()
