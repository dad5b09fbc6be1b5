"""The choice of the images that have pictures."""

import torch

import uota
from uota.inspection.page.shown import ItemPictures, _quality, pictured
from uota.pages.pictures import QUALITIES


def test_pictures_are_of_the_most_unusual_images_until_the_room_is_used():
    found = uota.inspect(torch.randint(0, 256, (60, 3, 40, 40), dtype=torch.uint8), eyes="thumbnails", steps=0)
    whole = pictured(found, 10**9)
    assert whole["places"] == found.ranking
    assert len(whole["pictures"]) == 60 * found.table.shape[0]
    assert [found.table.item[place] for place in whole["places"]] == whole["faces"]
    some = pictured(found, 300_000)
    used = sum(map(len, some["pictures"])) + sum(map(len, some["originals"].values()))
    assert 0 < len(some["places"]) < 60
    assert 250_000 < used <= 300_000
    assert some["places"] == found.ranking[: len(some["places"])]
    columns = found.table.columns()
    row = found.ranking[1] * found.table.shape[0] + 2
    assert some["made"]["brightness"][found.table.shape[0] + 2] == columns["brightness"][row]


def test_quality_falls_so_that_more_flagged_images_fit():
    noise = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8)
    items = [ItemPictures(0, 0, {0: noise}, [noise] * 4)]
    best = sum(
        len(text)
        for part in items[0].encoded(QUALITIES[0], {})
        for text in (part.values() if isinstance(part, dict) else part)
    )
    assert _quality(items, 0, 1) == QUALITIES[0]
    assert _quality(items, 10, 10 * best) == QUALITIES[0]
    assert _quality(items, 10, 10 * best - 1) == QUALITIES[1]
    assert _quality(items, 1000, 1) == QUALITIES[-1]
