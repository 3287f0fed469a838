#!/usr/bin/env python3
"""Writes include/caprl/text/unicode_tables.hpp: the data that NFC needs, from Python's unicodedata.

    python3 tests/reference/text_unicode_tables.py include/caprl/text/unicode_tables.hpp

Numbers are written in base 32, least significant digit first; the characters '?' + 0..31 are last digits and
'?' + 32..63 are digits that are followed by another. Signed numbers n are written as 2n or -2n - 1.
"""
import sys
import unicodedata

WIDTH = 100


def number(n):
    text = ""
    while n >= 32:
        text += chr(ord("?") + 32 + n % 32)
        n //= 32
    return text + chr(ord("?") + n)


def signed(n):
    return number(2 * n if n >= 0 else -2 * n - 1)


def scalars():
    return (c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)


def decompositions():
    """For each scalar with a canonical decomposition: its distance from the one before; twice the number of parts
    less one, plus 1 if the parts compose to it again; and the parts, each as the difference from that part before."""
    text, last, parts_before = "", 0, [0, 0]
    for c in scalars():
        fields = unicodedata.decomposition(chr(c)).split()
        if not fields or fields[0].startswith("<"):
            continue
        parts = [int(field, 16) for field in fields]
        composes = len(parts) == 2 and unicodedata.normalize("NFC", chr(c)) == chr(c)
        text += number(c - last) + number(2 * (len(parts) - 1) + composes)
        for i, part in enumerate(parts):
            text += signed(part - parts_before[i])
            parts_before[i] = part
        last = c
    return text


def combining_classes():
    """Runs of scalars of equal combining class above 0: distance from the end of the run before, length, class."""
    text, last, run = "", 0, None
    for c in list(scalars()) + [0x110000]:
        value = unicodedata.combining(chr(c)) if c < 0x110000 else 0
        if run and (value != run[2] or c != run[0] + run[1]):
            text += number(run[0] - last) + number(run[1]) + number(run[2])
            last, run = run[0] + run[1], None
        if value:
            run = (run[0], run[1] + 1, value) if run else (c, 1, value)
    return text


def literal(text):
    assert '"' not in text and ")" not in text
    lines = [text[i : i + WIDTH] for i in range(0, len(text), WIDTH)]
    return "\n".join(f'    R"({line})"' for line in lines)


def main():
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write(f"""#pragma once

#include <string_view>

namespace caprl::detail {{

// Made by tests/reference/text_unicode_tables.py (which explains the format) from Unicode {unicodedata.unidata_version}; not to be edited.
// clang-format off
inline constexpr std::string_view canonical_decompositions =
{literal(decompositions())};

inline constexpr std::string_view combining_classes =
{literal(combining_classes())};
// clang-format on

}}  // namespace caprl::detail
""")


main()
