import torch
from torch.testing import assert_close

from uota.arbitration import Arbiter, Contrast, ScoreInBatches, TwoGroups


def views(images, seed=0):
    return torch.randn(4, images, 8, generator=torch.Generator().manual_seed(seed))


def test_each_part_is_scored_by_itself():
    z, score = views(20), Contrast()
    together, first, second = ScoreInBatches(score, 2)(z), score(z[:, :10]), score(z[:, 10:])
    assert_close(together.observed, torch.cat([first.observed, second.observed], 1))
    for null, of_first, of_second in zip(together.nulls(), first.nulls(), second.nulls(), strict=True):
        assert_close(null, torch.cat([of_first.flatten(1), of_second.flatten(1)], 1))


def test_all_parts_have_one_outlier_rate():
    """Of 10 parts with 20 % strangers among their views, told from one picture of all scores."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 16, generator=generator) + 0.3 * torch.randn(6, 400, 16, generator=generator)
    wrong = torch.rand(6, 400, generator=generator) < 0.2
    z[wrong] = torch.randn(int(wrong.sum()), 16, generator=generator)
    verdict = Arbiter((ScoreInBatches(Contrast(), 10), TwoGroups())).eval()(z)
    assert abs(verdict.outlier_rate - 0.2) < 0.02
    assert float(verdict.outlier_probability[wrong].mean()) > 0.9


def test_parts_too_small_for_nulls_have_none():
    assert ScoreInBatches(Contrast(), 2)(views(5)).nulls is None
