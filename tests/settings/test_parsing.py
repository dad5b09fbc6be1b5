"""What a person reads who mistypes an argument."""

import pytest

from uota.commands.cli import main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["pretrain", "--arbiter", "learn"],
            "--arbiter is learn; choose one of auto, chosen, cohort, learned, two_groups, mahalanobis, none",
        ),
        (["pretrain", "--learning_rate", "fast"], "--learning_rate is fast; it must be a number"),
        (["pretrain", "--local_views", "x"], "--local_views is x; it must be a whole number or null"),
        (["pretrain", "--compile", "perhaps"], "--compile is perhaps; it must be true or false"),
        (["pretrain", "--drops", "x"], "--drops is x; it must be a list in brackets, such as [0.6, 0.8]"),
        (["pretrain", "--epoch", "3"], "unrecognized arguments: --epoch 3"),
        (["evaluate", "knn", "run", "--kk", "3"], "unrecognized arguments: --kk 3"),
        (["export", "run", "--to", "jax", "--out", "x"], "--to is jax; choose one of timm, torchvision"),
        (["embed"], "required: embed.run, embed.out"),
        ([], "pretrain,evaluate,"),
    ],
)
def test_one_line_says_what_is_wrong_and_where_help_is(arguments, says, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("uota: ")
    assert says in said.err
    assert said.err.rstrip().endswith(" --help)")
