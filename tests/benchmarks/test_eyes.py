"""The pictures that the benchmark of eyes draws and collects."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

import uota
from benchmarks import photographs
from benchmarks.eyes_pictures import GAP, SHOWN, SIDE, draw_worst, worst


@pytest.fixture(scope="module")
def found():
    pixels = torch.randint(0, 256, (12, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[3] = 255
    return uota.inspect(pixels, eyes="thumbnails", steps=0)


def test_the_worst_views_have_the_lowest_scores_and_show_something(found):
    table = found.table
    places = worst(table, 10)
    scores = [float(table.verdict.scores[place]) for place in places]
    assert scores == sorted(table.verdict.scores[~table.shows_nothing].tolist())[:10]
    assert table.shows_nothing[:, 3].all()
    assert not any(table.shows_nothing[place] for place in places)


def test_each_view_is_drawn_below_its_image_with_a_frame_around_the_crop(found, tmp_path):
    draw_worst(found.subject, found.table, tmp_path / "worst.png")
    with Image.open(tmp_path / "worst.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    step = SIDE + GAP
    assert pixels.shape[1] == SHOWN // 2 * step
    for column in range(SHOWN // 2):
        red, green, blue = pixels[:SIDE, column * step : column * step + SIDE].transpose(2, 0, 1)
        assert ((red > 240) & (green < 40) & (blue < 40)).sum() > 4


def test_opaque_pictures_are_cut_out_of_resource_files(tmp_path, monkeypatch):
    pictures = [Image.new(mode, (9, 7), "blue") for mode in ("RGB", "RGBA", "RGB")]
    pictures[1].putpixel((0, 0), (0, 0, 0, 0))
    content = b"qres"
    for picture in pictures:
        written = BytesIO()
        picture.save(written, "WEBP")
        content += written.getvalue() + b"RIFF"
    (tmp_path / "made.rcc").write_bytes(content)
    package = tmp_path / "Kite/contents/images"
    package.mkdir(parents=True)
    for side in (4, 40):
        Image.effect_noise((side, side), 50).save(package / f"{side}.png")
    (package / "link.png").symlink_to("40.png")
    monkeypatch.setattr(photographs, "GCOMPRIS", tmp_path)
    monkeypatch.setattr(photographs, "WALLPAPERS", (tmp_path,))
    made = list(photographs._of_gcompris())
    assert [name for name, _ in made] == ["made-000.webp", "made-002.webp"]
    assert [Image.open(BytesIO(content)).size for _, content in made] == [(9, 7)] * 2
    assert list(photographs._wallpapers()) == [package / "40.png"]
