"""PNG files without the chunks that are of no use here, such as the texts that some programs put in by the megabyte."""

import struct
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Texts and colour profiles are compressed, so that small ones may unfold to any size; neither is needed for the pixels.
DROPPED = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
PIXELS, FRAME = b"IDAT", 12  # a chunk has its length, type and checksum beside its data


def without_texts(data: bytes | memoryview) -> bytes | memoryview:
    """The bytes of a PNG file without texts and colour profiles; those of any other file as they are."""
    if bytes(data[:8]) != SIGNATURE:
        return data
    view, kept, place, dropped = memoryview(data), [memoryview(SIGNATURE)], 8, False
    while place + FRAME <= len(view):
        length, kind = struct.unpack(">I4s", view[place : place + 8])
        if kind in DROPPED:
            dropped = True
        else:
            kept.append(view[place : place + length + FRAME])
        place += length + FRAME
    return b"".join([*kept, view[place:]]) if dropped else data


def head_of(file: BinaryIO) -> bytes | None:
    """The bytes before the pixel data of a PNG file, without texts, which are not read; None: it is not a PNG file."""
    if file.read(8) != SIGNATURE:
        return None
    kept = [SIGNATURE]
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == PIXELS:
            return b"".join([*kept, start])
        if kind in DROPPED or length > 2**20:
            file.seek(length + 4, 1)
        else:
            kept.append(start + file.read(length + 4))
    return b"".join(kept)
