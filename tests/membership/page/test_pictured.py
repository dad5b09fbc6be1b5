"""Pictures of rows of members, as many as there is room for."""

import torch

from uota.data.memory import TensorSource
from uota.membership.origin import Origin
from uota.membership.page.pictured import ROWS, Album

NOISE = torch.randint(0, 256, (80, 3, 60, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def album(**changes):
    return Album(Origin("noise", pictures=TensorSource("noise", NOISE), **changes))


def test_all_rows_have_pictures_if_there_is_room():
    made = album()
    made.fill([[member, 0, member + 1] for member in range(ROWS + 5)], 10**7)
    assert sorted(made.uris) == list(range(ROWS + 6))
    assert made.length == sum(map(len, made.uris.values()))


def test_quality_falls_until_all_rows_fit_and_whole_rows_are_left_out_beyond():
    rows = [[2 * row, 2 * row + 1] for row in range(40)]
    best, fitting, few = album(), album(), album()
    best.fill(rows, 10**7)
    fitting.fill(rows, int(0.7 * best.length))
    assert len(fitting.uris) == 80
    assert fitting.length <= 0.7 * best.length
    few.fill(rows, fitting.length // 8)
    assert few.length <= fitting.length // 8
    assert sorted(few.uris) == list(range(len(few.uris)))
    assert len(few.uris) % 2 == 0
    assert few.uris


def test_members_are_found_at_their_places_and_have_none_without_pictures():
    made, plain = album(place=[7, 3]), Album(Origin())
    made.fill([[0, 1]], 10**6)
    same = album()
    same.fill([[7, 3]], 10**6)
    assert [made.uris[0], made.uris[1]] == [same.uris[7], same.uris[3]]
    plain.fill([[0, 1]], 10**6)
    assert plain.uris == {}
