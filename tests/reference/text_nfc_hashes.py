#!/usr/bin/env python3
"""For tests/text/unicode_test.cpp: a hash (FNV-1a) for each plane of Unicode over the NFC of strings with each scalar.

    python3 tests/reference/text_nfc_hashes.py > tests/data/text/nfc_hashes.inc
"""
import unicodedata

for plane in range(17):
    value = 2166136261
    for c in range(plane << 16, (plane + 1) << 16):
        if 0xD800 <= c < 0xE000:
            continue
        s = chr(c)
        for byte in unicodedata.normalize("NFC", "a\u0323" + s + "\u0301\uac00" + s + s + "\u0327").encode():
            value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    print(f"0x{value:08X}u,")
