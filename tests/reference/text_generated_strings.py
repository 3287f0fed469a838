#!/usr/bin/env python3
"""Hashes of ids and texts by Hugging Face `tokenizers` (0.23.3) for tests/text/generated_strings_test.cpp: 200,000
strings over all Unicode planes through Qwen3's tokenizer.

    python3 tests/reference/text_generated_strings.py --assets ../shared/assets --write tests/data/text/generated_strings.json
Where the test names a block that differs, what Hugging Face gives for its strings:
    python3 tests/reference/text_generated_strings.py --assets ../shared/assets --block 17

String i is a function of i alone, written here and, the same, in the test; what it is put together from is in the
fixture and in tests/data/text/collected_lines.txt. `strings` takes no part of this machine but the fixture, so that
other versions of Python make the same ones.
"""
import argparse
import json
import os
import pathlib
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "text"
BLOCKS, BLOCK = 402, 500
MASK = (1 << 64) - 1
WORDS = """a the small large red green circle square triangle left of above between caption answer naïve Ünïcode straße
ǅ İstanbul Ελλάδα ΣΊΣΥΦΟΣ Привет мир שלום مرحبا नमस्ते क्षत्रिय বাংলা தமிழ் ไทย ລາວ မြန်မာ ភាសា አማርኛ ᏣᎳᎩ ქართული հայերեն 日本語 漢字 カタカナ
ひらがな 한국어 𝔘𝔫𝔦 𐌰𐌱 𠮷野家 ½ ² Ⅷ ٣٤ ﬁ ﬀ Å Å Ω _under_score camelCase HTTPServer""".split()
CONTRACTIONS = "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'Ve 'M 'LL 'D 'Ll 'rE \u2019s '\u017f 'x ''s 'sx 'lL 'v 'r 'l ' '\u212a".split()
CODE = ["def f(x):\n    return x**2\n", "for (int i = 0; i < n; ++i) {\n\t", "}\r\n\r\n", "a[i]->b.c()", "// ", "/* */", "#include <",
        "https://example.org/a?b=c#d", "x=y+1;", "<br/>", "{\"key\": [1, 2.5e-3]}", "$\\frac{1}{2}$", "\\n", "--flag=", "0x1F", "&&", "::",
        "!=", "=>", "```", "| --- |", "...", "???", "!!\n", ").\n\n", " =\n", "[00:03]", "A)", "12,500.75"]
EMOJI = "😀 👍 👍🏽 👨 👩 👧 👦 🏳️ 🌈 🇩 🇪 ❤️ 1️⃣ 🤷🏻 ♀️ 🧑 💻 🏴 󠁧 󠁢 󠁿".split() + ["\u200d", "\ufe0f", "\ufe0e", "\U0001f3fd"]
SPACES = [chr(c) for c in (*range(9, 14), 32, 0x1C, 0x1D, 0x1E, 0x1F, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x2010), 0x2028,
                           0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)] + [" ", "\n", "\r\n", "\t", "  ", " \n"] * 4
ODD = [chr(c) for c in (*range(0, 32), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x200E, 0x202E, 0x2066, 0xFFFC, 0xFFFD, 0xE000, 0x10FFFF)]
ODD += ["\\", '"', "Ġ", "Ċ", "Ā", "ġ"]
DIGIT_ZEROS = [0x30, 0x30, 0x30, 0x660, 0x966, 0xE50, 0xFF10, 0x1D7CE]
BASES = [ord(c) for c in "aeoAuLé한가ᄀαאबक"] + [0x1100, 0x1161, 0x11A8, 0x0DD9, 0x1B05, 0x11131, 0x1D157]
# First and last of stretches from which mixtures are drawn: scripts, and what NFC changes.
STRETCHES = [(0x21, 0x7E), (0x41, 0x7A), (0xA1, 0x17F), (0x180, 0x24F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x5F4),
             (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xE01, 0xE5B), (0xF00, 0xFDA),
             (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x1780, 0x17FF), (0x1E00, 0x1EFF),
             (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2190, 0x22FF), (0x2460, 0x24FF), (0x2ADC, 0x2ADC),
             (0x3000, 0x30FF), (0x3400, 0x3500), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xAC00, 0xD7A3), (0xE000, 0xF8FF),
             (0xF900, 0xFAD9), (0xFB00, 0xFB4F), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0x10330, 0x1034A),
             (0x11080, 0x110C1), (0x1D100, 0x1D1E8), (0x1D400, 0x1D7FF), (0x1F100, 0x1F1FF), (0x1F300, 0x1FAFF),
             (0x20000, 0x2A6DF), (0x2F800, 0x2FA1D), (0x30000, 0x3134A), (0xE0100, 0xE01EF)]


def mix(value):
    """The output function of SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


class Random:
    def __init__(self, stream):
        self.state = mix(stream)

    def below(self, count):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        return mix(self.state) % count

    def of(self, things):
        return things[self.below(len(things))]


class Strings:
    """Makes string i."""

    def __init__(self, material, lines):
        self.material, self.lines = material, lines
        self.left_out = set()
        for first, last in material["left_out"]:
            self.left_out.update(range(first, last + 1))

    def __call__(self, number):
        rng = Random(number)
        text = ""
        for _ in range(1 + rng.below(6)):
            text += self.piece(rng)
        return text

    def scalar(self, rng, first, count):
        while True:
            c = first + rng.below(count)
            if not 0xD800 <= c <= 0xDFFF and c not in self.left_out:
                return chr(c)

    def many(self, rng, most, part):
        text = ""
        for _ in range(1 + rng.below(most)):
            text += part()
        return text

    def piece(self, rng):
        material, kind = self.material, rng.below(18)
        if kind == 0:
            plane = rng.below(17)
            return self.many(rng, 6, lambda: self.scalar(rng, plane << 16, 0x10000))
        if kind == 1:
            return self.many(rng, 8, lambda: self.from_stretch(rng, rng.of(material["stretches"])))
        if kind == 2:
            stretch = rng.of(material["stretches"])
            return self.many(rng, 8, lambda: self.from_stretch(rng, stretch))
        if kind == 3:
            base = chr(rng.of(material["bases"]))
            return base + self.many(rng, 5, lambda: chr(rng.of(material["marks"])))
        if kind == 4:
            return self.many(rng, 6, lambda: rng.of(material["spaces"]))
        if kind == 5:
            space = rng.of(material["spaces"])
            return self.many(rng, 12, lambda: space)
        if kind == 6:
            zero = rng.of(material["digit_zeros"])
            return self.many(rng, 14, lambda: chr(zero + rng.below(10)))
        if kind == 7:
            return self.many(rng, 3, lambda: rng.of(material["words"]) + rng.of(material["contractions"]))
        if kind == 8:
            return self.many(rng, 6, lambda: rng.of(material["words"]) + " ")
        if kind == 9:
            return self.many(rng, 3, lambda: rng.of(material["code"]))
        if kind == 10:
            return rng.of(material["added"])
        if kind == 11:
            return self.many(rng, 4, lambda: rng.of(material["added"]))
        if kind == 12:  # the beginning or the end of an added token
            token = rng.of(material["added"])
            cut = rng.below(len(token))
            return token[:cut] if rng.below(2) == 0 else token[cut:]
        if kind == 13:  # an added token with one character changed
            token = rng.of(material["added"])
            place = rng.below(len(token))
            return token[:place] + rng.of(material["spaces"]) + token[place + rng.below(2):]
        if kind == 14:
            return self.long_word(rng)
        if kind == 15:
            return self.many(rng, 6, lambda: rng.of(material["emoji"]))
        if kind == 16:
            return self.many(rng, 4, lambda: rng.of(material["odd"]))
        return rng.of(self.lines)

    def from_stretch(self, rng, stretch):
        return self.scalar(rng, stretch[0], stretch[1] - stretch[0] + 1)

    def long_word(self, rng):
        most = 400 if rng.below(8) == 0 else 40
        if rng.below(2) == 0:
            part = rng.of(self.material["words"])
            return self.many(rng, most, lambda: part)
        return self.many(rng, most, lambda: chr(97 + rng.below(26)))


def ids_to_decode(number, vocabulary, added):
    """Ids in no order, of which many are parts of characters and a quarter added tokens."""
    rng = Random(number)
    ids = []
    for _ in range(1 + rng.below(12)):
        ids.append(vocabulary + rng.below(added) if rng.below(4) == 0 else rng.below(vocabulary if rng.below(2) else 256))
    return ids


def ranges(numbers):
    found = []
    for n in sorted(numbers):
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return found


def material(added):
    """What strings are made of. Left out are scalars that Unicode 14 has not assigned in planes 0 to 3, since PCRE2
    libraries differ in the newest letters, and those of which Hugging Face's NFC (Unicode 10) does not know."""
    from tokenizers import normalizers
    hugging_face = normalizers.NFC()
    same = lambda text: hugging_face.normalize_str(text) == unicodedata.normalize("NFC", text)
    left_out = set()
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            continue
        nonchar = c & 0xFFFE == 0xFFFE or 0xFDD0 <= c <= 0xFDEF
        if c < 0x40000 and not nonchar and unicodedata.category(chr(c)) == "Cn":
            left_out.add(c)
        apart = unicodedata.normalize("NFD", chr(c))
        if not same(f"a\u0345{chr(c)}\u0334") or not same(apart):
            left_out.update([c, *map(ord, apart[1:])])
    marks = [c for c in range(0x110000) if c not in left_out and not 0xD800 <= c <= 0xDFFF
             and unicodedata.combining(chr(c))]
    return {"words": WORDS, "contractions": CONTRACTIONS, "code": CODE, "emoji": EMOJI, "spaces": SPACES, "odd": ODD,
            "added": added, "digit_zeros": DIGIT_ZEROS, "bases": BASES, "stretches": STRETCHES, "marks": marks,
            "left_out": ranges(left_out)}


class Hash:
    def __init__(self):
        self.value = 0

    def add(self, values):
        value = self.value
        for item in values:
            value = (value ^ item + 1) * 0x9E3779B97F4A7C15 & MASK
            value ^= value >> 29
        self.value = value

    def add_list(self, values):
        self.add([len(values)])
        self.add(values)


class Reference:
    def __init__(self, path):
        from tokenizers import Tokenizer
        file = json.loads(path.read_text(encoding="utf-8"))
        self.added = [token["content"] for token in file["added_tokens"]]
        self.vocabulary = len(file["model"]["vocab"])
        self.parse = Tokenizer.from_str(json.dumps(file))
        file["added_tokens"] = []
        self.plain = Tokenizer.from_str(json.dumps(file))

    def encode(self, tokenizer, texts):
        return [e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def block(self, make, number):
        """Strings of a block, ids with added tokens and without, texts of the ids, and texts of ids in no order."""
        numbers = range(number * BLOCK, (number + 1) * BLOCK)
        texts = [make(i) for i in numbers]
        parsed, plain = self.encode(self.parse, texts), self.encode(self.plain, texts)
        decoded = self.parse.decode_batch(parsed, skip_special_tokens=False)
        drawn = [ids_to_decode(i, self.vocabulary, len(self.added)) for i in numbers]
        kept, skipped = (self.parse.decode_batch(drawn, skip_special_tokens=s) for s in (False, True))
        return texts, parsed, plain, decoded, kept, skipped

    def hashes(self, make, number):
        _, parsed, plain, *decoded = self.block(make, number)
        ids, texts = Hash(), Hash()
        for a, b in zip(parsed, plain):
            ids.add_list(a)
            ids.add_list(b)
        for group in zip(*decoded):
            for text in group:
                texts.add_list(text.encode())
        return [ids.value, texts.value]


def strings():
    """The strings that the fixture describes."""
    fixture = json.loads((DATA / "generated_strings.json").read_text(encoding="utf-8"))
    return Strings(fixture["material"], (DATA / "collected_lines.txt").read_text(encoding="utf-8").split("\n")[:-1])


def write(reference, path):
    made = material(reference.added)
    lines = (DATA / "collected_lines.txt").read_text(encoding="utf-8").split("\n")[:-1]
    make = Strings(made, lines)
    from tokenizers import normalizers
    hugging_face = normalizers.NFC()
    for i in range(BLOCKS * BLOCK):
        text = make(i)
        if hugging_face.normalize_str(text) != unicodedata.normalize("NFC", text):
            raise SystemExit(f"string {i}: Hugging Face's NFC is not Unicode 14's; leave out what makes it: {ascii(text)}")
    result = {"block": BLOCK, "material": made, "hashes": [reference.hashes(make, b) for b in range(BLOCKS)]}
    path.write_text(json.dumps(result, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--assets", type=pathlib.Path, required=True)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=pathlib.Path)
    what.add_argument("--block", type=int)
    settings = arguments.parse_args()
    reference = Reference(settings.assets / "qwen3-tokenizer" / "tokenizer.json")
    if settings.write is not None:
        return write(reference, settings.write)
    for i, parts in enumerate(zip(*reference.block(strings(), settings.block))):
        print(settings.block * BLOCK + i, *map(ascii, parts), sep="\n  ")


if __name__ == "__main__":
    main()
