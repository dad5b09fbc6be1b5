import json

import pytest

from uota.arbitration import CohortScore, Contrast
from uota.errors import UotaError
from uota.training.arbiter_choice import ArbiterChoice, read_choice, write_choice

CHOICE = ArbiterChoice("cohort score of last", ["last"], [320], 25, None, {"cohort score of last": 0.9})


def test_what_is_written_is_read_again(tmp_path):
    write_choice(CHOICE, tmp_path / "arbiter.json")
    assert read_choice(tmp_path / "arbiter.json") == CHOICE
    assert CHOICE.score == CohortScore()
    assert ArbiterChoice("Contrast", ["last"], [320], temperature=0.3).score == Contrast(0.3)


@pytest.mark.parametrize(
    "damage",
    [
        {"parts": []},
        {"parts": ["first"]},
        {"parts": ["last", "before"]},
        {"widths": [10**9]},
        {"widths": [0]},
        {"widths": ["wide"]},
        {"head_steps": -1},
        {"temperature": 0.0},
        {"code": "print()"},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    write_choice(CHOICE, tmp_path / "arbiter.json")
    written = json.loads((tmp_path / "arbiter.json").read_text())
    (tmp_path / "arbiter.json").write_text(json.dumps(written | damage))
    with pytest.raises(UotaError, match=r"arbiter\.json"):
        read_choice(tmp_path / "arbiter.json")


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_file_without_a_choice_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "arbiter.json").write_text(content)
    with pytest.raises(UotaError, match=r"arbiter\.json"):
        read_choice(tmp_path / "arbiter.json")
