"""Views that are made again for display, compared with those that were scored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import uota
from uota.inspection.scoring import score_views
from uota.views import ViewPipeline, unnormalise


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(24):
        pixels = random.integers(0, 256, (50 + 7 * number, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("inject_from", ["strangers", "batch"])
@pytest.mark.parametrize("images", ["tensors", "folder"])
def test_the_pictures_of_views_are_those_that_were_scored(folder, images, inject_from):
    data = torch.randint(0, 256, (24, 3, 40, 40), dtype=torch.uint8) if images == "tensors" else folder
    found = uota.inspect(data, eyes="thumbnails", steps=0, inject=0.4, views="small")
    pipeline = ViewPipeline(found.subject.preset, found.subject.pipeline.seed, 0.4, inject_from)
    scored, indices = [], []

    judge = found.arbiters.judges["chosen"]

    def extract(views):
        scored.append([unnormalise(each, pipeline.preset.mean, pipeline.preset.std) for each in views.by_size])
        indices.append(views.index)
        return judge.extract(views)

    subject = type(found.subject)(found.subject.source, pipeline, found.subject.settings, None)
    arbiters = replace(found.arbiters, judges={"chosen": replace(judge, extract=extract)})
    table = score_views(subject, arbiters, bar=False)
    assert table.wrong.any()
    order = torch.cat(indices).argsort()
    expected = [torch.cat([batch[size] for batch in scored], 1)[:, order] for size in range(len(scored[0]))]
    places = [5, 0, 17]
    shown = uota.inspection.Inspection(subject, arbiters, table).view_pictures(places)
    for place, pictures in zip(places, shown, strict=True):
        views = [view for size in expected for view in size[:, place]]
        for view, picture in zip(views, pictures, strict=True):
            assert (picture - 255 * view).abs().max() <= 0.51  # rounded to whole numbers, and nothing else


def test_the_views_of_groups_are_made_again(tmp_path):
    for number in range(24):
        place = tmp_path / str(number // 3) / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.new("RGB", (60, 60), (10 * number, 0, 0)).save(place)
    found = uota.inspect(tmp_path, views="small-groups", eyes="thumbnails", steps=0)
    (pictures,) = found.view_pictures([2])
    files = found.table.parameters.image[:, 2].tolist()
    assert len(pictures) == len(files) == found.table.shape[0]
    assert found.representatives([2])[0] in found.subject.groups.members[found.table.item[2]]
