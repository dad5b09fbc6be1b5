"""Which runs are averaged and compared, and the notes on the others."""

import json
from statistics import mean

import pytest
from scipy import stats

from uota.comparison import compare
from uota.comparison.names import short_names
from uota.errors import UotaError
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

ARBITRATED = {"arbiter": "learned", "eyes": "features"}


def linear(top1, **others):
    return {"linear.json": {"top1": top1, "top5": 90.0} | others}


def cells(found, column="linear top-1"):
    """Title, mean and mean gain of each row."""
    place = found.columns.index(column)
    figures = [(row.method, row.figures[place]) for row in found.rows]
    return [
        (method, figure and figure.value.mean, figure and figure.gain and figure.gain.mean)
        for method, figure in figures
    ]


def test_seeds_are_averaged_and_gains_paired(seeds):
    found = compare(reversed(seeds()))

    plain, learned = found.records()
    assert found.notes == ()
    assert [row.method for row in found.rows] == ["SwAV", "SwAV + learned on features"]
    assert (plain["epochs"], plain["batch"], sorted(learned["seeds"])) == ("4", 128, [0, 1, 2])
    reference = stats.ttest_rel((66, 68, 69), (60, 64, 62))
    assert learned["linear top-1"] == pytest.approx(mean((66, 68, 69)))
    assert learned["linear top-1 gain"] == pytest.approx(17 / 3)
    assert learned["linear top-1 gain p"] == pytest.approx(reference.pvalue)
    assert plain["linear top-1 gain"] is None
    assert plain["linear top-1 ±"] == pytest.approx(stats.sem((60, 64, 62)) * stats.t.ppf(0.975, 2))


def test_one_run_has_no_interval(make_run):
    record = compare([make_run("a", results=linear(55.0))]).records()[0]
    assert (record["linear top-1"], record["linear top-1 ±"], record["linear top-1 gain"]) == (55.0, None, None)


def test_a_missing_evaluation_is_none_and_does_not_count_in_the_mean(seeds, make_run):
    runs = seeds()
    (runs[4] / "linear.json").unlink()
    found = compare([*runs, make_run("other", method="byol")])
    assert cells(found)[1:] == [("SwAV + learned on features", 67.5, 6.5), ("BYOL", None, None)]
    assert any("is the mean of 2 of 3 runs" in note for note in found.notes)


def test_null_is_a_missing_value(make_run):
    found = compare([make_run("a", results=linear(None))])
    assert found.columns == ("linear top-5",)


def test_gains_are_over_the_seeds_that_both_have(seeds):
    runs = seeds()
    found = compare(runs[1:])
    assert cells(found)[1][2] == pytest.approx((68 - 64 + 69 - 62) / 2)
    assert any("is over the 2 seed(s) that both have" in note for note in found.notes)
    found = compare([runs[0], runs[4]])
    assert cells(found)[1][2] is None
    assert any("no seed in common" in note for note in found.notes)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"learning_rate": 0.1}, "learning_rate 0.1 and 0.002"), ({"data": "demo"}, "data demo and demo-scenes"),
     ({"epochs": 8}, "epochs 8 and 4"), ({"inject": 0.25}, "inject 0.25 and 0.0")],
)  # fmt: skip
def test_runs_that_differ_in_more_than_arbitration_are_not_paired(make_run, settings, says):
    plain = make_run("plain", results=linear(60.0))
    found = compare([plain, make_run("learned", results=linear(66.0), **ARBITRATED, **settings)])
    assert cells(found) == [("SwAV", 60.0, None), ("SwAV + learned on features", 66.0, None)]
    assert found.notes == (f"{plain.parent / 'learned'} has no gain over {plain}: they differ in {says}",)
    if "epochs" not in settings:
        assert [row.others for row in found.rows] == [
            " ".join(says.split()[::3]),
            f"{says.split()[0]} {says.split()[1]}",
        ]


def test_runs_of_different_methods_are_not_paired(make_run):
    found = compare(
        [make_run("byol", method="byol", results=linear(60.0)), make_run("a", results=linear(66.0), **ARBITRATED)]
    )
    assert cells(found)[1][2] is None
    assert "no run of swav without arbitration was given" in found.notes[0]


def test_settings_that_affect_only_speed_are_ignored(make_run):
    others = {
        "workers": 3,
        "accelerator": "cpu",
        "devices": 2,
        "threads": 1,
        "checkpoint_every": 7,
        "views_on": "device",
    }
    plain = make_run("plain", results=linear(60.0))
    found = compare([plain, make_run("learned", results=linear(61.0), **ARBITRATED, **others)])
    assert cells(found)[1][2] == 1.0


def test_sampling_and_the_papers_recipe_are_arbitration(make_run):
    plain = make_run("plain", results=linear(60.0))
    sampled = make_run("sampled", results=linear(61.0), candidates=2)
    paper = [
        make_run(
            f"paper-{tau}",
            results=linear(62.0),
            arbiter="mahalanobis",
            eyes="embeddings",
            late_factor=2.0,
            tau=tau,
        )
        for tau in (100.0, 350.0)
    ]
    found = compare([plain, sampled, *paper])
    assert cells(found) == [
        ("SwAV", 60.0, None),
        ("SwAV + 2 candidates", 61.0, 1.0),
        ("SwAV + mahalanobis on embeddings, tau 100.0", 62.0, 2.0),
        ("SwAV + mahalanobis on embeddings, tau 350.0", 62.0, 2.0),
    ]


def test_different_conditions_of_a_protocol_have_separate_columns(make_run):
    plain = make_run("plain", results={"linear-sgd.json": {"top1": 60.0, "settings": {"epochs": 100, "seed": 0}}})
    short = {"linear-sgd.json": {"top1": 66.0, "settings": {"epochs": 10, "seed": 5}}}
    found = compare([plain, make_run("learned", results=short, **ARBITRATED)])
    assert found.columns == ("linear-sgd (epochs 100) top-1", "linear-sgd (epochs 10) top-1")
    assert cells(found, found.columns[0]) == [("SwAV", 60.0, None), ("SwAV + learned on features", None, None)]
    assert found.notes == ("linear-sgd was run under different conditions (epochs): it has several columns",)


def test_average_precisions_of_any_task_have_columns(make_run):
    boxes = {"boxes": {"ap": 38.1, "ap50": 58.0, "ap75": 41.2}, "masks": {"ap": None, "ap50": 50.0, "ap75": 30.0}}
    flat = {"ap_mask": 33.0, "ap50_mask": 55.0, "ap_keypoints": {"AP": 60.0}}
    run = make_run("a", results=linear(50.0) | {"detection/result.json": boxes, "own.json": flat})
    (run / "detection" / "settings.json").write_text("{}")
    record = compare([run]).records()[0]
    assert {name: value for name, value in record.items() if " AP" in name and value is not None} == {
        "detection AP boxes": 38.1, "detection AP50 boxes": 58.0, "detection AP75 boxes": 41.2,
        "detection AP50 masks": 50.0, "detection AP75 masks": 30.0,
        "own AP mask": 33.0, "own AP50 mask": 55.0, "own AP keypoints": 60.0,
    }  # fmt: skip
    assert compare([run]).columns[0] == "linear top-1"


def test_a_seed_counts_once(make_run):
    first, again = make_run("first", results=linear(60.0)), make_run("again", results=linear(70.0))
    bare = make_run("bare")
    found = compare([bare, first, again, first])
    assert cells(found) == [("SwAV", 60.0, None)]
    assert found.notes[0] == f"{first} is given twice and counted once"
    assert f"{bare} has the settings and the seed 0 of {first}" in found.notes[1]
    assert f"{again} has the settings and the seed 0 of {first}" in found.notes[2]


def test_an_unfinished_run_has_its_own_row(make_run, seeds):
    stopped = make_run("stopped", done=3, seed=3, results=linear(10.0))
    found = compare([*seeds(), stopped])
    assert [row.epochs for row in found.rows] == ["4", "4", "3 of 4"]
    assert cells(found)[0] == ("SwAV", 62.0, None)
    assert f"{stopped} is not finished, 3 of 4 epochs are done" in found.notes[0]


def test_runs_of_a_number_of_steps_are_compared_by_it(make_run):
    steps = {"epochs": None, "steps": 200, "results": linear(60.0)}
    found = compare([make_run("stopped", done=1, **steps), make_run("epochs", results=linear(62.0))])
    assert sorted(row.epochs for row in found.rows) == ["1 of 200 steps", "4"]
    assert "1 of 200 steps are done" in found.notes[0]


def test_folders_that_cannot_be_compared_are_named_and_left_out(make_run, tmp_path):
    fine, crashed, broken = make_run("fine", results=linear(60.0)), make_run("crashed"), make_run("broken", seed=1)
    (crashed / "checkpoint.ckpt").unlink()
    (broken / "knn.json").write_text("{")
    found = compare([fine, crashed, broken, tmp_path / "nowhere"])
    assert cells(found)[0][1] == 60.0
    said = " ".join(found.notes)
    assert f"{crashed} has no checkpoint yet" in said
    assert f"{tmp_path / 'nowhere'} is not the folder of a run" in said
    assert f"{broken / 'knn.json'} cannot be read and is left out" in said
    with pytest.raises(UotaError, match="is not the folder of a run"):
        compare([tmp_path / "nowhere"])


def test_a_run_without_its_checkpoint_is_assumed_to_be_finished(make_run):
    run = make_run("a", results=linear(60.0))
    (run / "checkpoint.ckpt").unlink()
    found = compare([run])
    assert found.rows[0].epochs == "4"
    assert "no checkpoint any more" in found.notes[0]


def test_a_folder_of_runs_is_replaced_by_them(seeds):
    assert len(compare([seeds()[0].parent]).rows) == 2


def test_third_party_weights_have_a_row(make_run, tmp_path):
    (tmp_path / "moco").mkdir()
    (tmp_path / "moco" / "linear.json").write_text(
        json.dumps({"encoder": "moco.pth", "data": "demo-scenes", "top1": 50.0})
    )
    found = compare([tmp_path / "moco", make_run("a", results=linear(60.0))])
    assert cells(found) == [("moco.pth", 50.0, None), ("SwAV", 60.0, None)]
    assert (found.rows[0].epochs, found.rows[0].batch, found.rows[0].seeds) == (None, None, [])


def test_a_note_says_how_to_evaluate(make_run):
    run = make_run("a")
    assert compare([run]).notes == (f"no run is evaluated yet; start with: uota evaluate linear {run}",)


def test_a_finished_run_has_all_its_epochs(pictures, tmp_path):
    few = {"views": "small", "epochs": 2, "batch_size": 48, "workers": 0, "threads": 1, "accelerator": "cpu"}
    settings = Pretrain.from_flat(data=str(pictures), method="random", arbiter="none", **few)
    run = pretrain(settings, tmp_path / "run", bar=False, lines=False)
    assert Run(run.folder).epochs_done() == 2


def test_runs_have_short_names_that_tell_them_apart(tmp_path):
    folders = [tmp_path / "a/seed-0", tmp_path / "b/seed-0", tmp_path / "a/seed-1", tmp_path / "b/c/seed-0"]
    assert list(short_names(folders).values()) == ["a/seed-0", "b/seed-0", "seed-1", "c/seed-0"]
