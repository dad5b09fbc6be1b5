"""A picture of the most suspicious views of an inspection, each below its image."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from uota.data import Source
from uota.inspection.input import InspectionInput
from uota.inspection.table import ViewTable
from uota.views import unnormalise

SHOWN, COLUMNS, SIDE, GAP = 20, 10, 96, 4
GROUND, FRAME = "lightgrey", "red"


def draw_worst(subject: InspectionInput, table: ViewTable, out: Path) -> None:
    """Draw the views with the lowest scores, except those of a single colour, in the order of suspicion.

    Args:
        subject: the inspected images.
        table: their scored views.
        out: file to write, in 256 colours, so that it stays small.
    """
    cells = [_cell(subject, table, *place) for place in worst(table)]
    width, height = cells[0].size
    sheet = Image.new("RGB", (COLUMNS * (width + GAP), -(-len(cells) // COLUMNS) * (height + 3 * GAP)), "white")
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % COLUMNS * (width + GAP), number // COLUMNS * (height + 3 * GAP)))
    sheet.quantize(256).save(out, optimize=True)


def worst(table: ViewTable, shown: int = SHOWN) -> list[tuple[int, int]]:
    """Return the views with the lowest scores, as pairs of view and place in the table."""
    suspicion = (-table.verdict.scores).masked_fill(table.shows_nothing, -torch.inf)
    places = suspicion.flatten().argsort(descending=True)[:shown].tolist()
    return [divmod(place, table.shape[1]) for place in places]


def _cell(subject: InspectionInput, table: ViewTable, view: int, place: int) -> Image.Image:
    """Draw a view below its image, in which its crop is framed."""
    parameters = table.parameters[:, torch.tensor([place])]
    rendered = subject.pipeline.render(subject.source, parameters)
    flat = [each for of_size in rendered for each in of_size[:, 0]]
    shown = (unnormalise(flat[view], subject.preset.mean, subject.preset.std) * 255).round().to(torch.uint8)
    cell = Image.new("RGB", (SIDE, 2 * SIDE + GAP), "white")
    cell.paste(_image(subject.source, int(parameters.image[view, 0]), parameters.box[view, 0].tolist()))
    cell.paste(_picture(shown).resize((SIDE, SIDE)), (0, SIDE + GAP))
    return cell


def _image(source: Source, index: int, box: list[float]) -> Image.Image:
    picture = _picture(source.images([index])[0])
    scale = SIDE / max(picture.size)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    top, left, height, width = (scale * side for side in box)
    ImageDraw.Draw(small).rectangle((left, top, left + width - 1, top + height - 1), outline=FRAME)
    square = Image.new("RGB", (SIDE, SIDE), GROUND)
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return square


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.expand(3, -1, -1).permute(1, 2, 0).numpy())
