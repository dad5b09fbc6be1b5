"""The demo's drawings are made from small archives of the same layout."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from tools.make_drawings import STUDIOS, main
from uota import UotaError

COLOURS = {"Noto": (200, 0, 0), "Twemoji": (0, 200, 0), "Fluent": (0, 0, 200)}


def thing(order, points, name, category="Food & Drink", subcategory="food", short_name=None):
    return {
        "sort_order": order,
        "unified": points.upper(),
        "name": name.upper(),
        "short_name": short_name or name.replace(" ", "_"),
        "category": category,
        "subcategory": subcategory,
    }


THINGS = [
    thing(3, "1f34c", "banana"),
    thing(2, "1f34e", "red apple"),
    thing(4, "1f34f", "green apple", short_name="green_apple"),  # a near-duplicate
    thing(5, "1f550", "clock face one oclock", "Travel & Places", "time"),
    thing(6, "1f315", "full moon symbol", "Travel & Places", "sky & weather"),
    thing(7, "1f319", "crescent moon", "Travel & Places", "sky & weather"),
    thing(1, "1f600", "grinning face", "Smileys & Emotion"),
    thing(8, "1f9ca-fe0f", "ice cube"),  # one studio lacks it
]


def drawing(colour, format, side):
    """A square of a colour on transparent ground."""
    image = Image.new("RGBA", (side, side))
    image.paste((*colour, 255), (side // 4, side // 4, side // 2, side // 2))
    written = io.BytesIO()
    image.save(written, format, lossless=True)
    return written.getvalue()


@pytest.fixture
def archives(tmp_path):
    """A folder with an archive of each studio."""
    for studio, side in zip(STUDIOS, (64, 64, 256), strict=True):
        files = {"package/package.json": b"{}", "package/emoji.json": json.dumps(THINGS).encode()}
        picture = drawing(COLOURS[studio.name], "WEBP" if studio.name == "Fluent" else "PNG", side)
        for of in THINGS:
            if (studio.name, of["name"]) != ("Twemoji", "ICE CUBE"):
                files[studio.member.format(of["unified"].lower())] = picture
        with tarfile.open(tmp_path / studio.archive.replace("*", "1.0.0"), "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return tmp_path


def test_wanted_things_are_written_in_unicode_order(archives, capsys):
    main([str(archives), "--out", str(archives / "out")])
    index = json.loads((archives / "out/drawings.json").read_text())
    assert [studio["name"] for studio in index["studios"]] == list(COLOURS)
    assert [(of["name"], of["category"], of["code_points"]) for of in index["things"]] == [
        ("apple", "food & drink", "1f34e"),
        ("banana", "food & drink", "1f34c"),
        ("crescent moon", "travel & places", "1f319"),
    ]
    shown = capsys.readouterr().out
    assert "not all studios drew it: ice cube" in shown
    assert "food & drink: 2" in shown


def test_drawings_are_on_white_at_64_pixels(archives):
    main([str(archives), "--out", str(archives / "out")])
    for studio in STUDIOS:
        with Image.open(archives / "out" / studio.sheet) as sheet:
            pixels = np.asarray(sheet)
        assert pixels.shape == (64, 32 * 64, 3)
        for place in range(3):
            image = pixels[:, 64 * place : 64 * (place + 1)]
            assert tuple(image[24, 24]) == COLOURS[studio.name]
            assert image[:8].min() == image[:, 40:].min() == 255
        assert pixels[:, 3 * 64 :].min() == 255


def test_the_same_archives_give_the_same_bytes(archives):
    for out in ("one", "two"):
        main([str(archives), "--out", str(archives / out)])
    for name in ("drawings.json", *(studio.sheet for studio in STUDIOS)):
        assert (archives / "one" / name).read_bytes() == (archives / "two" / name).read_bytes()


def test_a_missing_archive_is_named(archives):
    next(archives.glob("*twitter*")).unlink()
    with pytest.raises(UotaError, match=r"has 0 files emoji-datasource-twitter-\*\.tgz"):
        main([str(archives)])


def test_a_damaged_archive_is_named(archives):
    path = next(archives.glob("*twitter*"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UotaError, match=r"emoji-datasource-twitter-1\.0\.0\.tgz is not a whole"):
        main([str(archives)])
