import csv

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from uota.data import FolderOptions, SequenceSource, TensorSource, open_source
from uota.inspection.analysis.quality import PROBLEMS, find_flaws


def drawing(seed, size=(200, 160)):
    """A drawing on white that is unlike those of other seeds."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = (int(side * place) for side, place in zip(size, random.uniform(0, 0.8, 2), strict=True))
        width, height = random.integers(20, 60, 2)
        pen.rectangle((x, y, x + width, y + height), fill=tuple(random.integers(0, 256, 3)))
    return picture


@pytest.fixture
def folder(tmp_path):
    """Twelve sound drawings and one or two of each problem."""
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(12):
        drawing(number).save(root / f"sound{number:02d}.png")
    drawing(3).save(root / "copy of 3.png")
    drawing(4).resize((150, 120)).save(root / "smaller 4.jpg", quality=70)
    Image.new("RGB", (200, 160), (30, 90, 200)).save(root / "empty.png")
    Image.new("RGBA", (200, 160), (255, 255, 255, 0)).save(root / "transparent.png")
    drawing(20).point(lambda value: value // 5).save(root / "dark.png")
    drawing(21).point(lambda value: 200 + value // 5).save(root / "pale.png")
    drawing(22).filter(ImageFilter.GaussianBlur(6)).save(root / "=blurred.png")
    drawing(23, (30, 24)).save(root / "tiny.png")
    drawing(24, (900, 150)).save(root / "wide.png")
    return root


@pytest.fixture
def quality(folder):
    """The flaws, of a source that shrinks pictures on reading, so that the wide one seems small."""
    return find_flaws(open_source(folder, folder=FolderOptions(max_side=30)), bar=False)


def names(quality, problem):
    return [quality.source.display_name(flaw.index) for flaw in quality.of(problem)]


def test_each_problem_is_found_and_nothing_else(quality):
    assert quality.checked == 21
    assert {problem: names(quality, problem) for problem in PROBLEMS} == {
        "exact_duplicate": ["copy of 3.png", "sound03.png"],
        "near_duplicate": ["smaller 4.jpg", "sound04.png"],
        "empty": ["empty.png", "transparent.png"],
        "dark": ["dark.png"],
        "washed_out": ["pale.png"],
        "blurred": ["=blurred.png"],
        "tiny": ["tiny.png"],
        "odd_shape": ["wide.png"],
    }


def test_values_and_groups_are_in_the_table(quality, tmp_path):
    quality.save(tmp_path / "quality.csv")
    rows = list(csv.DictReader((tmp_path / "quality.csv").read_text().splitlines()))
    root = quality.source.path(0).parent
    of = {row["file"]: row for row in rows}
    assert of[str(root / "tiny.png")]["value"] == "30"
    assert of[str(root / "wide.png")]["value"] == "6"
    copy, first = of[str(root / "sound03.png")], of[str(root / "copy of 3.png")]
    assert copy["group"] == first["group"] == "0"
    assert (copy["duplicate_of"], first["duplicate_of"]) == (first["file"], "")
    assert of[str(root / "empty.png")]["group"] == ""
    assert len(rows) == len(quality.flaws)


def test_an_unreadable_picture_is_listed_and_not_its_substitute(folder):
    """Sources return another picture in its place, which would be an exact duplicate."""
    file = folder / "sound05.png"
    file.write_bytes(file.read_bytes()[:150])
    quality = find_flaws(open_source(folder), bar=False)
    assert names(quality, "exact_duplicate") == ["copy of 3.png", "sound03.png"]
    assert quality.checked == 20
    assert quality.rows()[-1] == (file, "unreadable", None, None, None)


def test_pictures_in_memory_are_checked_too():
    pixels = torch.from_numpy(np.stack([np.array(drawing(seed)) for seed in (1, 2, 1)])).permute(0, 3, 1, 2)
    tensors = find_flaws(TensorSource("tensors", pixels.contiguous()), bar=False)
    assert [(flaw.index, flaw.duplicate_of) for flaw in tensors.of("exact_duplicate")] == [(0, None), (2, 0)]
    assert tensors.rows()[2] == ("2", "exact_duplicate", "2", 0, "0")
    pictures = SequenceSource([drawing(1), drawing(2), drawing(1, (900, 150))], max_side=30)
    assert [(flaw.index, flaw.value) for flaw in find_flaws(pictures, bar=False).of("odd_shape")] == [(2, 6.0)]


def test_small_pictures_are_not_tiny_where_all_are_small():
    pixels = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert find_flaws(TensorSource("small", pixels), bar=False).flaws == []
