"""Writes image files with random damage, chosen by a seed."""

import io
import random
import struct
import zlib
from functools import cache
from pathlib import Path

from PIL import Image

FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}
FORMATS |= {"tga": "TGA"}
# Offset and layout of width and height in a format; for PNG and JPEG see `enormous`.
SIZES = {"gif": (6, "<HH"), "bmp": (18, "<ii"), "tga": (12, "<HH"), "webp": (26, "<HH")}


def sound(extension, chance):
    """The bytes of a small picture."""
    picture = Image.effect_noise((40, 40), chance.uniform(10, 100)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, FORMATS[extension])
    return file.getvalue()


def truncated(data, extension, chance):
    return data[: chance.randrange(1, len(data) // 3)]


def empty(data, extension, chance):
    return b""


def garbage(data, extension, chance):
    return chance.randbytes(chance.randrange(1, 2000))


def headless(data, extension, chance):
    return bytes(32) + data[32:]


def enormous(data, extension, chance):
    """A header that states billions of pixels."""
    changed = bytearray(data)
    if extension in SIZES:
        place, layout = SIZES[extension]
        struct.pack_into(layout, changed, place, *((16383, 16383) if extension == "webp" else (65535, 65535)))
        if extension == "gif":  # the frame has a size of its own
            struct.pack_into("<HH", changed, data.index(b",", 781) + 5, 65535, 65535)
    elif extension == "png":
        struct.pack_into(">II", changed, 16, 200_000, 200_000)
        struct.pack_into(">I", changed, 29, zlib.crc32(changed[12:29]))
    elif extension == "jpg":
        struct.pack_into(">HH", changed, data.index(b"\xff\xc0") + 5, 65500, 65500)
    elif extension == "ppm":
        return data.replace(b"40 40", b"99999 99999", 1)
    else:
        return tiff(99_999, 99_999)
    return bytes(changed)


def tiff(width, height):
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@cache
def text_bomb():
    file = io.BytesIO()
    Image.new("L", (40, 40)).save(file, "PNG")
    plain = file.getvalue()
    text = b"Comment\0\0" + zlib.compress(bytes(2**26))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return plain[:33] + chunk + plain[33:]


def bomb(data, extension, chance):
    """A valid picture of 64 kilobytes with a text, not needed for decoding, that would expand to 64 megabytes."""
    return text_bomb()


def flipped(data, extension, chance):
    """Some bytes are changed; the result may still be an image."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 30)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


CERTAIN = (truncated, empty, garbage, headless, enormous)


def write_damaged(folder, count, seed):
    """Write damaged files of all formats; returns the names of those that cannot be images, and of doubtful ones."""
    chance = random.Random(seed)
    certain, perhaps = set(), set()
    Path(folder).mkdir(parents=True)
    for number in range(count):
        extension = chance.choice(list(FORMATS))
        damage = chance.choice((*CERTAIN, bomb, flipped))
        path = Path(folder) / f"{number:04}-{damage.__name__}.{chance.choice((extension, extension, 'png'))}"
        path.write_bytes(damage(sound(extension, chance), extension, chance))
        if damage is not bomb:
            (perhaps if damage is flipped else certain).add(path.name)
    return certain, perhaps
