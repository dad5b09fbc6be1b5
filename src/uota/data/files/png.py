"""Removes chunks that decoding does not need from PNG files, such as texts of many megabytes."""

import struct
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Texts and colour profiles are compressed, so that small ones may expand to any size; the pixels need neither.
DROPPED = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
PIXELS, FRAME = b"IDAT", 12  # bytes of length, type and checksum around the data of a chunk


def without_texts(data: bytes | memoryview) -> bytes | memoryview:
    """The bytes of a PNG file without texts and colour profiles; other files are returned unchanged."""
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
    """The bytes before the pixel data of a PNG file, skipping texts; None if it is not a PNG file."""
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
