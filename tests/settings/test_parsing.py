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
        (["pretrain", "--devices", "many"], "--devices is many; it must be a whole number, or auto"),
        (["pretrain", "--compile", "perhaps"], "--compile is perhaps; it must be true or false"),
        (["pretrain", "--drops", "x"], "--drops is x; it must be a list in brackets, such as [0.6, 0.8]"),
        (["pretrain", "--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean --epochs?"),
        (["pretrain", "--stepz=3"], "did you mean --steps?"),
        (["pretrain", "photos"], "unrecognized arguments: photos; did you mean --data photos?"),
        (["pretrain", "--batchsize=3"], "did you mean --batch_size?"),
        (["pretrain", "--optimization.stepz=3"], "did you mean --optimization.steps?"),
        (["inspect", "--eye", "x"], "did you mean --eyes?"),
        (["evaluate", "knn", "run", "--dta", "x"], "did you mean --data?"),
        (["evaluate", "knn", "run", "--kk", "3"], "unrecognized arguments: --kk 3 (uota evaluate knn --help)"),
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


def test_settings_of_several_files_are_given_one_after_the_other(tmp_path, capsys):
    """A file that names another is refused: the other's flat names would not be read, nor its size be checked."""
    first, second, naming = (tmp_path / f"{name}.yaml" for name in ("first", "second", "naming"))
    first.write_text("seed: 3\nepochs: 9\n")
    second.write_text("epochs: 2\n")
    naming.write_text(f"config: {first}\nepochs: 2\n")
    assert main(["pretrain", f"--config={naming}"]) == 2
    assert "config names another file; give both, as --config FIRST --config SECOND" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["pretrain", f"--config={first}", f"--config={second}", "--print_config"])
    said = capsys.readouterr().out
    assert "seed: 3" in said
    assert "epochs: 2" in said
