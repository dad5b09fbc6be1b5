"""Dependencies are resolved for the Python that is asked for, not for the one that runs pip."""

import pytest

from tools import resolve_wheels
from tools.resolve_wheels import ResolutionError, main, resolve, supported_versions

RELEASES = {  # what a made-up index has: version and requirements
    "torch": (
        "2.9",
        ['numpy>=2.3; python_version >= "3.14"', 'tomli; python_version < "3.11"', 'gpu; extra == "cuda"'],
    ),
    "torchvision": ("0.24", []),
    "numpy": ("2.4", []),
    "scipy": ("1.17", []),
}


@pytest.fixture
def asked(monkeypatch):
    """The requirements of every question to pip, which answers with exactly what is asked for."""
    questions = []

    def ask(requirements, version):
        questions.append(list(requirements))
        names = [text.partition(">")[0] for text in requirements]
        if unknown := [name for name in names if name not in RELEASES]:
            raise ResolutionError(f"No matching distribution found for {unknown[0]}")
        return {
            name: {"metadata": {"version": RELEASES[name][0], "requires_dist": RELEASES[name][1]}} for name in names
        }

    monkeypatch.setattr(resolve_wheels, "ask_pip", ask)
    return questions


def test_a_marker_holds_for_the_version_asked_for(asked):
    assert set(resolve(["torch"], "3.13")) == {"torch"}
    assert set(resolve(["torch"], "3.14")) == {"torch", "numpy"}
    assert asked == [["torch"], ["torch"], ["torch", "numpy>=2.3"]]


def test_a_version_that_does_not_resolve_is_a_row_and_a_failure(asked, monkeypatch, capsys):
    monkeypatch.setattr(resolve_wheels, "all_requirements", lambda: ["torch", "torchvision", "numpy", "scipy", "antlr"])
    assert main(["3.12"]) == 1
    assert "3.12    not everything has a wheel: No matching distribution found for antlr" in capsys.readouterr().out


def test_versions_are_those_of_the_classifiers():
    assert supported_versions() == ["3.11", "3.12", "3.13", "3.14"]
