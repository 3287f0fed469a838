"""Makes tests/data/media: small JPEG and PNG files, and what Pillow and numpy make of them.

    pip install pillow numpy
    python3 tests/reference/media_fixtures.py

The files were made with Pillow 13.0 and numpy 2.4. `.rgb` files are raw [height, width, 3] bytes.
"""

import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps

folder = pathlib.Path(__file__).parent.parent / "data" / "media"
folder.mkdir(parents=True, exist_ok=True)


def picture(height, width, seed=0):
    """Smooth colours with a few hard edges, the same on every machine."""
    y, x = numpy.mgrid[0:height, 0:width]
    red = 127 + 120 * numpy.sin((x + seed) / 5.0)
    green = 255 * (y / height)
    blue = numpy.where((x // 6 + y // 4) % 2 == 0, 230, 20)
    return numpy.stack([red, green, blue], axis=-1).astype(numpy.uint8)


def write_raw(name, image):
    (folder / name).write_bytes(numpy.asarray(image).tobytes())


def expect(name):
    """What a reader should give: oriented, then RGB."""
    with Image.open(folder / name) as image:
        shown = ImageOps.exif_transpose(image).convert("RGB")
    write_raw(name + ".rgb", shown)
    print(name, image.mode, shown.size)


base = Image.fromarray(picture(20, 31))

# JPEG: smooth content, since decoders differ at sharp colour edges.
y, x = numpy.mgrid[0:24, 0:35]
smooth = Image.fromarray(
    numpy.stack([60 + 4 * x, 40 + 6 * y, 200 - 2 * x - 2 * y], axis=-1).astype(numpy.uint8))
smooth.save(folder / "baseline.jpg", quality=92)
smooth.save(folder / "progressive.jpg", quality=92, progressive=True)
smooth.convert("L").save(folder / "grey.jpg", quality=92)
smooth.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth.save(folder / f"exif{orientation}.jpg", quality=92, exif=exif)

# PNG: every kind of pixel, exact.
base.save(folder / "rgb.png")
alpha = numpy.dstack([picture(20, 31), numpy.arange(31, dtype=numpy.uint8)[None, :].repeat(20, 0) * 8])
Image.fromarray(alpha, "RGBA").save(folder / "rgba.png")
base.convert("L").save(folder / "grey.png")
Image.fromarray(alpha, "RGBA").convert("LA").save(folder / "grey_alpha.png")
base.convert("P", palette=Image.Palette.ADAPTIVE, colors=17).save(folder / "palette.png")
base.convert("P", palette=Image.Palette.ADAPTIVE, colors=17).save(folder / "palette_clear.png", transparency=3)
base.convert("1").save(folder / "bilevel.png")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_16_bit_png(name, values):
    """Pillow does not write 16-bit colour. `values` is [height, width, channels]."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


wide = picture(20, 31).astype(numpy.uint16) * 256 + 200
write_16_bit_png("rgb16.png", wide)
write_16_bit_png("rgba16.png", numpy.dstack([wide, wide[:, :, :1]]))
write_16_bit_png("grey16.png", wide[:, :, 1:2])
exif = Image.Exif()
exif[0x0112] = 6
base.save(folder / "exif6.png", exif=exif)

# Resizing: up, down, by odd factors, along one axis only.
source = Image.fromarray(picture(37, 53, seed=3))
write_raw("resize_source.rgb", source)
for filter_name in ("bilinear", "bicubic"):
    for width, height in ((20, 11), (90, 71), (53, 9), (7, 37), (1, 1), (64, 5)):
        resized = source.resize((width, height), getattr(Image.Resampling, filter_name.upper()))
        write_raw(f"resize_{filter_name}_{height}x{width}.rgb", resized)

for name in sorted(path.name for path in folder.iterdir() if path.suffix in (".jpg", ".png")):
    if name != "grey16.png":  # Pillow clips 16-bit grey to 255 instead of scaling it
        expect(name)

# Evenly spread frames, as numpy has them.
lines = []
for count, chosen in ((10, 4), (100, 7), (1801, 768), (5, 5), (3, 8), (1, 1), (6, 2), (10, 1), (2400, 64)):
    places = numpy.linspace(0, count - 1, min(chosen, count)).round().astype(int)
    lines.append(" ".join(map(str, [count, chosen, *places])))
(folder / "linspace.txt").write_text("\n".join(lines) + "\n")
