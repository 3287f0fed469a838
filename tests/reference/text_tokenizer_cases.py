#!/usr/bin/env python3
"""Ids by Hugging Face `tokenizers` (0.23.3) for tests/text/reference_test.cpp.

The committed fixture:
    python3 tests/reference/text_tokenizer_cases.py --assets ../shared/assets --count 300 \
        --write-tokenizers --output tests/data/text/tokenizer_cases.json
As many fresh strings as one likes, without touching the fixture:
    python3 tests/reference/text_tokenizer_cases.py --assets ../shared/assets --count 60000 --seed 7 --output /tmp/cases.json
    CAPRL_TOKENIZER_CASES=/tmp/cases.json build/tests/test_text -tc="*Hugging Face*"

Of each tokenizer: `parse`, ids where special tokens in the text count; `plain`, ids by the same tokenizer without its
added tokens; `decode`, pairs of ids and their text, with and without special tokens.
"""
import argparse
import json
import pathlib
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "text"
QWEN_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")

# Only scalars whose properties no later Unicode version changes: PCRE2 libraries differ in the newest letters.
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) != "Cn"]


def same_nfc(text):
    """Hugging Face's NFC has the data of Unicode 9 or 10: it does not know the marks that came later."""
    return normalizers.NFC().normalize_str(text) == unicodedata.normalize("NFC", text)


MARKS = [c for c in SCALARS if unicodedata.combining(chr(c)) and same_nfc(f"a\u0345{chr(c)}\u0334")]
DECOMPOSING = [c for c in SCALARS if unicodedata.normalize("NFD", chr(c)) != chr(c)
               and same_nfc(unicodedata.normalize("NFD", chr(c)))]
SPACES = [c for c in SCALARS if chr(c).isspace()] + [0x180E, 0x200B, 0xFEFF]
WORDS = """a the small large red green circle square triangle left of above between it's I'm we'll They've he'd DON'T
'S 'Re 'LL 's 't \u2019s '\u017f caption answer A) B. [00:03] 12,500.75 3.14 x=y+1; def f(x): return https://example.org/a?b=c#d _under_score
naïve Ünïcode straße ǅ Ελλάδα Привет мир שלום مرحبا नमस्ते ไทย 日本語 漢字 カタカナ 한국어 ½ ² Ⅷ ٣٤ ﬁ ﬀ Å Å Ω""".split()
EMOJI = "😀 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️ 1️⃣ 🤷🏻‍♀️".split()
SPECIAL = """<|im_start|> <|im_end|> <|endoftext|> <|image_pad|> <|video_pad|> <think> </think> <|im_start <|im_ |>
<|im_end|><|im_end|> <<|im_end|>> <|IM_END|> <|im_end |> im_end <tool_call> <|vision_start|><|image_pad|><|vision_end|>""".split()
ODD = ["\0", "\ufffd", "\ufeff", "\uffff", "\U0010ffff", "\ue000", "\u202e", "\u00ad", "\x7f", "\x85", "\\", '"', "Ġ", "Ċ", "Ā", "ġ"]


def piece(rng):
    kind = rng.randrange(16)
    few = range(rng.randint(1, 5))
    if kind < 4:
        return " ".join(rng.choice(WORDS) for _ in few)
    if kind == 4:
        return "".join(chr(rng.choice(SCALARS)) for _ in few)
    if kind == 5:
        return "".join(chr(rng.choice(SPACES)) for _ in few)
    if kind == 6:
        return rng.choice([" ", "\n", "\t", "\r\n", "\n\n", " \n", "\r"]) * rng.randint(1, 6)
    if kind == 7:
        return str(rng.randrange(10 ** rng.randint(1, 12)))
    if kind == 8:
        return rng.choice(EMOJI)
    if kind == 9:
        return rng.choice(SPECIAL)
    if kind == 10:
        return rng.choice("aeoAué한ᄀ가") + "".join(chr(rng.choice(MARKS)) for _ in few)
    if kind == 11:
        return "".join(chr(rng.choice([rng.randint(0x1100, 0x11FF), rng.randint(0xAC00, 0xD7A3)])) for _ in few)
    if kind == 12:
        return unicodedata.normalize(rng.choice(["NFD", "NFC"]), "".join(chr(rng.choice(DECOMPOSING)) for _ in few))
    if kind == 13:
        return rng.choice(ODD)
    if kind == 14:
        return "".join(rng.choice("!?.,;:-_'\"()[]{}<>|/\\@#$%^&*~`+=") for _ in few)
    return rng.choice(["ab", "-", "=", "a", "ha", "é", "漢", "e\u0301", " x", "\n "]) * rng.randint(1, 60)


def texts(count, seed):
    rng = random.Random(seed)
    fixed = ["", " ", "\n", "a", "Describe the image in detail.", "The answer is", " A", "A"]
    fixed += [w for w in WORDS + EMOJI + SPECIAL + ODD]
    fixed += ["x" * 300, " " * 100 + "x", "\n" * 77, "e\u0301" * 200, "ᄒ" + "ᅡ" + "ᆫ", "0123456789" * 9, "lo" * 200 + "l"]
    made = ["".join(piece(rng) for _ in range(rng.randint(1, 7))) for _ in range(count)]
    kept = [t for t in made if same_nfc(t)]
    print(f"{len(made) - len(kept)} of {len(made)} strings left out: marks that Hugging Face's NFC does not know")
    return (fixed + kept)[:count]


def small_tokenizer(vocabulary, pre_tokenizer, normalizer, added, seed, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    rng = random.Random(seed)
    tokenizer.train_from_iterator([" ".join(rng.choice(WORDS) for _ in range(30)) for _ in range(300)], trainer)
    tokenizer.add_tokens(added)
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", normalized=False, special=True)])
    return tokenizer


def write_tokenizers():
    """Small tokenizers for what Qwen's file does not have."""
    added = [AddedToken("<think>", normalized=False), AddedToken("cafe\u0301", normalized=True),
             AddedToken("circle", normalized=True), AddedToken("<think", normalized=False), AddedToken("\u212b", normalized=False)]
    split = pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated")
    qwen = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    small = {
        "small_added": small_tokenizer(400, qwen, normalizers.NFC(), added, 1),
        "small_gpt2": small_tokenizer(330, pre_tokenizers.ByteLevel(add_prefix_space=True), None, [], 2),
        "small_two_splits": small_tokenizer(
            330, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
                                          pre_tokenizers.ByteLevel(add_prefix_space=False)]),
            normalizers.Sequence([normalizers.NFC()]), added[:2], 3),
    }
    for name, tokenizer in small.items():
        tokenizer.save(str(DATA / f"{name}.json"), pretty=False)
    file = json.loads((DATA / "small_added.json").read_text())
    file["model"]["ignore_merges"] = True
    vocabulary = file["model"]["vocab"]
    base = [m for m in file["model"]["merges"] if vocabulary["".join(m)] < 300]
    file["model"]["merges"] = [" ".join(m) for m in base]  # the old spelling; later tokens only as whole pieces
    gaps = json.loads((DATA / "small_gpt2.json").read_text())  # as SmolLM2's: no token for some bytes, and no unknown one
    missing = set("\u0100\u0101\u0108\u00c2\u00b5\u00ffQ8n")
    kept = [t for t in sorted(gaps["model"]["vocab"], key=gaps["model"]["vocab"].get) if not missing & set(t)]
    gaps["model"]["vocab"] = {t: i for i, t in enumerate(kept)}
    for i, added in enumerate(gaps["added_tokens"]):
        added["id"] = len(kept) + i
    gaps["model"]["merges"] = [m for m in gaps["model"]["merges"] if not missing & set("".join(m))]
    (DATA / "small_gaps.json").write_text(json.dumps(gaps, ensure_ascii=False, separators=(",", ":")))
    (DATA / "small_ignore_merges.json").write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")))


def plain(path):
    file = json.loads(path.read_text())
    file["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(file))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--assets", type=pathlib.Path, required=True)
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--write-tokenizers", action="store_true")
    arguments.add_argument("--output", type=pathlib.Path, required=True)
    settings = arguments.parse_args()
    if settings.write_tokenizers:
        DATA.mkdir(parents=True, exist_ok=True)
        write_tokenizers()
    cases = texts(settings.count, settings.seed)
    result = {"texts": cases, "nfc": [unicodedata.normalize("NFC", t) for t in cases], "tokenizers": {}}
    paths = {"qwen3": settings.assets / "qwen3-tokenizer" / "tokenizer.json"}
    paths |= {p.stem: p for p in sorted(DATA.glob("small_*.json"))}
    for name, path in paths.items():
        tokenizer = Tokenizer.from_file(str(path))
        rng = random.Random(settings.seed)
        ids = sorted(tokenizer.get_vocab(with_added_tokens=True).values())
        # Hugging Face decodes added tokens as if they were spelled in the byte-level alphabet, so "caf\u00e9" breaks.
        ids = [i for i in ids if all(c.isascii() or i < 300 for c in tokenizer.id_to_token(i)) or name == "qwen3"]
        sequences = [[rng.choice(ids if rng.random() < 0.8 else ids[-30:]) for _ in range(rng.randint(1, 12))]
                     for _ in range(min(settings.count, 2000) // 5)]
        entry = {"parse": [e.ids for e in tokenizer.encode_batch(cases, add_special_tokens=False)],
                 "decode": [[s, tokenizer.decode(s, skip_special_tokens=False), tokenizer.decode(s, skip_special_tokens=True)]
                            for s in sequences]}
        entry["plain"] = [e.ids for e in plain(path).encode_batch(cases, add_special_tokens=False)]
        result["tokenizers"][name] = entry
    settings.output.write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


main()
