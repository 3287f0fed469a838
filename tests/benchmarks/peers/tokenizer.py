"""Encodes the text named by CAPRL_BENCHMARK_TEXT with Hugging Face tokenizers on one thread; see serve.py's protocol."""
import os
import pathlib

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import tokenizers  # noqa: E402 (it reads the variables above)

TEXT = pathlib.Path(os.environ["CAPRL_BENCHMARK_TEXT"]).read_bytes().decode()


def encode(mode):
    tokenizer = tokenizers.Tokenizer.from_file(os.environ["CAPRL_BENCHMARK_TOKENIZER"])
    texts = [TEXT] if mode == "whole" else TEXT.split("\n")[:-1]

    def run():
        found = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return {"tokens": sum(map(len, found))}

    return run


CASES = {"encode": encode}


def about():
    return {"tokenizers": tokenizers.__version__, "MB": len(TEXT.encode()) * 1e-6}
