import csv
import json
import shutil
import signal
import sys
from dataclasses import asdict

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.processes import run_command, started, wait_until

from uota.commands.cli import main
from uota.errors import UotaError
from uota.settings.evaluation import EncoderSpec
from uota.settings.transfer import Transfer, learning_rate
from uota.transfer.transfer import transfer


def command(task, weights, out, settings, *flags):
    values = {name: value for name, value in asdict(settings).items() if value is not None}
    arguments = [
        f"--{name}={json.dumps(value) if isinstance(value, bool) else value}" for name, value in values.items()
    ]
    return [sys.executable, "-m", "uota", "transfer", task, str(weights), f"--out={out}", *arguments, *flags]


def state(out):
    return torch.load(out / "checkpoint.ckpt", map_location="cpu", weights_only=True)


def start(task, weights, out, settings, **options):
    return transfer(task, EncoderSpec(str(weights)), settings, str(out), bar=False, **options)


@pytest.mark.parametrize(
    ("task", "parts", "heads", "rate"),
    [
        # Initial scores of published heads are near zero for several categories: at 0.02 nothing would be detected.
        ("detection", ["boxes"], "published", 0.06),
        ("segmentation", ["boxes", "masks"], "published", 0.06),
        ("segmentation", ["boxes", "masks"], "torchvision", 0.02),
        ("keypoints", ["boxes", "keypoints"], "published", 0.02),
        ("keypoints", ["boxes", "keypoints"], "torchvision", 0.02),
    ],
)
def test_each_task_is_trained_and_measured_as_by_pycocotools(
    weights, coco, short, tmp_path, capsys, task, parts, heads, rate
):
    settings = short(steps=12, batch_size=8, heads=heads, learning_rate=rate)
    found = start(task, weights, tmp_path / "out", settings)
    assert list(found) == parts
    written = json.loads((tmp_path / "out/result.json").read_text())
    assert written["boxes"] == asdict(found["boxes"])
    assert "48 images with 94 objects" in capsys.readouterr().out
    (log,) = (tmp_path / "out/logs").glob("*/metrics.csv")
    losses = [float(row["loss"]) for row in csv.DictReader(log.read_text().splitlines()) if row["loss"]]
    assert len(losses) == 12
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    kind = "person_keypoints" if task == "keypoints" else "instances"
    truth = COCO(str(coco / f"annotations/{kind}_val2017.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out/detections.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert found["boxes"].ap == pytest.approx(100 * evaluation.stats[0], abs=1e-3)


def test_killed_and_resumed_equals_uninterrupted(weights, short, tmp_path):
    settings = short(steps=16, batch_size=2, checkpoint_every=2)
    whole = start("segmentation", weights, tmp_path / "whole", settings)
    killed = tmp_path / "killed"
    with started(command("segmentation", weights, killed, settings)) as process:
        wait_until((killed / "checkpoint.ckpt").exists, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 0 < state(killed)["global_step"] < 16
    found = transfer("segmentation", EncoderSpec(str(weights)), None, str(killed), resume=True, bar=False)
    assert found == whole
    resumed = state(killed)["state_dict"]
    for name, tensor in state(tmp_path / "whole")["state_dict"].items():
        assert torch.equal(tensor, resumed[name]), name


def test_ctrl_c_leaves_a_folder_that_can_be_resumed(weights, coco, short, tmp_path):
    out = tmp_path / "out"
    with started(command("detection", weights, out, short(steps=10**5, checkpoint_every=10**5))) as process:
        wait_until(lambda: list(out.glob("logs/*/metrics.csv")), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (130, False)
    assert f"uota transfer detection {weights} --out {out} --resume" in errors
    assert state(out)["global_step"] > 0
    with pytest.raises(UotaError, match="other settings"):
        start("detection", weights, out, short(), resume=True)
    (coco / "train2017/000000000001.jpg").unlink()
    with pytest.raises(UotaError, match="not those"):
        start("detection", weights, out, None, resume=True)


def test_two_processes_detect_together_what_one_detects(weights, short, tmp_path):
    """Uses torchvision's heads, since the moments that published heads measure depend on each process's batches."""
    two, one = tmp_path / "two", tmp_path / "one"
    settings = short(steps=3, devices=2, learning_rate=0.1, heads="torchvision")
    done = run_command(command("detection", weights, two, settings))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("detection: boxes AP") == 1
    assert done.stdout.count("48 images with") == 1
    shutil.copytree(two, one)
    alone = (one / "settings.json").read_text().replace('"devices": 2', '"devices": 1')
    (one / "settings.json").write_text(alone)
    transfer("detection", EncoderSpec(str(weights)), None, str(one), resume=True, bar=False)
    assert state(one)["global_step"] == 3
    both = [json.loads((out / "detections.json").read_text()) for out in (one, two)]
    assert len(both[0]) > 100
    for rows in zip(*(sorted(rows, key=lambda row: (row["image_id"], row["bbox"])) for rows in both), strict=True):
        assert rows[0]["image_id"] == rows[1]["image_id"]
        assert rows[0]["bbox"] == pytest.approx(rows[1]["bbox"], abs=2e-3)
    assert len({row["image_id"] for row in both[0]}) > 20


def test_two_processes_share_the_moments_of_published_heads(weights, short, tmp_path):
    out = tmp_path / "out"
    done = run_command(command("segmentation", weights, out, short(steps=2, devices=2)))
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "settings.json").read_text())["settings"]["heads"] == "published"
    saved = state(out)["state_dict"]
    counts = {name: int(each) for name, each in saved.items() if name.endswith("num_batches_tracked")}
    used = {name: count for name, count in counts.items() if ".roi_heads." in name or ".pyramid." in name}
    assert set(used.values()) == {2}
    assert len(used) == 4 + 4 + 2 * 3  # box head, mask head, and two of each level of the pyramid


def test_a_transfer_is_resumed_with_the_heads_it_was_started_with(weights, short, tmp_path):
    """Folders from before the setting existed have torchvision's heads and are resumed with them."""
    out = tmp_path / "out"
    start("detection", weights, out, short(steps=1, heads="torchvision"))
    with pytest.raises(UotaError, match="other settings"):
        start("detection", weights, out, short(steps=1, heads="published"), resume=True)
    started = json.loads((out / "settings.json").read_text())
    del started["settings"]["heads"]
    (out / "settings.json").write_text(json.dumps(started))
    assert start("detection", weights, out, None, resume=True) is not None


@pytest.mark.parametrize("heads", ["published", "torchvision"])
@pytest.mark.parametrize("norm", ["sync", "frozen"])
def test_frozen_norms_do_not_change_and_others_do(weights, short, tmp_path, norm, heads):
    start("detection", weights, tmp_path / "out", short(norm=norm, heads=heads))
    before, after = torch.load(weights), state(tmp_path / "out")["state_dict"]
    prefix = "detector.backbone.encoder.backbone."
    assert not torch.equal(after[prefix + "stages.3.conv1.weight"], before["stages.3.conv1.weight"])
    for name in ("stem.1.running_mean", "stages.3.bn2.running_var", "stages.3.bn2.weight"):
        assert torch.equal(after[prefix + name], before[name]) == (norm == "frozen")
    in_pyramid = "detector.backbone.pyramid.layer_blocks.0.1.weight" in after
    assert in_pyramid == (norm == "sync" or heads == "published")


def test_from_scratch_is_the_same_network_with_other_weights(weights, short, tmp_path):
    for name, changes in {"loaded": {}, "scratch": {"from_scratch": True}}.items():
        start("detection", weights, tmp_path / name, short(steps=1, learning_rate=1e-9, **changes))
    loaded, scratch = (state(tmp_path / name)["state_dict"] for name in ("loaded", "scratch"))
    stem = "detector.backbone.encoder.backbone.stem.0.weight"
    assert torch.allclose(loaded[stem], torch.load(weights)["stem.0.weight"])
    assert loaded[stem].shape == scratch[stem].shape
    assert not torch.allclose(loaded[stem], scratch[stem], atol=1e-3)
    assert torch.allclose(loaded["detector.rpn.head.cls_logits.weight"], scratch["detector.rpn.head.cls_logits.weight"])


def test_images_that_become_unreadable_do_not_stop_a_run(weights, coco, short, tmp_path, capsys):
    for folder, name in (("train2017", "000000000003.jpg"), ("val2017", "000000000004.jpg")):
        (coco / folder / name).write_bytes(b"not an image")
    (coco / "train2017/000000000007.jpg").unlink()
    assert start("detection", weights, tmp_path / "out", short(epochs=1, steps=None)) is not None
    said = capsys.readouterr().out
    assert "1 images that are listed but not in" in said
    assert "000000000003.jpg" in said
    assert "000000000004.jpg" in said


def test_the_schedule_equals_detectrons():
    settings = Transfer()
    assert settings.total_steps(batches=7329, batch=16) == 90_000
    assert Transfer(schedule="2x").total_steps(7329, 8) == 360_000
    assert Transfer(epochs=3).total_steps(10, 16) == 30
    rates = [learning_rate(step, 90_000, 0.02) for step in (0, 500, 1000, 59_999, 60_000, 79_999, 80_000, 89_999)]
    assert rates == pytest.approx([2e-5, 0.01001, 0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002])
    assert learning_rate(5, 100, 1.0) == pytest.approx(0.5005)


def test_unusable_inputs_are_refused_before_anything_is_written(weights, coco, short, tmp_path, capsys):
    out = tmp_path / "out"
    flags = ["--accelerator=cpu", "--steps=1", f"--out={out}"]
    assert main(["transfer", "detection", str(weights), "--coco=nowhere", *flags]) == 2
    assert "no folder nowhere" in capsys.readouterr().err
    assert main(["transfer", "detection", str(weights), *flags]) == 2
    assert "--coco" in capsys.readouterr().err
    assert main(["transfer", "detection", str(weights), f"--coco={coco}", "--epochs=1", *flags]) == 2
    assert "epochs and steps" in capsys.readouterr().err
    assert main(["transfer", "detection", str(weights), f"--coco={coco}", "--resume", *flags]) == 2
    assert "not a transfer" in capsys.readouterr().err
    assert not out.exists()
    shutil.copytree(coco / "train2017", out)
    assert main(["transfer", "detection", str(weights), f"--coco={coco}", *flags]) == 2
    assert "--overwrite" in capsys.readouterr().err
    with pytest.raises(UotaError, match="--out"):
        transfer("detection", EncoderSpec(str(weights)), short())


def test_diverged_training_says_so(weights, short, tmp_path):
    with pytest.raises(UotaError, match="lower --learning_rate"):
        start("detection", weights, tmp_path / "out", short(steps=20, learning_rate=1e8))
