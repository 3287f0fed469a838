"""Writes tests/data/policy/qwen3_vl_video_prompts.json: prompts of Qwen3-VL about videos, and about images beside them,
as text: what Qwen3VLProcessor of transformers 4.57, the version that the model was published with, makes of a chat
before it is tokenized.

    pip install torch==2.15.0 torchvision==0.29.2 transformers==4.57.6 pillow==13.0.0 numpy==2.4.6
    python tests/reference/policy_qwen3_vl_video_prompt.py

The template writes <|vision_start|><|video_pad|><|vision_end|> for a video. Up to 5.9, what stands for its groups of
frames, each a time as text and <|vision_start|>, placeholders, <|vision_end|>, takes the place of all three. From 5.10
on it takes that of <|video_pad|> alone, so that one more pair stands around each video:

    pip install torch==2.15.0 torchvision==0.29.2 transformers==5.24.0 pillow==13.0.0 numpy==2.4.6
    python tests/reference/policy_qwen3_vl_video_prompt.py compare

requires a version's prompts to be those of the file with that pair, or to the letter before 5.10.
"""

import json
import pathlib
import re
import sys

import numpy
import transformers
from transformers import Qwen2TokenizerFast, Qwen2VLImageProcessorFast, Qwen3VLProcessor, Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "data" / "policy" / "qwen3_vl_video_prompts.json"

PATCHES = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
IMAGES = {**PATCHES, "size": {"shortest_edge": 1024, "longest_edge": 16384}}
VIDEOS = {**PATCHES, "size": {"shortest_edge": 1024, "longest_edge": 65536}, "fps": 2, "min_frames": 4,
          "max_frames": 768}

# As published for messages of users alone: no system message that was not asked for.
TEMPLATE = ("{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
            "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
            "{% elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
            "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")

# Parts of a message: text, ("image", height, width), or ("video", height, width, frames of the file, its rate, chosen
# frames; where none are named, those that the processor samples).
CASES = [
    [("video", 40, 60, 20, 10.0, None), "Describe the video in detail."],
    [("video", 64, 32, 240, 24000 / 1001, [3, 4, 9, 80, 81]), "What was there?"],  # an odd frame is repeated
    ["Look:\n", ("video", 32, 32, 2, 30.0, [0, 1]), "What is it?"],  # a single group of frames
    [("video", 32, 96, 14, 4.0, [0, 2, 4, 6, 8, 10, 12]), "Say\nwhen."],  # times between two decimals
    [("video", 50, 70, 2000, 29.97, [0, 300, 900, 1999]), "How long is it?"],  # more than a minute
    [("image", 70, 40), "Does it occur in ", ("video", 40, 60, 60, 15.0, None), "?"],
    [("video", 32, 32, 90, 30.0, [0, 30, 60]), " or ", ("image", 32, 64), ("image", 64, 64), " or ",
     ("video", 64, 32, 8, 1.0, [1, 5]), "?"],
]


class Recorder(Qwen2TokenizerFast):
    """A tokenizer that keeps what it is given."""

    def __call__(self, text, **options):
        self.given = text
        return super().__call__(text, **options)


def make_processor():
    path = ROOT / "examples" / "weights" / "judge1" / "tokenizer.json"
    words = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    named = {f"{name}_token": f"<|{word}|>" for name, word in words.items()}
    tokenizer = Recorder(tokenizer_file=str(path), extra_special_tokens=named)
    return Qwen3VLProcessor(Qwen2VLImageProcessorFast(**IMAGES), tokenizer, Qwen3VLVideoProcessor(**VIDEOS),
                            chat_template=TEMPLATE)


def black(*shape):
    return numpy.zeros((*shape, 3), numpy.uint8)


def make_case(processor, parts):
    content, images, videos = [], [], []
    for part in parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
            continue
        kind, height, width, *more = part
        content.append({"type": kind})
        if kind == "image":
            images.append({"size": [height, width]})
            continue
        total, rate, chosen = more
        if chosen is None:
            whole = VideoMetadata(total_num_frames=total, fps=rate)
            chosen = processor.video_processor.sample_frames(whole, fps=VIDEOS["fps"])
        videos.append({"size": [height, width], "total_frames": total, "frames_per_second": rate,
                       "frames": list(map(int, chosen))})
    chat = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    given = {}
    if images:
        given["images"] = [black(*image["size"]) for image in images]
    # Pixels of the chosen frames, said to be those of the whole file.
    metadata = [VideoMetadata(total_num_frames=video["total_frames"], fps=video["frames_per_second"],
                              frames_indices=list(video["frames"])) for video in videos]
    found = processor(text=[text], videos=[black(len(video["frames"]), *video["size"]) for video in videos],
                      video_metadata=metadata, do_sample_frames=False, return_tensors="pt",
                      input_data_format="channels_last", **given)
    for name, media in (("image", images), ("video", videos)):
        for entry, grid in zip(media, found.get(f"{name}_grid_thw", []), strict=True):
            entry["grid"] = grid.tolist()
    [prompt] = processor.tokenizer.given
    patches = sum(numpy.prod(entry["grid"]) for entry in images + videos)
    assert (prompt.count("<|image_pad|>") + prompt.count("<|video_pad|>")) * PATCHES["merge_size"]**2 == patches
    return {"content": content, "images": images, "videos": videos, "prompt": prompt}


GROUPS = re.compile(r"(?:<\d+\.\d seconds><\|vision_start\|>(?:<\|video_pad\|>)+<\|vision_end\|>)+")


def compare(cases):
    """The file's prompts are those of 4.57, `cases` those of this version."""
    before = json.loads(OUT.read_text())["cases"]
    outer = tuple(map(int, transformers.__version__.split(".")[:2])) >= (5, 10)
    for old, new in zip(before, cases, strict=True):
        wrapped = GROUPS.sub(lambda groups: f"<|vision_start|>{groups.group()}<|vision_end|>", old["prompt"])
        assert new == old | {"prompt": wrapped if outer else old["prompt"]}, (old, new)
    print(f"transformers {transformers.__version__}: {len(before)} prompts, " +
          ("with one more pair around each video" if outer else "the same"))


def main():
    processor = make_processor()
    cases = [make_case(processor, parts) for parts in CASES]
    if sys.argv[1:] == ["compare"]:
        compare(cases)
        return
    assert transformers.__version__.startswith("4.57."), transformers.__version__
    OUT.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    OUT.write_text(f'{{"transformers": "{transformers.__version__}", "images": {json.dumps(IMAGES)},\n'
                   f'"videos": {json.dumps(VIDEOS)},\n"cases": [\n{lines}\n]}}\n')


main()
