"""Writes tests/data/judge/time_stamps.json: the published format reward of captions, with stamps found by Python's re.

    python tests/reference/judge_time_stamps.py
"""

import json
import pathlib
import random
import re

STAMP = re.compile(r"\[(\d{1,3}):(\d{2})(?:\s*-\s*(\d{1,3}):(\d{2}))?\]", re.ASCII)
PIECES = ["[", "]", ":", "-", " - ", "0", "00", "7", "59", "60", "123", "600", "[00:01]", "[00:05 - 00:09]", "[1:30]",
          "[00:09 - 00:05]", "[00:60]", "[600:00]", " a ball ", "[[00:02]]", "\n", "[00:03-00:04]"]  # fmt: skip


def reward(text):
    found, starts = 0, []
    for match in STAMP.finditer(text):
        found += 1
        times = [int(group) for group in match.groups(default=-1)]
        start, end = times[:2], times[2:] if times[2] >= 0 else times[:2]
        if max(start[1], end[1]) < 60 and max(start[0], end[0]) < 600 and start <= end:
            starts.append(start)
    if not starts:
        return found, 0.0
    v, c, o = len(starts) / found, min(1.0, len(starts) / 3), float(starts == sorted(starts))
    return found, 0.45 * c * v + 0.25 * v + 0.30 * o * v


def main():
    draw = random.Random(6)
    texts = ["", "no stamps", "[00:00] [00:00] [00:00]", "[00:00] a [00:04 - 00:06] b [01:02] c"]
    texts += ["".join(draw.choice(PIECES) for _ in range(draw.randint(3, 14))) for _ in range(120)]
    cases = [[text, *reward(text)] for text in texts]
    path = pathlib.Path(__file__).parent.parent / "data" / "judge" / "time_stamps.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(cases, separators=(",", ":")).replace("],[", "],\n[") + "\n")


main()
