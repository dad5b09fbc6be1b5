"""What is misfiled in Open Clip Art as it is: python -m benchmarks.misfiled.picture

The first twenty files of the list, with their folder and the one that they fit best, are drawn as docs/misfiled.png.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.command_line import make_parser, start
from benchmarks.misfiled.features import featured
from benchmarks.misfiled.pictures import CATEGORY, CLIP_ART, by_category, on_white
from uota.membership.members import score_members

OUT = Path(__file__).parents[2] / "docs/misfiled.png"
DATA = "clip-art categories"
SHOWN, COLUMNS, CELL, TEXT = 20, 10, (176, 172), 132


def draw() -> Image.Image:
    """Return the sheet."""
    data, folders = featured(DATA), by_category(CLIP_ART, CATEGORY)
    files = [file for own in folders.values() for file in own]
    names = [name.replace("_", " ") for name in folders]
    found = score_members(data.features, data.group)
    sheet = Image.new("RGB", (COLUMNS * CELL[0], -(-SHOWN // COLUMNS) * CELL[1]), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, member in enumerate(found.worst_first()[:SHOWN]):
        left, top = place % COLUMNS * CELL[0], place // COLUMNS * CELL[1]
        sheet.paste(on_white(files[member]), (left, top))
        own, other = (names[int(each[member])] for each in (found.group, found.fits))
        chance = 100 * float(found.fits_probability[member])
        pen.text((left + 2, top + TEXT), f"in {own}\nfits {other} {chance:.0f} %", fill="black", font=font)
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = make_parser("misfiled.picture", __doc__, measures=False)
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    draw().quantize(256).save(parser.parse_args(arguments).out, optimize=True)


if __name__ == "__main__":
    start(main)
