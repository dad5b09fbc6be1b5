"""The most similar member of a group, against a loop."""

import pytest
import torch
from torch.nn.functional import normalize

from uota.membership import nearest
from uota.membership.nearest import nearest_member


@pytest.mark.parametrize("rows", [3, 512])
def test_it_is_that_of_a_loop(monkeypatch, rows):
    monkeypatch.setattr(nearest, "ROWS", rows)
    random = torch.Generator().manual_seed(0)
    group = torch.tensor([0, 1, 1, 2, 4, 4, 4, 3])[torch.randperm(8, generator=random)].repeat(3)
    group[group == 2] = torch.tensor([2, 4, 4])  # a group of one
    z = normalize(torch.randn(len(group), 5, generator=random), dim=-1)
    wanted = torch.randint(5, (len(group),), generator=random)
    for into in (group, wanted):
        expected = []
        for place, own in enumerate(into.tolist()):
            others = [other for other in range(len(z)) if group[other] == own and other != place]
            expected.append(max(others, key=lambda other: float(z[place] @ z[other]), default=-1))
        assert nearest_member(z, group, into).tolist() == expected
    assert nearest_member(z, group, group)[group == 2] == -1
