"""Scoring of all views of an inspection."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

import uota
from uota.arbitration import Contrast
from uota.data import Groups
from uota.inspection.analysis.share import Share
from uota.inspection.arbiters import Judge
from uota.inspection.input import BATCH, MIN_ITEMS, SCORED_EPOCH
from uota.inspection.scoring import _scores

QUICK = {"views": "small", "eyes": "thumbnails", "steps": 0}
# Views of nearly the whole image, which show it.
MILD = {kind: {"scale": (0.7, 1.0)} for kind in ("global", "local")}


def drawings(images, seed=0):
    """Drawings like stamps: a few coloured discs and boxes on white."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    made = np.full((images, 3, 64, 64), 255, dtype=np.uint8)
    for picture in made:
        colours = random.integers(0, 256, (2, 3))
        for place in range(5):
            row, column, side = random.integers(12, 52), random.integers(12, 52), random.integers(8, 22)
            across, down = np.abs(rows - row), np.abs(columns - column)
            inside = across**2 + down**2 < side**2 if place % 2 else np.maximum(across, down) < side
            picture[:, inside] = colours[place % 2][:, None]
    return torch.from_numpy(made)


@pytest.mark.parametrize("steps", [0, 3])
def test_every_view_is_scored_once_in_the_order_of_the_source(steps):
    images = 3 * BATCH + 30
    found = uota.inspect(drawings(images), **QUICK | {"steps": steps})
    assert found.arbiters.by_halves == (steps > 0)
    assert len(found.subject.batches()) > 2
    table = found.table
    assert table.item.tolist() == list(range(images))
    assert (table.parameters.image == torch.arange(images)).all()
    expected = found.subject.pipeline(found.subject.source, [(SCORED_EPOCH, index) for index in range(images)])
    assert torch.equal(table.parameters.box, expected.parameters.box)
    for verdict in table.verdicts.values():
        assert verdict.weights.shape == verdict.scores.shape == table.shape
        assert float(verdict.weights.mean()) == pytest.approx(1, abs=1e-4)


def test_the_same_arguments_give_the_same_result_and_page(tmp_path):
    pixels = drawings(32)
    one, two = (uota.inspect(pixels, inject=0.1, steps=2, views="small") for _ in range(2))
    for name, verdict in one.table.verdicts.items():
        assert torch.equal(verdict.scores, two.table.verdicts[name].scores)
        assert torch.equal(verdict.weights, two.table.verdicts[name].weights)
    assert one.interval == two.interval
    one.save(tmp_path / "one.html")
    two.save(tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_injected_views_are_found_and_their_share_is_in_its_interval():
    found = uota.inspect(drawings(96), inject=0.15, eyes="pretrained", steps=0, views="small", view_options=MILD)
    wrong = found.table.wrong.flatten().numpy()
    scores = found.table.verdict.scores.flatten().numpy()
    assert roc_auc_score(wrong, -scores) > 0.95
    low, high = found.interval
    assert 0 < low <= found.outlier_rate <= high
    assert low < wrong.mean() < high
    assert not found.none_found
    assert wrong[found.table.flagged.flatten().numpy()].mean() > 0.7


def test_almost_no_view_of_clean_images_is_flagged():
    found = uota.inspect(drawings(96), eyes="pretrained", steps=0, views="small", view_options=MILD)
    assert found.table.flagged.double().mean() < 0.005
    assert found.interval[0] < 0.01


def test_if_the_interval_of_the_share_holds_0_no_view_has_a_probability_above_0(monkeypatch):
    monkeypatch.setattr("uota.inspection.scoring.share_of_counts", lambda *_: Share(0.012, 0.0, 0.02))
    found = uota.inspect(drawings(20), **QUICK)
    assert found.none_found
    verdict = found.table.verdict
    assert (verdict.outlier_probability == 0).all()
    assert (verdict.weights == 1).all()
    assert not found.table.flagged.any()
    assert "(95 % interval 0.0 to 2.0 %)" in found.share_in_words


@pytest.mark.parametrize("skips_flat", [True, False])
def test_flat_views_are_left_out_of_the_centre_of_their_image(skips_flat):
    z = torch.nn.functional.normalize(
        torch.randn(6, 10, 8, generator=torch.Generator().manual_seed(0)).double(), dim=-1
    )
    z[4:] = 1.0  # all flat views look the same
    empty = torch.zeros(6, 10, dtype=torch.bool)
    empty[4:] = True
    judge = Judge(lambda views: {}, lambda seen, half: z, Contrast(), skips_flat=skips_flat)
    found = _scores(judge, z, empty).observed[:4]
    expected = Contrast()(z[:4] if skips_flat else z).observed[:4]
    torch.testing.assert_close(found, expected)


def test_flat_views_count_if_too_few_others_show_something():
    z = torch.randn(4, 10, 8, generator=torch.Generator().manual_seed(0))
    empty = torch.zeros(4, 10, dtype=torch.bool)
    empty[:2, 3] = True
    judge = Judge(lambda views: {}, lambda seen, half: z, Contrast(), skips_flat=True)
    torch.testing.assert_close(_scores(judge, z, empty).observed, Contrast()(z).observed)


def test_flat_views_do_not_count_in_the_distributions():
    pixels = drawings(60)
    plain = uota.inspect(pixels, **QUICK)
    flat = torch.cat([pixels, torch.full((12, 3, 64, 64), 200, dtype=torch.uint8)])
    found = uota.inspect(flat, **QUICK)
    assert found.table.shows_nothing[:, 60:].all()
    assert not found.table.flagged[:, 60:].any()
    assert found.outlier_rate == pytest.approx(plain.outlier_rate, abs=0.1)


def save(folder, images, damaged):
    for number, pixels in enumerate(drawings(images)):
        path = folder / f"{number:03}.png"
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
        if number in damaged:
            path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("damaged", [range(0, 12, 3), range(6)])
def test_unreadable_files_are_left_out_and_the_others_keep_their_order(tmp_path, damaged):
    save(tmp_path, 14, damaged)
    found = uota.inspect(tmp_path, **QUICK)
    assert found.table.item.tolist() == [number for number in range(14) if number not in damaged]
    assert found.html()
    assert len(found.subject.source.skipped) == len(damaged)


def test_images_of_a_batch_that_is_too_small_join_the_next(monkeypatch):
    monkeypatch.setattr("uota.inspection.input.BATCH", 8)
    found = uota.inspect(drawings(32), **QUICK)
    source, subject = found.subject.source, found.subject
    batches = subject.batches(by_halves=False)
    lost = torch.zeros(32, dtype=torch.bool)
    lost[[index for _, index in batches[1].samples[: 8 - MIN_ITEMS + 1]]] = True
    monkeypatch.setattr(type(source), "unreadable", lambda self, images: lost[images])
    sizes = [views.batch for _, views in subject.readable_batches(batches)]
    assert sizes == [8, 8 + MIN_ITEMS - 1, 8]


def test_images_that_have_no_others_to_be_compared_with_are_reported(monkeypatch, capsys):
    monkeypatch.setattr("uota.inspection.input.BATCH", 8)
    found = uota.inspect(drawings(32), **QUICK)
    source, subject = found.subject.source, found.subject
    lost = torch.zeros(32, dtype=torch.bool)
    lost[[index for _, index in subject.batches(by_halves=False)[3].samples[1:]]] = True
    monkeypatch.setattr(type(source), "unreadable", lambda self, images: lost[images])
    assert uota.inspect(source, **QUICK).table.shape[1] == 24
    assert "left out: 1 of the images" in capsys.readouterr().err


def test_views_of_misfiled_files_are_found_in_all_groups(lit_patterns):
    """Groups of images of 3×3 colours in five lights; the first file of every fifth group has moved to the next."""
    members = [list(range(5 * thing, 5 * thing + 5)) for thing in range(32)]
    moved = [25 * place for place in range(6)]
    for file in moved:
        members[file // 5].remove(file)
        members[file // 5 + 1].append(file)
    found = uota.inspect(Groups(lit_patterns(32, 5), members), views="small-groups", eyes="thumbnails")
    assert found.table.item.tolist() == list(range(32))
    away = torch.isin(found.table.parameters.image, torch.tensor(moved))
    probability = found.table.outlier_probability
    assert bool(away.any())
    assert float(probability[away].mean()) > 0.5
    assert float(probability[~away].mean()) < 0.1
