"""Image files damaged in every way that a seed draws."""

import io
import random
import struct
import zlib
from functools import cache
from pathlib import Path

from PIL import Image

FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}
FORMATS |= {"tga": "TGA"}
# Where a format keeps its width and height, and how; of PNG and JPEG see `enormous`.
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
    """Says that it has billions of pixels."""
    changed = bytearray(data)
    if extension in SIZES:
        place, layout = SIZES[extension]
        struct.pack_into(layout, changed, place, *((16383, 16383) if extension == "webp" else (65535, 65535)))
        if extension == "gif":  # the frame, too
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
    """64 kilobytes, of which a text would become 64 megabytes: a valid picture, as nobody needs the text."""
    return text_bomb()


def flipped(data, extension, chance):
    """Some bytes are others; this may be an image still."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 30)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


CERTAIN = (truncated, empty, garbage, headless, enormous)


def write_damaged(folder, count, seed):
    """Write files of all formats; returns the names of those that certainly are no images, and of those that may be."""
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
