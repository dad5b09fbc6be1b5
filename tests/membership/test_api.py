"""`uota.misfiled`."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import uota
from uota.errors import UotaError
from uota.membership.members import score_members
from uota.membership.projection import project

GROUP = np.repeat(np.arange(20), 5)
VECTORS = (np.eye(20)[GROUP] + 0.1 * np.random.default_rng(0).normal(size=(100, 20))).astype(np.float32)
VECTORS[7] = VECTORS[93]


@pytest.fixture(scope="module")
def found():
    return uota.misfiled(VECTORS, GROUP, seed=0)


def same(found, other):
    return all(pd.Series(column).equals(pd.Series(other.columns()[name])) for name, column in found.columns().items())


def test_the_member_of_another_group_is_first(found):
    first = {name: column[0] for name, column in found.columns().items()}
    assert (first["id"], first["group"], first["fits_better"], first["nearest_other"]) == ("7", "1", "18", "93")
    assert first["probability"] > 0.9
    assert isinstance(found, uota.Misfiled)
    assert found.members.probability.argmax() == 7


def test_every_kind_of_input_gives_the_same_table(found):
    others = [
        (torch.tensor(VECTORS), torch.tensor(GROUP)),
        (pd.DataFrame(VECTORS), pd.Series(GROUP)),
        (pl.Series(VECTORS.tolist()), pl.Series([f"{each}" for each in GROUP])),
        (pa.array(list(VECTORS)), pa.array(GROUP)),
        ({"any": VECTORS.tolist()}, GROUP.tolist()),
    ]
    for embeddings, groups in others:
        assert same(found, uota.misfiled(embeddings, groups, seed=0))


def test_nearest_members_and_false_discoveries_agree_with_a_plain_reference_in_double_precision():
    features, group = {"embedding": torch.tensor(VECTORS)}, torch.tensor(GROUP)
    members = score_members(features, group, 0)
    z = project(features).double().numpy()
    cosines = z @ z.T
    np.fill_diagonal(cosines, -np.inf)
    for row in range(100):
        assert members.nearest_own[row] == np.where(GROUP[row] == GROUP, cosines[row], -np.inf).argmax()
        assert members.nearest_other[row] == np.where(members.fits[row].item() == GROUP, cosines[row], -np.inf).argmax()
    p = members.probability.double().numpy()
    fdr = [np.mean(1 - p[p >= each]) for each in p]
    assert members.fdr.double().numpy() == pytest.approx(np.array(fdr), abs=1e-6)


def test_the_only_member_of_a_group_has_no_nearest_own():
    found = uota.misfiled(VECTORS[:96], np.concatenate([GROUP[:95], [99]]))
    assert found.columns()["nearest_own"][found.columns()["id"].tolist().index("95")] is None


def test_half_precision_is_computed_in_single(found):
    half = VECTORS.astype(np.float16)
    assert same(uota.misfiled(half, GROUP), uota.misfiled(half.astype(np.float32), GROUP))


def test_groups_are_judged(found):
    assert found.groups.size.tolist() == [5] * 20
    assert bool(((found.groups.split >= 0) & (found.groups.split <= 1)).all())
    assert bool((found.groups.twin >= 0).all())


def test_names_that_are_repeated_are_said(capsys):
    uota.misfiled(VECTORS, GROUP, ["a\n"] * 100)
    assert "several members have the id a\\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((VECTORS, GROUP[:-1]), "there are 99 groups and 100 embeddings; give one for each, in the same order"),
        ((VECTORS, GROUP, ["a"]), "there are 1 ids and 100 embeddings"),
        ((VECTORS, GROUP // 10), "groups of two or more members: 2; to find"),
        ((VECTORS, np.arange(100)), "groups of two or more members: 0; to find"),
        ((VECTORS, [None, *GROUP[1:]]), "row 0 has no group"),
    ],
)
def test_what_cannot_be_judged_ends_in_one_sentence(arguments, says):
    with pytest.raises(UotaError, match=says):
        uota.misfiled(*arguments)


def test_a_seed_is_checked():
    with pytest.raises(UotaError, match="seed"):
        uota.misfiled(VECTORS, GROUP, seed=-1)
