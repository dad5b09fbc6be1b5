"""Pictures in groups: the same thing drawn, photographed or written several times, and categories."""

import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmarks.groups import photographs
from uota.data import Source
from uota.data.demo.drawings import open_drawings_as_groups
from uota.data.memory import TensorSource
from uota.errors import UotaError

STAMPS, CLIP_ART = Path("/usr/share/tuxpaint/stamps"), Path("/usr/share/openclipart/png")
FONTS = Path("/usr/share/fonts")
SIDE, GLYPH_SIDE = 128, 64
THINGS, SHOTS, CATEGORY = 250, 8, 150
HEAVY = 2**19
CHARACTERS = string.ascii_letters + string.digits + "!#$%&*+/<=>?@[]{}~"
FACES, UPRIGHT = 30, ("Regular", "Book", "Roman")


class Pictures(NamedTuple):
    """Pictures and the group of each."""

    files: Source
    group: list[str]


def drawings(studios: int = 3) -> Pictures:
    """Return the demo's things, each drawn by three studios, or the first two."""
    pixels, names = list[Tensor](), list[str]()
    for groups in map(open_drawings_as_groups, ("train", "test")):
        for number, own in enumerate(groups.members):
            pixels += groups.files.images(list(own[:studios]))
            names += [groups.display_name(number)] * studios
    return _of_pixels("drawings", torch.stack(pixels), names)


def garments() -> Pictures:
    """Return garments of Fashion-MNIST, each photographed eight times as in `benchmarks.groups`."""
    pixels = photographs("train", 0, SHOTS)[0][:THINGS]
    return _of_pixels("garments", pixels.flatten(0, 1), [str(thing) for thing in range(THINGS) for _ in range(SHOTS)])


def stamps() -> Pictures:
    """Return stamps, each photographed eight times: at another angle and size, in another light, beside another one."""
    files = [file for files in by_category(STAMPS, THINGS).values() for file in files]
    chance = random.Random(0)
    chosen = chance.sample(sorted(files), min(THINGS, len(files)))
    shots = [_shot(file, chance.choice(chosen), chance) for file in chosen for _ in range(SHOTS)]
    return _of_images("stamps", shots, [str(file) for file in chosen for _ in range(SHOTS)])


def stamp_categories() -> Pictures:
    """Return stamps in the folders of their categories."""
    return _categories("stamp categories", STAMPS)


def clip_art_categories() -> Pictures:
    """Return clip art in the folders of its categories."""
    return _categories("clip-art categories", CLIP_ART)


def glyphs() -> Pictures:
    """Return characters, each written in thirty fonts."""
    return _of_images("glyphs", write(CHARACTERS), [character for character in CHARACTERS for _ in range(FACES)])


def write(characters: str) -> list[Image.Image]:
    """Write each character in thirty fonts, one after the other."""
    faces = _faces()
    return [_glyph(character, face) for character in characters for face in faces]


PICTURES: dict[str, Callable[[], Pictures]] = {
    "drawings": drawings,
    "pairs of drawings": lambda: drawings(2),
    "garments": garments,
    "stamps": stamps,
    "glyphs": glyphs,
    "stamp categories": stamp_categories,
    "clip-art categories": clip_art_categories,
}


def _categories(name: str, root: Path) -> Pictures:
    files = by_category(root, CATEGORY)
    images = [on_white(file) for own in files.values() for file in own]
    return _of_images(name, images, [category for category, own in files.items() for _ in own])


def by_category(root: Path, most: int) -> dict[str, list[Path]]:
    """Return up to so many pictures of each top folder that has ten."""
    if not root.is_dir():
        raise UotaError(f"{root} is not there; install the Debian package that the benchmark's help names")
    found = {}
    for folder in sorted(each for each in root.iterdir() if each.is_dir()):
        files = sorted(each for each in folder.rglob("*.png") if not each.is_symlink() and _is_light(each))
        files = random.Random(0).sample(files, min(most, len(files)))
        if len(files) >= 10:
            found[folder.name] = sorted(files)
    return found


def _is_light(file: Path) -> bool:
    """Whether a file is small enough to be opened quickly; some drawings have 600 megapixels."""
    return file.stat().st_size < HEAVY


def on_white(file: Path) -> Image.Image:
    """Return a picture on a white square."""
    image = Image.open(file).convert("RGBA")
    image.thumbnail((SIDE, SIDE))
    ground = Image.new("RGBA", (SIDE, SIDE), "white")
    ground.alpha_composite(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return ground.convert("RGB")


def _shot(file: Path, other: Path, chance: random.Random) -> Image.Image:
    ground = Image.new("RGBA", (SIDE, SIDE), tuple(chance.randrange(120, 256) for _ in range(3)))
    for each, side in ((other, (0.35, 0.5)), (file, (0.5, 0.9))):
        image = Image.open(each).convert("RGBA")
        image.thumbnail((round(SIDE * chance.uniform(*side)),) * 2)
        image = image.rotate(chance.uniform(-30, 30), Image.Resampling.BILINEAR, expand=True)
        image.thumbnail((SIDE, SIDE))
        place = tuple(chance.randint(0, SIDE - length) for length in image.size)
        ground.alpha_composite(image, place)
    light = chance.uniform(0.4, 1.0)
    return ground.convert("RGB").point(lambda value: round(value * light))


def _faces() -> list[Path]:
    """Return upright faces of different families, in the order of their names."""
    found = dict[str, Path]()
    for file in sorted(each for each in FONTS.rglob("*.[ot]tf") if each.is_file()):
        family, style = ImageFont.truetype(str(file), 12).getname()
        if family not in found and style in UPRIGHT and _draws_letters(file):
            found[family] = file
    faces = [found[family] for family in sorted(found)][:FACES]
    if len(faces) < FACES:
        raise UotaError(f"{FONTS} has {len(faces)} families, and the glyphs need {FACES}; install more fonts")
    return faces


def _draws_letters(face: Path) -> bool:
    """Whether a font draws the characters differently, as one of symbols or of another script does not."""
    drawn = {np.asarray(_glyph(character, face)).tobytes() for character in CHARACTERS}
    return len(drawn) > 0.9 * len(CHARACTERS)


def _glyph(character: str, face: Path) -> Image.Image:
    image = Image.new("RGB", (GLYPH_SIDE, GLYPH_SIDE), "white")
    font = ImageFont.truetype(str(face), 44)
    ImageDraw.Draw(image).text((GLYPH_SIDE / 2, GLYPH_SIDE / 2), character, fill="black", font=font, anchor="mm")
    return image


def _of_images(name: str, images: list[Image.Image], group: list[str]) -> Pictures:
    return _of_pixels(name, torch.stack([torch.from_numpy(np.array(each)).permute(2, 0, 1) for each in images]), group)


def _of_pixels(name: str, pixels: UInt8[Tensor, "files channels height width"], group: list[str]) -> Pictures:
    return Pictures(TensorSource(name, pixels), group)
