"""Makes the files beside it: pictures, and what Pillow makes of them.

python3 -m venv VENV; VENV/bin/pip install pillow==13.0.0; VENV/bin/python tests/xray/pillow/make.py

`lines.bin`: `convert("L")` and `resize((32, 32))` of the drawing that tests/xray/pillow.rs makes by the same sums.
`cmyk.jpg`: four colours. `planes.jpg`: 4:2:0, each colour in a scan by itself. A `.bin` beside each: likewise.
"""

import io
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent
COLOURS = [(255, 255, 255), (0, 0, 0), (20, 30, 250), (250, 20, 30), (10, 160, 20), (240, 230, 10)]


def drawing(width, height):
    picture = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            line = (3 * x + 2 * y) % 37 < 3 or (2 * x + 150 - y) % 29 == 0
            picture.putpixel((x, y), COLOURS[1 + (x // 40 + y // 30) % 5] if line else COLOURS[0])
    return picture


def keep(picture, name):
    (HERE / name).write_bytes(picture.convert("L").resize((32, 32)).tobytes())


def gray_jpeg(plane):
    """The tables and the coded pixels of a gray JPEG."""
    file = io.BytesIO()
    plane.save(file, "JPEG", quality=92)
    data, tables, at = file.getvalue(), b"", 2
    while True:
        mark, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        segment, at = data[at : at + 2 + length], at + 2 + length
        if mark in (0xDB, 0xC4):
            tables += segment
        if mark == 0xDA:
            return tables, data[at:-2]


def planes(picture):
    width, height = picture.size
    luma, blue, red = picture.convert("YCbCr").split()
    small = (-(-width // 2), -(-height // 2))
    parts = [gray_jpeg(plane) for plane in (luma, blue.resize(small), red.resize(small))]
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    file = b"\xff\xd8" + parts[0][0]
    file += b"\xff\xc0\x00\x11\x08" + size + b"\x03\x01\x22\x00\x02\x11\x00\x03\x11\x00"
    for name, (_, data) in enumerate(parts, 1):
        file += b"\xff\xda\x00\x08\x01" + bytes([name, 0, 0, 63, 0]) + data
    return file + b"\xff\xd9"


keep(drawing(240, 180), "lines.bin")
small = drawing(61, 45).resize((244, 180)).crop((20, 20, 81, 65))
small.convert("CMYK").save(HERE / "cmyk.jpg", quality=90)
(HERE / "planes.jpg").write_bytes(planes(small))
for name in ("cmyk", "planes"):
    with Image.open(HERE / f"{name}.jpg") as picture:
        keep(picture, f"{name}.bin")
