"""Writes tests/data/media/qwen_processors.json: what Hugging Face's processors of Qwen2.5-VL and Qwen3-VL make of
pictures and videos that a formula gives.

    pip install torch==2.15.0 torchvision==0.29.2 transformers==5.24.0 pillow==13.0.0 numpy==2.4.6
    python tests/reference/media_qwen_processors.py

`pixels` of a case are a digest of all values and a few of them.
"""

import json
import pathlib
import random
import types

import numpy
import torch
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3VLVideoProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as smart_resize_video
from transformers.video_utils import VideoMetadata

QWEN2_5 = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
           "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
QWEN3 = {"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16, "temporal_patch_size": 2,
         "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
QWEN3_VIDEO = {**QWEN3, "size": {"longest_edge": 25165824, "shortest_edge": 4096}}


def picture(height, width, frame=0):
    """[height, width, 3] bytes: smooth parts, and edges where the remainder wraps."""
    y, x, c = numpy.ogrid[0:height, 0:width, 0:3]
    return ((7 * x + 13 * y + 31 * c + 17 * frame + x * y // 5 + x * x // 7) % 256).astype(numpy.uint8)


def summary(values):
    """A digest of the bits, in order, modulo 2^64; and some values to look at where it differs."""
    flat = values.contiguous().numpy().astype(numpy.float32).reshape(-1)
    place = numpy.arange(1, flat.size + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    digest = ((flat.view(numpy.uint32).astype(numpy.uint64) + numpy.uint64(1)) * place).sum(dtype=numpy.uint64)
    return {"digest": f"{int(digest):016x}", "some": [round(float(flat[i * flat.size // 6]), 6) for i in range(6)]}


def budget(least, most):
    return {"size": {"shortest_edge": least, "longest_edge": most}}


def image_cases():
    sizes2 = [(37, 53), (100, 300), (28, 56), (56, 84), (5, 640), (640, 5), (1, 200), (720, 40), (200, 17), (1, 1),
              (33, 31)]
    sizes3 = [(37, 53), (64, 512), (9, 1500), (301, 411)]
    cases = [(QWEN2_5, size) for size in sizes2] + [(QWEN3, size) for size in sizes3]
    narrow = {key: value for key, value in QWEN2_5.items() if key not in ("min_pixels", "max_pixels")}
    cases += [({**narrow, **budget(784, 784)}, (37, 53)), ({**narrow, **budget(4 * 784, 16 * 784)}, (480, 640)),
              ({**narrow, **budget(784, 2 * 784)}, (3, 500)), ({**narrow, **budget(400 * 784, 600 * 784)}, (37, 53)),
              ({**QWEN3, **budget(1024, 8192), "resample": 2}, (150, 70)), ({}, (60, 90)),
              ({"patch_size": 8, "merge_size": 1, "temporal_patch_size": 1, **budget(64, 4096)}, (33, 47)),
              ({"patch_size": 4, "merge_size": 3, "temporal_patch_size": 3, **budget(144, 4096)}, (33, 47))]
    for settings, (height, width) in cases:
        processor = Qwen2VLImageProcessor(**settings)
        found = processor(images=[picture(height, width)], input_data_format="channels_last", return_tensors="pt")
        yield {"settings": settings, "size": [height, width], "grid": found["image_grid_thw"][0].tolist(),
               "pixels": summary(found["pixel_values"])}


def video_cases():
    small2, small3 = budget(4 * 784, 12 * 784), budget(4096, 40000)
    narrow = {key: value for key, value in QWEN2_5.items() if key not in ("min_pixels", "max_pixels")}
    cases = [(Qwen2VLVideoProcessor, settings, frames, size) for settings, frames, size in [
        (QWEN2_5, 1, (37, 53)), (QWEN2_5, 3, (90, 61)), ({**narrow, **small2}, 5, (120, 200)), ({}, 2, (40, 50)),
        ({**narrow, **small2, "cap_pixels_per_frame": True, "max_video_tokens": 40}, 7, (120, 200)),
        ({**narrow, **small2, "cap_pixels_per_frame": True, "max_video_tokens": 10}, 8, (120, 200)),
        ({**narrow, **small2, "cap_pixels_per_frame": True}, 4, (61, 50))]]
    cases += [(Qwen3VLVideoProcessor, settings, frames, size) for settings, frames, size in [
        (QWEN3_VIDEO, 2, (37, 53)), (QWEN3_VIDEO, 5, (90, 61)), ({**QWEN3, **small3}, 5, (120, 200)),
        ({**QWEN3, **small3}, 7, (200, 40)), ({**QWEN3, **small3}, 12, (120, 200)), ({**QWEN3, **small3}, 3, (20, 300)),
        ({**QWEN3, **small3, "cap_pixels_per_frame": True, "max_video_tokens": 4}, 4, (120, 200)),
        ({**QWEN3, **small3, "cap_pixels_per_frame": True, "max_video_tokens": 4}, 12, (120, 200)), ({}, 4, (64, 96)),
        ({**QWEN3, **budget(8192, 40000), "cap_pixels_per_frame": True, "max_video_tokens": 1}, 4, (120, 200))]]
    for kind, settings, frames, (height, width) in cases:
        video = numpy.stack([picture(height, width, frame) for frame in range(frames)])
        settings = {"cap_pixels_per_frame": False, **settings}
        found = kind(**settings)(videos=[video], do_sample_frames=False, input_data_format="channels_last",
                                 return_tensors="pt")
        yield {"class": kind.__name__, "settings": settings, "frames": frames, "size": [height, width],
               "grid": found["video_grid_thw"][0].tolist(), "pixels": summary(found["pixel_values_videos"])}


def size_cases(draw):
    """[frames or 0 for an image, height, width, factor, least, most, resized height and width, 0 and 0: refused]."""
    for case in range(240):
        longest = 10 ** draw.uniform(0, 3.7)
        height, width = (max(1, int(longest * draw.uniform(0, 1) ** draw.choice((1, 6)))) for _ in range(2))
        factor = draw.choice((28, 32))
        least = factor * factor * draw.randint(1, 40)
        most = least * draw.randint(1, 60)
        frames = draw.choice((0, 2, 3, 5, 9, 10, 31, 768))
        if case % 3 == 0:  # about what the nearest multiples have
            most = max(least, int(max(height, factor) * max(width, factor) * draw.uniform(0.7, 1.3)))
        try:
            size = (smart_resize_video(frames, height, width, 2, factor, least, most * frames) if frames
                    else smart_resize(height, width, factor, least, most))
        except ValueError:
            size = (0, 0)
        yield [frames, height, width, factor, least, most * max(frames, 1), *map(int, size)]


def frame_cases():
    """[class, frames, rate, fps, min_frames, max_frames, num_frames or 0, indices]."""
    videos = [(100, 25.0), (240, 24000 / 1001), (2000, 25.0), (20, 25.0), (3, 25.0), (50, 10.0), (37, 29.97), (7, 1.0),
              (900, 30.0), (5, 0.5), (2, 30.0), (60, 15.0)]
    for total, rate in videos:
        for fps, least, most, chosen in [(2, 4, 768, 0), (1, 4, 12, 0), (4.5, 6, 20, 0), (None, 4, 768, 5),
                                         (None, 4, 768, 7), (None, 4, 768, 22)]:
            metadata = VideoMetadata(total_num_frames=total, fps=rate)
            for kind in (Qwen2VLVideoProcessor, Qwen3VLVideoProcessor):
                processor = kind(min_frames=least, max_frames=most, fps=fps)
                if chosen >= total:
                    continue  # refused by the one, repeated by the other
                found = processor.sample_frames(metadata, num_frames=chosen or None, fps=fps,
                                                **({"temporal_patch_size": 2} if kind is Qwen2VLVideoProcessor else {}))
                if len(found) and found[-1] < total:  # past the end by rounding: an IndexError there
                    yield [kind.__name__, total, rate, fps or 0, least, most, chosen, list(map(int, found))]


def time_cases():
    """[indices, total frames, rate, seconds for each patch in time by Qwen2.5-VL, what Qwen3-VL's prompt tells]."""
    video_processor = Qwen3VLVideoProcessor()
    for indices, total, rate in [([0, 12, 25, 37], 50, 25.0), ([0, 6, 12, 18, 24], 30, 24.0), ([0], 1, 30.0),
                                 ([0, 30, 60], 90, 30.0), ([3, 4, 9, 80, 81], 240, 24000 / 1001),
                                 ([0, 2, 4, 6, 8, 10, 12], 14, 4.0), (list(range(0, 20000, 1999)), 20000, 29.97)]:
        metadata = VideoMetadata(total_num_frames=total, fps=rate, frames_indices=list(indices))
        seconds = 2 / metadata.sampled_fps
        processor = types.SimpleNamespace(
            video_processor=video_processor, vision_start_token="", vision_end_token="", video_token="",
            _calculate_timestamps=lambda *given: Qwen3VLProcessor._calculate_timestamps(None, *given))
        grid = torch.tensor([[(len(indices) + 1) // 2, 4, 4]])
        told = Qwen3VLProcessor.replace_video_token(
            processor, {"video_grid_thw": grid, "video_metadata": [metadata]}, 0)
        yield [indices, total, rate, seconds, told]


def main():
    draw = random.Random(5)
    written = {"images": list(image_cases()), "videos": list(video_cases()), "sizes": list(size_cases(draw)),
               "frames": list(frame_cases()), "times": list(time_cases())}
    path = pathlib.Path(__file__).parent.parent / "data" / "media" / "qwen_processors.json"
    lines = [f'"{name}": [\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]"
             for name, cases in written.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path.stat().st_size, {name: len(cases) for name, cases in written.items()})


main()
