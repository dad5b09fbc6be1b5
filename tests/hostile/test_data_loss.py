"""Nothing is lost through --overwrite, refused settings, signals, a second process or changed images."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.hostile.conftest import fill
from tests.processes import SignallingSource, started, wait_until
from torch.utils.data import Dataset

from uota.commands import COMMANDS
from uota.commands.cli import main
from uota.data import open_source
from uota.data.fingerprint import fingerprint
from uota.data.places import located, places_of
from uota.errors import StoppedError, UotaError
from uota.io import locks
from uota.io.atomic import atomic_write
from uota.io.locks import hold
from uota.runs.checkpoints import find_damage
from uota.runs.folder import EVALUATION, RUN, empty_folder, require_free
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training import checkpoints
from uota.training.loader import Loader
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain
from uota.training.signals import STOPPING, Interruption, leave_signals_to_parent, raise_signals, stop_requests
from uota.training.trainer import make_trainer, translate_stops
from uota.views import identity_collate

LARGER = ["--batch_size=8", "--threads=1", "--accelerator=cpu", "--arbiter=none", "--views=small"]
SMALL = [*LARGER, "--epochs=1", "--workers=0"]

PICTURES = [f"{'ab'[number % 2]}/{number:02}.png" for number in range(12)]


def settings_for(folder, **changes):
    few = {"data": str(folder), "views": "small", "local_views": 0, "workers": 0, "epochs": 3, "batch_size": 4}
    return Pretrain.from_flat(**few | {"accelerator": "cpu", "threads": 1, "arbiter": "none"} | changes)


def train(settings, out, **options):
    return pretrain(settings, out, bar=False, lines=False, **options)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("images"), PICTURES)


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """Train a run, which tests must not change."""
    return train(settings_for(images, epochs=2), tmp_path_factory.mktemp("trained") / "run").folder


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """Train an uninterrupted run of three epochs of two steps, and return its weights."""
    return train(settings_for(images, batch_size=5), tmp_path_factory.mktemp("whole") / "run").state()["state_dict"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(locks, "WAIT", 0)


def content(folder):
    """Return all files in a folder except locks, with their times of modification."""
    return {
        path: path.lstat().st_mtime_ns for path in folder.rglob("*") if path.name != ".uota.lock" and not path.is_dir()
    }


def exit_code(arguments):
    """Run a command, whose arguments jsonargparse may refuse, and return its exit status."""
    try:
        return main(arguments)
    except SystemExit as refused:
        return refused.code


def said(capsys):
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return errors


# --overwrite


def a_run(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(Pretrain().as_dict()))
    (folder / "checkpoint.ckpt").write_text("weights")
    return folder


RELATIONS = {
    "is": ("x/data", "x/data", "is"),
    "is, by a link": ("x/data", "link", "is"),
    "is, by a link to the data": ("link", "x/data", "is"),
    "is, spelled otherwise": ("x/data", "x/../x/./data", "is"),
    "is, with a slash": ("x/data/", "x/data", "is"),
    "holds": ("x/data", "x", "contains"),
    "holds, further up": ("x/data/a/b", "x", "contains"),
    "holds, by a link to the data": ("link", "x", "contains"),
    "lies in": ("x/data", "x/data/runs/r", "is inside"),
    "lies in, by a link": ("x/data", "link/runs/r", "is inside"),
    "holds shards": ("x/shards-{000..099}.tar", "x", "contains"),
    "holds shards, further up": ("x/y/shards-*.tar", "x", "contains"),
    "holds a tar": ("x/one.tar", "x", "contains"),
    "lies among folders of shards": ("x/{a,b}/s.tar", "x/a", "is inside"),
    "is a saved data set": ("x/data#image=left&label=kind", "x/data", "is"),
}


@pytest.mark.parametrize(("data", "out", "says"), RELATIONS.values(), ids=RELATIONS)
def test_overwrite_refuses_a_folder_that_overlaps_the_data(tmp_path, data, out, says):
    (tmp_path / "x/data").mkdir(parents=True)
    (tmp_path / "link").symlink_to("x/data")
    folder = a_run(tmp_path / out)
    before = content(tmp_path)
    with pytest.raises(UotaError, match=f"{says} .*choose another --out"):
        empty_folder(folder, True, places_of(f"{tmp_path}/{data}"))
    assert content(tmp_path) == before


APART = {
    "beside": ("x/data", "runs/r"),
    "begins alike": ("x/data", "x/data2"),
    "below shards": ("x/s-{0..9}.tar", "x/runs/r"),
    "a name": ("demo-scenes", "demo-scenes"),
    "an address": ("s3://x/data", "x"),
    "none": ("", "r"),
}


@pytest.mark.parametrize(("data", "out"), APART.values(), ids=APART)
def test_overwrite_replaces_a_run_outside_the_data(tmp_path, monkeypatch, data, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x/data").mkdir(parents=True)
    folder = a_run(tmp_path / out)
    empty_folder(folder, True, places_of(data))
    assert not content(folder)


NOT_A_RUN = {
    "a text": {"notes.txt": "mine"},
    "pictures": {"a/1.png": "", "b/2.png": ""},
    "settings of others": {"settings.json": '{"editor.fontSize": 12}'},
    "empty settings": {"settings.json": "{}"},
    "a list": {"settings.json": "[1]"},
    "no JSON": {"settings.json": "{"},
    "no text": {"settings.json": "\udcff\udcfe"},
    "nested settings": {"settings.json": "[" * 100_000},
    "settings further down": {"r/settings.json": '{"data": 1, "method": 1, "arbiter": 1, "epochs": 1, "seed": 1}'},
    "logs alone": {"logs/version_0/metrics.csv": "1"},
    "a checkpoint alone": {"checkpoint.ckpt": "weights"},
    "unfinished of others": {".12.notes.txt": "mine"},
    "data.json with another": {"data.json": "{}", "table.csv": ""},
    "a folder of that name": {"settings.json/data": ""},
}


@pytest.mark.parametrize("files", NOT_A_RUN.values(), ids=NOT_A_RUN)
def test_overwrite_refuses_a_folder_that_is_not_a_run(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    before = content(tmp_path)
    with pytest.raises(UotaError, match="is not the folder of a run"):
        empty_folder(tmp_path, overwrite=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("settings.json")], ids=["pipe", "loop"])
def test_a_folder_with_unreadable_settings_is_not_a_run(tmp_path, make):
    make(tmp_path / "settings.json")
    with pytest.raises(UotaError, match="is not the folder of a run"):
        require_free(tmp_path, overwrite=True)


@pytest.mark.parametrize("out", ["", ".", "./", "../here"])
def test_the_working_directory_is_not_emptied(images, tmp_path, monkeypatch, capsys, out):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/thesis.tex").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")
    assert main(["pretrain", f"--data={images}", f"--out={out}", "--overwrite", *SMALL]) == 2
    assert said(capsys)
    assert (tmp_path / "here/thesis.tex").exists()


FOREIGN_FILES = ["notes.txt", ".hidden", "logs/mine.txt", "logs/version_0/figure.png", "logs/version_0/sub/x", "b.ckpt",
        "checkpoint.ckpt.bak", "linear-sgd/notes.txt", "detection/photo.jpg", "finetune-10/sub/y", "data/1.png",
        "settings.json.old", "logs2/metrics.csv", ".12.notes.txt", "skipped.txt/x", "data.json/z"]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN_FILES)
def test_foreign_files_in_a_run_are_kept(tmp_path, name):
    run = a_run(tmp_path / "run")
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("mine")
    for written in ("logs/version_0/metrics.csv", "linear-sgd/identity.json", ".3.knn.json", "detection/result.json"):
        (run / written).parent.mkdir(parents=True, exist_ok=True)
        (run / written).write_text("a run's")
    empty_folder(run, overwrite=True)
    assert {str(path.relative_to(run)) for path in content(run)} == {name}


@pytest.mark.parametrize("link", ["logs", "checkpoint.ckpt", "detection", "linear-sgd", "data.json", "photos"])
def test_a_link_is_removed_and_not_followed(tmp_path, link):
    elsewhere = a_run(tmp_path / "elsewhere")
    for name in ("version_0/metrics.csv", "identity.json", "result.json"):
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_text("needed")
    before = content(elsewhere)
    run = a_run(tmp_path / "run")
    (run / link).unlink(missing_ok=True)
    (run / link).symlink_to(elsewhere)
    empty_folder(run, overwrite=True)
    assert content(elsewhere) == before
    assert (run / link).is_symlink() == (link == "photos")


LEFTOVERS = [
    [".uota.lock"],
    ["data.json"],
    [".99999999.data.json"],
    [".99999999.settings.json", ".uota.lock", "data.json"],
]


@pytest.mark.parametrize("left", LEFTOVERS, ids=", ".join)
def test_files_of_a_run_killed_before_its_settings_are_replaced(images, tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("{")
    run = train(settings_for(images, epochs=1), tmp_path / "run", overwrite=True)
    assert {path.name for path in run.folder.iterdir()} == {
        *(".uota.lock", "data.json", "settings.json", "baseline.json", "checkpoint.ckpt", "logs")
    }


# Settings are refused before anything is changed

REFUSED = ["--method=nope", "--backbone=nope", "--views=nope", "--data=/no/such", "--data=", "--accelerator=nonsense",
           "--accelerator=tpu", "--batch_size=0", "--devices=7", "--inject=2", "--epochs=many", "--unknown=1",
           "--view_options={global: {size: [1]}}", "--method_options={colour: 3}", "--config=/no/such"]  # fmt: skip


@pytest.mark.parametrize("flag", REFUSED)
def test_refused_settings_leave_an_existing_run_unchanged(trained, images, capsys, flag):
    before = content(trained)
    flags = [f"--data={images}", f"--out={trained}", "--overwrite", *SMALL, flag]
    assert exit_code(["pretrain", *flags]) == 2
    assert said(capsys)
    assert content(trained) == before


def test_an_unknown_optimizer_is_refused_before_the_run_is_removed(trained, images):
    before = content(trained)
    with pytest.raises(Exception, match="nonsense"):
        train(settings_for(images, optimizer="nonsense"), trained, overwrite=True)
    assert content(trained) == before


def test_unreadable_images_are_found_before_the_run_is_removed(trained, tmp_path, capsys):
    folder = fill(tmp_path / "images", PICTURES)
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:100])
    before = content(trained)
    assert main(["pretrain", f"--data={folder}", f"--out={trained}", "--overwrite", *SMALL]) == 2
    assert str(folder) in said(capsys)
    assert content(trained) == before


# Signals


def stopped_while_loading(monkeypatch, images, out, at, *numbers, **changes):
    # The first requests are the test of the views and the baseline.
    source = SignallingSource(open_source(images), at + 2, *numbers)
    monkeypatch.setattr("uota.training.pretrain.open_items", lambda *_, **__: source)
    monkeypatch.setattr("uota.training.pretrain.fingerprint", lambda _: fingerprint(source.source))
    with pytest.raises(StoppedError, match="--resume") as stopped:
        train(settings_for(images, batch_size=5, **changes), out)
    monkeypatch.undo()
    return stopped.value


def assert_resumes_to(whole, images, out):
    found = train(settings_for(images, batch_size=5), out, resume=True).state()["state_dict"]
    for name, value in whole.items():
        assert not isinstance(value, torch.Tensor) or torch.equal(found[name], value), name


MOMENTS = {"before the first step": 1, "within an epoch": 2, "between epochs": 3, "before the last step": 6}


@pytest.mark.parametrize("at", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_while_loading_saves_immediately(whole, images, tmp_path, monkeypatch, number, at):
    before = [signal.getsignal(each) for each in STOPPING]
    stopped = stopped_while_loading(monkeypatch, images, tmp_path / "run", at, number)
    assert stopped.code == 128 + number
    assert f"stopped at step {at - 1};" in str(stopped)
    assert Run(tmp_path / "run").state()["global_step"] == at - 1
    assert [signal.getsignal(each) for each in STOPPING] == before
    assert_resumes_to(whole, images, tmp_path / "run")


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_during_a_step_lets_it_finish(whole, images, tmp_path, monkeypatch, number):
    step = Pretraining.training_step

    def signalled(self, views, batch_index):
        if self.global_step == 3:
            signal.raise_signal(number)
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", signalled)
    with pytest.raises(StoppedError, match="stopped at step 4") as stopped:
        train(settings_for(images, batch_size=5), tmp_path / "run")
    monkeypatch.undo()
    assert stopped.value.code == 128 + number
    assert_resumes_to(whole, images, tmp_path / "run")


def test_simultaneous_signals_count_as_one(images, tmp_path, monkeypatch):
    stopped = stopped_while_loading(monkeypatch, images, tmp_path / "run", 2, signal.SIGTERM, signal.SIGHUP)
    assert stopped.number == signal.SIGTERM
    assert Run(tmp_path / "run").state()["global_step"] == 1


def test_a_second_signal_stops_immediately(images, tmp_path, monkeypatch):
    monkeypatch.setattr("uota.training.signals.SAME_REQUEST", -1.0)
    step = Pretraining.training_step

    def signalled(self, views, batch_index):
        if self.global_step == 1:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", signalled)
    with pytest.raises(StoppedError, match="stopped at once") as stopped:
        train(settings_for(images), tmp_path / "run")
    assert stopped.value.number == signal.SIGINT
    assert not Run(tmp_path / "run").checkpoint.exists()


@pytest.fixture
def ignored():
    """Ignore all signals that request a stop, as shells and nohup do for programs in the background."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_ignored_signals_stay_ignored(images, tmp_path, monkeypatch, ignored, number):
    source = SignallingSource(open_source(images), 3, number)
    monkeypatch.setattr("uota.training.pretrain.open_items", lambda *_, **__: source)
    monkeypatch.setattr("uota.training.pretrain.fingerprint", lambda _: fingerprint(source.source))
    assert train(settings_for(images), tmp_path / "run").epochs_done() == 3


def test_sigint_stops_training_in_the_background(images, tmp_path, monkeypatch, ignored):
    assert stopped_while_loading(monkeypatch, images, tmp_path / "run", 2, signal.SIGINT).code == 130
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_training_in_another_thread_installs_no_handlers(images, tmp_path):
    done = []
    thread = threading.Thread(
        target=lambda: done.append(train(settings_for(images), tmp_path / "run").epochs_done()), daemon=True
    )
    thread.start()
    thread.join(timeout=100)
    assert done == [3]


def test_checkpoints_are_also_written_by_time(images, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", -1.0)
    step = Pretraining.training_step

    def failing(self, views, batch_index):
        if self.global_step == 2:
            raise UotaError("the training has diverged")
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", failing)
    with pytest.raises(UotaError, match="diverged"):
        train(settings_for(images, checkpoint_every=10**6), tmp_path / "run")
    assert Run(tmp_path / "run").state()["global_step"] == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGUSR1, 138)],
    ids=["term", "hup", "int", "usr1"],
)
@pytest.mark.parametrize("command", ["methods", "inspect", "evaluate"])
def test_a_signal_stops_any_other_command_with_a_message(monkeypatch, capsys, tmp_path, command, number, code):
    def run(options):
        with hold(tmp_path, RUN | EVALUATION):
            signal.raise_signal(number)

    monkeypatch.setitem(COMMANDS, command, COMMANDS[command]._replace(run=run))
    before = signal.getsignal(number)
    assert main([command, *{"evaluate": ["knn", "x"]}.get(command, [])]) == code
    assert "stopped" in said(capsys)
    assert signal.getsignal(number) == before
    with hold(tmp_path, RUN | EVALUATION):
        pass


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    (tmp_path / "table.csv").write_text("whole")
    with pytest.raises(Interruption):
        interrupted_half_way(tmp_path / "table.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def interrupted_half_way(path):
    with raise_signals(), atomic_write(path) as unfinished:
        unfinished.write_text("half")
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_to_the_whole_process_group_leaves_a_checkpoint(tmp_path):
    """A run started from the command line, with workers that load slowly; batch schedulers signal the whole group."""
    folder, out = tmp_path / "images", tmp_path / "run"
    for number in range(16):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1500, 1500)).save(folder / "ab"[number % 2] / f"{number}.bmp")
    flags = [f"--data={folder}", f"--out={out}", "--epochs=100000", "--workers=2", "--checkpoint_every=1000000"]
    with started([sys.executable, "-m", "uota", "pretrain", *flags, *LARGER], start_new_session=True) as process:
        wait_until(lambda: list(out.glob("logs/*/metrics.csv")), process)
        os.killpg(process.pid, signal.SIGTERM)
        errors = process.communicate(timeout=100)[1]
    assert (process.returncode, "Traceback" in errors) == (143, False), errors
    assert "--resume" in errors
    assert find_damage(out / "checkpoint.ckpt") is None


# Workers


class Numbers(Dataset):
    """A dataset that calls a function before each batch."""

    def __init__(self, do):
        self.do = do

    def __len__(self):
        return 4

    def __getitems__(self, indices):
        self.do()
        return indices


def refuse():
    raise UotaError("shard-07.tar is cut short; copy it again")


def fail():
    raise ZeroDivisionError("a bug")


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def signal_self():
    for number in STOPPING:
        subprocess.run(["kill", f"-{int(number)}", str(os.getpid())], check=True, timeout=30)


def loaded(do, workers=1):
    return list(Loader(Numbers(do), workers, batch_size=2, collate_fn=identity_collate))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_error_of_a_worker_keeps_its_message(workers):
    with pytest.raises(UotaError) as error:
        loaded(refuse, workers)
    assert str(error.value) == "shard-07.tar is cut short; copy it again"


def test_an_exception_in_a_worker_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError, match=r"in fail"):
        loaded(fail)


def test_workers_leave_signals_to_the_parent():
    assert loaded(signal_self, workers=2) == [[0, 1], [2, 3]]


def test_a_killed_worker_is_a_clear_error(tmp_path):
    trainer = make_trainer(tmp_path, [], bar=False, accelerator="cpu", logger=False)
    with (
        pytest.raises(UotaError, match=r"fewer --workers and resume with: this"),
        translate_stops(trainer, tmp_path, "resume with: this"),
    ):
        loaded(kill_self)


def test_a_hanging_worker_can_be_terminated_by_its_parent():
    process = multiprocessing.Process(target=hang)
    process.start()
    time.sleep(0.2)
    subprocess.run(["kill", "-TERM", str(process.pid)], check=True, timeout=30)  # from a process that is not the parent
    time.sleep(0.2)
    assert process.is_alive()
    process.terminate()
    process.join(10)
    assert process.exitcode == 0


def hang():
    leave_signals_to_parent()
    time.sleep(60)


def test_a_signal_interrupts_waiting_for_a_worker():
    began = time.monotonic()
    batches = iter(Loader(Numbers(lambda: time.sleep(3)), 1, batch_size=4, collate_fn=identity_collate))
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop_requests():
        timer.start()
        with pytest.raises(Interruption) as raised:
            next(batches)
        assert time.monotonic() - began < 2.5
    assert raised.value.number == signal.SIGTERM  # keeps the loader alive until the batch is done


# Two processes in one folder


def test_a_folder_in_use_is_refused(images, trained, tmp_path, capsys):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = content(run)
    with hold(run, RUN | EVALUATION):
        assert main(["pretrain", f"--out={run}", "--resume"]) == 2
        assert f"{run} is in use by another process" in said(capsys)
        assert main(["pretrain", f"--data={images}", f"--out={run}", "--overwrite", *SMALL]) == 2
        assert "in use" in said(capsys)
    assert content(run) == before
    assert main(["pretrain", f"--out={run}", "--resume"]) == 0


@pytest.mark.parametrize("protocol", ["linear-sgd", "finetune"])
def test_two_evaluations_cannot_write_into_one_folder(trained, capsys, protocol):
    folder = trained / {"finetune": "finetune-10"}.get(protocol, protocol)
    with hold(folder, RUN | EVALUATION):
        flags = ["--epochs=1", "--batch_size=4", "--accelerator=cpu", "--workers=0"]
        flags += ["--labels=10%"] if protocol == "finetune" else []
        assert main(["evaluate", protocol, str(trained), *flags]) == 2
    assert "in use" in said(capsys)
    shutil.rmtree(folder)


def test_two_processes_cannot_write_the_same_shards(images, tmp_path, capsys):
    with hold(tmp_path / "out", RUN | EVALUATION):
        assert main(["shard", str(images), "--out", str(tmp_path / "out")]) == 2
    assert "in use" in said(capsys)
    assert main(["shard", str(images), "--out", str(tmp_path / "out")]) == 0


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    if (process := os.fork()) == 0:
        with hold(tmp_path, RUN | EVALUATION):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert (tmp_path / ".uota.lock").exists()
    with hold(tmp_path, RUN | EVALUATION):
        pass


GONE = 99_999_999  # above the highest process id
UNFINISHED = {
    f".{GONE}.settings.json": False,
    f".{GONE}.data.json": False,
    f".{GONE}.identity.json": False,
    ".unfinished.checkpoint.ckpt": False,
    f".{GONE}.notes.txt": True,
    f"{GONE}.settings.json": True,
    ".hidden": True,
    ".unfinished.novel": True,
}


@pytest.mark.parametrize(("name", "stays"), UNFINISHED.items(), ids=UNFINISHED)
def test_unfinished_files_of_a_killed_run_are_removed(tmp_path, name, stays):
    (tmp_path / name).write_text("half")
    with hold(tmp_path, RUN | EVALUATION):
        assert (tmp_path / name).exists() == stays


def test_unfinished_files_of_a_running_process_stay(tmp_path):
    (tmp_path / f".{os.getppid()}.knn.json").write_text("half")
    with hold(tmp_path, RUN | EVALUATION):
        assert (tmp_path / f".{os.getppid()}.knn.json").exists()


def test_an_unfinished_shard_is_removed_by_the_next_run(images, tmp_path):
    main(["shard", str(images), "--out", str(tmp_path)])
    (tmp_path / f".{GONE}.train-00000.tar").write_text("half")
    (tmp_path / "train-00000.tar").unlink()
    assert main(["shard", str(images), "--out", str(tmp_path)]) == 0
    assert not list(tmp_path.glob(f".{GONE}*"))


# Fingerprints of the images


def rename(folder):
    (folder / "a/00.png").rename(folder / "a/zz.png")


def move(folder):
    (folder / "a/00.png").rename(folder / "b/00.png")


def add(folder):
    shutil.copy(folder / "a/00.png", folder / "a/new.png")


def remove(folder):
    (folder / "a/00.png").unlink()


def swap(folder):
    for one, other in (("a", "c"), ("b", "a"), ("c", "b")):
        (folder / one).rename(folder / other)


def add_class(folder):
    (folder / "c").mkdir()
    for name in "12345":
        shutil.copy(folder / "a/00.png", folder / "c" / f"{name}.png")


@pytest.mark.parametrize("change", [rename, move, add, remove, swap, add_class])
def test_resuming_on_other_images_is_refused(trained, images, tmp_path, capsys, change):
    folder, run = (Path(shutil.copytree(old, tmp_path / old.name)) for old in (images, trained))
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"data": str(folder)}))
    change(folder)
    before = content(run)
    if change is rename:  # names decide which images are for testing
        (run / "data.json").write_text(json.dumps(fingerprint(open_source(images)) | {"digest": ""}))
        before = content(run)
    assert main(["pretrain", f"--out={run}", "--resume"]) == 2
    errors = said(capsys)
    assert "are not those that the run was started with" in errors
    assert "put them back" in errors
    assert content(run) == before


def test_moved_images_are_the_same(trained, images, tmp_path):
    folder, run = (Path(shutil.copytree(old, tmp_path / old.name)) for old in (images, trained))
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"data": str(folder)}))
    assert main(["pretrain", f"--out={run}", "--resume"]) == 0


def test_a_run_without_a_fingerprint_is_resumed(trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "data.json").unlink()
    assert main(["pretrain", f"--out={run}", "--resume"]) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"images": 3}', "null"])
def test_an_unreadable_fingerprint_is_a_clear_error(trained, tmp_path, capsys, text):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "data.json").write_text(text)
    assert main(["pretrain", f"--out={run}", "--resume"]) == 2
    assert "data.json cannot be read" in said(capsys)


def test_shards_of_other_images_have_another_fingerprint(images, tmp_path):
    other = Path(shutil.copytree(images, tmp_path / "other"))
    (other / "a/00.png").write_bytes((other / "a/02.png").read_bytes()[:-12] + b"\0" * 40)
    for folder, out in ((images, "one"), (images, "again"), (other, "different")):
        main(["shard", str(folder), "--out", str(tmp_path / out)])
    one, again, different = (fingerprint(open_source(tmp_path / out)) for out in ("one", "again", "different"))
    assert one == again != different


NAMES = {
    "demo-scenes": "demo-scenes",
    "demo": "demo",
    "data": "CWD/data",
    "./data": "CWD/data",
    "x/../data": "CWD/data",
    "/elsewhere/data": "/elsewhere/data",
    "s-{00..09}.tar": "CWD/s-{00..09}.tar",
    "s-*.tar": "CWD/s-*.tar",
    "data#image=left&label=kind": "CWD/data#image=left&label=kind",
    "s3://bucket/x.tar": "s3://bucket/x.tar",
    "pipe:cat x": "pipe:cat x",
    "~/data": "HOME/data",
    "": "",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=NAMES)
def test_data_paths_are_stored_as_absolute(tmp_path, monkeypatch, name, expected):
    for folder in ("data", "x"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of")
    assert located(name) == expected.replace("CWD", str(tmp_path)).replace("HOME", "/home/of")


def test_a_relative_data_path_is_resolved_where_the_run_started(images, tmp_path, monkeypatch, capsys):
    for folder in ("here", "elsewhere"):
        shutil.copytree(images, tmp_path / folder / "data")
    monkeypatch.chdir(tmp_path / "here")
    assert main(["pretrain", "--data=data", "--out=run", *SMALL]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", "knn", "../here/run"]) == 0
    assert json.loads((tmp_path / "here/run/knn.json").read_text())["data"] == str(tmp_path / "here/data")
    assert main(["pretrain", "--out=../here/run", "--resume"]) == 0
    said(capsys)
