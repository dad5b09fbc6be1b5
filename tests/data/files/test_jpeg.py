"""The header of JPEG files without Pillow: equal to Pillow's, and left to it wherever a file is not usual."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from uota.data.files.jpeg import Frame, decode_usual_jpeg, frame_of


def encoded(mode="RGB", size=(21, 34), **options):
    file = BytesIO()
    Image.new(mode, size, 90).save(file, "jpeg", **options)
    return np.frombuffer(file.getvalue(), dtype=np.uint8).copy()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"\xff\xc0" * 9}, {"quality": 5}])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_the_frame_is_that_which_pillow_finds(mode, channels, options):
    assert frame_of(encoded(mode, **options)) == Frame(34, 21, channels)


def test_a_thumbnail_in_the_exif_data_is_not_the_frame():
    exif = Image.Exif()
    exif[0x010E] = encoded(size=(5, 6)).tobytes().decode("latin-1")
    assert frame_of(encoded(exif=exif)) == Frame(34, 21, 3)


def test_what_is_not_usual_is_left_to_pillow():
    plain = encoded()
    frame = plain.tobytes().index(b"\xff\xc0")
    twelve_bits, no_height, arithmetic, padded = (plain.copy() for _ in range(4))
    twelve_bits[frame + 4], no_height[frame + 5 : frame + 7], arithmetic[frame + 1] = 12, 0, 0xC9
    padded = np.insert(padded, 2, 0xFF)
    for data in (encoded("CMYK"), twelve_bits, no_height, arithmetic, padded, np.zeros(0, dtype=np.uint8)):
        assert frame_of(data) is None
    png = BytesIO()
    Image.new("RGB", (4, 4)).save(png, "png")
    assert frame_of(np.frombuffer(png.getvalue(), dtype=np.uint8)) is None


def test_no_part_of_a_file_and_no_damage_raises_anything():
    plain, random = encoded(), np.random.default_rng(0)
    for length in range(len(plain)):
        assert frame_of(plain[:length].copy()) in (None, Frame(34, 21, 3))
    for _ in range(300):
        damaged = plain.copy()
        damaged[random.integers(2, len(plain), 4)] = random.integers(0, 256, 4)
        frame_of(damaged)
    assert decode_usual_jpeg(plain[:-40].copy(), 3) is None
