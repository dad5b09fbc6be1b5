"""The benchmark of groups: which files are misfiled, and whether the baselines find them."""

import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.groups import TINY, Archive, Run, archive, baselines, by_centres, by_neighbours, main, plan
from uota.data import Groups
from uota.data.memory import TensorSource
from uota.membership.misfile import misfile

THINGS, FILES = 20, 12


@pytest.fixture
def filed():
    """Make embeddings around one direction per object, a tenth of them in the folder of another object."""
    random = torch.Generator().manual_seed(0)
    shown = torch.arange(THINGS).repeat(FILES)
    x = torch.randn(THINGS, 32, generator=random)[shown] + 0.3 * torch.randn(len(shown), 32, generator=random)
    members = [torch.nonzero(shown == thing)[:, 0].tolist() for thing in range(THINGS)]
    files = TensorSource("files", torch.zeros(len(shown), 1, 4, 4, dtype=torch.uint8))
    groups, wrong = misfile(Groups(files, members), 0.1, seed=1)
    folder = torch.empty(len(shown), dtype=torch.int64)
    for thing, group in enumerate(groups.members):
        folder[group] = thing
    return Archive(groups, wrong, files, files), x, folder


def test_a_fraction_of_the_photographs_is_in_another_folder(monkeypatch):
    def photographs(split, seed, count):
        return torch.zeros(50, count, 1, 4, 4, dtype=torch.uint8), torch.zeros(50, dtype=torch.int64), ["garment"]

    monkeypatch.setattr("benchmarks.groups.photographs", photographs)
    data = archive(0.25, 0, TINY)
    assert int(data.wrong.sum()) == TINY.garments * TINY.photographs // 4
    assert [len(folder) for folder in data.groups.members] == [TINY.photographs] * TINY.garments
    shown = [{file % TINY.garments for file in folder} for folder in data.groups.members]
    assert sum(len(garments) > 1 for garments in shown) > 5


def test_probabilities_are_out_of_sample_and_lowest_for_misfiled_files(filed):
    data, x, folder = filed
    z = normalize(x, dim=-1)
    directions = torch.zeros(THINGS, 32).index_add(0, folder, z)
    own = (z * normalize(directions[folder] - z, dim=-1)).sum(-1)
    for probabilities in (by_neighbours(z, folder), by_centres(z, directions, own, folder)):
        torch.testing.assert_close(probabilities.sum(1), torch.ones(len(x)))
        of_folder = probabilities[torch.arange(len(x)), folder]
        assert of_folder[data.wrong].max() < of_folder[~data.wrong].min()


def test_every_baseline_finds_misfiled_files(filed):
    pytest.importorskip("cleanlab", reason="cleanlab is not a dependency of uota: pip install cleanlab")
    data, x, _ = filed
    for suspicion in baselines(x, data).values():
        assert suspicion[data.wrong].min() > suspicion[~data.wrong].max()


def test_without_cleanlab_the_error_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("benchmarks.groups.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path / "lines")])
    assert stopped.value.code == 2
    assert "pip install cleanlab" in capsys.readouterr().err


def test_the_plan_has_every_run_once():
    runs = plan()
    # Two rates of misfiled files and one without, two methods, three seeds; four other methods once.
    assert len(runs) == len(set(runs)) == 3 * (2 * (4 + 4 + 3) + 2 * 2 + 2 * 4) + 4
    assert Run(0.0, "oracle", 0) not in runs
