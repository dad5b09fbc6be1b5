"""Errors are clear messages, whether on the command line, in the files of a run, at the terminal or in outputs."""

import ast
import io
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from tests.hostile.conftest import fill, named

import uota
from uota.commands.cli import main
from uota.errors import UotaError
from uota.recipes import recipe_file
from uota.runs.run import Run
from uota.settings.evaluation import Finetune, LinearSGD
from uota.settings.pretrain import Pretrain
from uota.settings.transfer import Transfer

TINY = ["--epochs=1", "--batch_size=8", "--workers=0", "--threads=1", "--accelerator=cpu", "--arbiter=none"]
COMMANDS = {
    "evaluate": "evaluate knn {run}",
    "inspect": "inspect {run} --out=page.png --eyes=thumbnails --steps=0 --images=2",
    "embed": "embed {run} --out=table.csv",
    "export": "export {run} --to=safetensors --out=weights.safetensors",
    "resume": "pretrain --resume --out={run}",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Train a run on sixteen pictures in two classes whose names need Unicode."""
    folder = tmp_path_factory.mktemp("sentences")
    data = fill(folder / "Bilder-写真", named("größer", "猫", each=8))
    flags = [f"--data={data}", "--method=simsiam", *TINY, f"--out={folder / 'run'}"]
    assert main(["pretrain", *flags]) == 0
    return folder / "run"


@pytest.fixture
def run(sound, tmp_path, monkeypatch):
    """Copy the run into the working directory, where a test may damage it."""
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    for name in ("settings.json", "checkpoint.ckpt"):
        (Path("run") / name).write_bytes((sound / name).read_bytes())
    return Path("run")


def assert_refused(arguments, capsys, *words):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("uota: ")
    for word in words:
        assert word in said


# The command line

NUMBERS = [
    ("--tau=0 --arbiter=mahalanobis", "tau is 0.0"), ("--tau=-1 --arbiter=mahalanobis", "tau is -1.0"),
    ("--ess=2 --arbiter=mahalanobis", "ess is 2.0"), ("--ess=0 --arbiter=mahalanobis", "above 0 and at most 1"),
    ("--anchors=0 --arbiter=mahalanobis", "anchors is 0"), ("--anchors=1e9 --arbiter=mahalanobis", "anchors is"),
    ("--seed=-1", "seed is -1"), ("--seed=4294967296", "at most 4294967295"), ("--workers=-3", "workers is -3"),
    ("--workers=100000", "at most 512"), ("--threads=0", "threads is 0"), ("--threads=100000", "at most 1024"),
    ("--epochs=0", "epochs is 0"), ("--epochs=1e400", "epochs is inf"), ("--epochs=99999999999999999999", "at most"),
    ("--batch_size=0", "batch_size is 0"), ("--batch_size=99999999999999999999", "batch_size is 9999"),
    ("--learning_rate=nan", "learning_rate is nan"), ("--learning_rate=.inf", "learning_rate is inf"),
    ("--learning_rate=1e400", "learning_rate is"), ("--learning_rate=-1", "above 0"), ("--learning_rate=0", "above 0"),
    ("--final_learning_rate=-1", "final_learning_rate is -1"), ("--warmup_steps=-1", "warmup_steps is -1"),
    ("--momentum=1", "below 1"), ("--momentum=-0.1", "momentum is -0.1"), ("--weight_decay=-1", "weight_decay is -1"),
    ("--late_factor=0", "late_factor is 0"), ("--drops=[2]", "a share of training"),
    ("--drops=[0.5,nan]", "drops is nan"),
    ("--inject=1", "a share of the views"), ("--inject=-1", "inject is -1"), ("--start=2", "start is 2"),
    ("--candidates=0", "candidates is 0"), ("--candidates=100000", "at most 1000"), ("--local_views=-1", "local_views"),
    ("--devices=0", "devices is 0"), ("--devices=3", "no multiple of devices"), ("--checkpoint_every=0", "at least 1"),
    ("--precision=16", "choose one of 32, bf16, fp16, 64"), ("--compile=perhaps", "true or false"),
]  # fmt: skip
NAMES = [
    ("--optimizer=nonsense", "adamw"), ("--optimizer=adahessian", "cannot be used here"),
    ("--optimizer=a.b.C", "momentum"),
    ("--accelerator=nonsense", "choose one of auto"), ("--accelerator=tpu", "not available"),
    ("--backbone=nonsense", "resnet18"), ("--backbone=resnet18.nonsense", "resnet18.nonsense"),
    ("--backbone=resnet18.x:y", "cannot be built"), ("--backbone=hf-hub:x/y", "no backbone"),
    ("--backbone=local-dir:x", "no backbone"), ("--backbone=../../etc/passwd", "no backbone"),
    ("--method=nonsense", "choose auto"), ("--views=nonsense", "choose auto"), ("--data=nowhere", "nowhere"),
    ("--view_options={local: {scale: [a, b]}}", "scale"), ("--view_options={local: {scale: 3}}", "scale"),
    ("--view_options={local: {scale: [0.9, 0.1]}}", "smaller first"), ("--view_options={global: {hue: 3}}", "hue"),
    ("--view_options={local: {brightness: a}}", "brightness"), ("--view_options={x: {}}", "no 'x' views"),
    ("--view_options={local: {grey_probability: 7.0}}", "at most 1"), ("--view_options={local: {x: 1}}", "no 'x'"),
    ("--view_options={local: {blur_probability: [1.0, 2.0, 3.0, 4.0]}}", "blur_probability is 2"),
    ("--view_options={local: {rand_augment: x}}", "rand_augment"), ("--view_options={local: 3}", "a mapping"),
    ("--view_options={local: {scale: [.nan, 1]}}", "finite"), ("--view_options=[1]", "a mapping"),
    ("--method_options={dim: x}", "dim is x"), ("--method_options={dim: -1}", "do not fit"),
    ("--method_options={dim: 0}", "do not fit"), ("--method_options={dim: .inf}", "finite"),
    ("--method_options={dim: 100000000000}", "do not fit"), ("--method_options={nope: 1}", "no option nope"),
    ("--method_options={encoder: x}", "no option encoder"),
    ("--method_options={dim: [[[[[[[[[[1]]]]]]]]]]}", "nested too deeply"), ("--method_options=3", "a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("argument", "says"), NUMBERS + NAMES, ids=lambda value: value)
def test_invalid_flags_of_pretrain_are_named(argument, says, sound, run, capsys):
    data = f"--data={sound.parent / 'Bilder-写真'}"
    arguments = [argument] if "{" in argument else argument.split()
    defaults = ["--method=simsiam", data, "--views=small", "--accelerator=cpu"]
    assert_refused(["pretrain", *defaults, *arguments, "--out=new"], capsys, says)
    assert not Path("new").exists()


OTHERS = [
    ("inspect run --seed=-1", "seed is -1"), ("inspect run --images=0", "images is 0"),
    ("inspect run --steps=-1", "steps is -1"), ("inspect run --steps=inf", "steps"),
    ("inspect run --inject=2", "inject is 2"), ("embed run --out=e.csv --seed=-1", "seed is -1"),
    ("embed run --out=e.csv --seed=1.5", "a whole number"), ("embed run --out=e.txt", "neither"),
    ("evaluate finetune run --epochs=0", "epochs is 0"), ("evaluate finetune run --drops=[7]", "drops is 7"),
    ("evaluate linear-sgd run --smallest_crop=0", "a share of the area"),
    ("evaluate linear-sgd run --momentum=1", "momentum is 1"),
    ("evaluate linear-sgd run --learning_rate=nan", "learning_rate is nan"),
    ("evaluate linear-sgd run --accelerator=nonsense", "nonsense"),
    ("transfer detection run --coco=x --accelerator=x", "no accelerator"),
    ("transfer detection run --threads=100000", "threads is"), ("transfer detection run --steps=0", "steps is 0"),
    ("transfer detection run --steps=1 --epochs=1", "both set"),
    ("shard run --out=s --shard_size=0", "shard_size is 0"),
    ("shard run --out=s --shard_size=99999999999999", "shard_size is"), ("demo --seed=-1", "seed is -1"),
    ("demo --steps=0", "steps is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "says"), OTHERS, ids=lambda value: value)
def test_invalid_flags_of_other_commands_are_named(command, says, run, capsys):
    before = sorted(os.listdir())
    assert_refused(command.split(), capsys, says)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [(Pretrain, {"data": ""}, "data is empty"), (Pretrain, {"epochs": True}, "a whole number"),
     (Pretrain, {"backbone": " "}, "backbone is empty"), (Pretrain, {"tau": float("inf")}, "tau is inf"),
     (LinearSGD, {"seed": -1}, "seed is -1"), (LinearSGD, {"weight_decay": float("nan")}, "weight_decay is nan"),
     (Finetune, {"head_learning_rate": 0.0}, "above 0"), (Finetune, {"drops": [0.5, 1.0]}, "drops is 1.0"),
     (Transfer, {"seed": 2**40}, "seed is"), (Transfer, {"coco": ""}, "coco is empty")],
)  # fmt: skip
def test_invalid_settings_in_python_are_named(kind, settings, says):
    with pytest.raises(UotaError, match=says):
        getattr(kind, "from_flat", kind)(**settings)


# The files of a run

NONSENSE = {
    "data": [None, "", 5, ["a"], "a\0b"],
    "method": [None, 5, "nonsense", "x" * 5000],
    "arbiter": ["magic", 1],
    "backbone": ["nonsense", 3, "", "resnet18.x:y", {}],
    "epochs": ["many", 0, 2.5, 1e400, 10**30],
    "seed": [-1, 2**40, "x", True],
    "views": ["nonsense", 7, None],
    "local_views": [-1, 1.5, 10**9],
    "view_options": [3, {"local": 3}, {"local": {"scale": "x"}}, {"local": {"size": 3}}, [[]]],
    "method_options": [3, {"dim": "x"}, {"dim": -5}, {"unknown": 1}, {"dim": {"a": 1}}],
    "tau": [-1, "x", float("nan")],
    "workers": [-1, "x", 10**9],
    "threads": [100_000, 0],
    "precision": ["16", 32],
    "drops": [5, ["a"], [2]],
    "compile": ["x", 7],
    "momentum": [float("inf"), 1],
    "colour": [1],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, value, id=f"{name}={value!r:.20}") for name, values in NONSENSE.items() for value in values],
)
def test_invalid_settings_of_a_run_are_named(name, value, run, capsys, request):
    """Each value is tested with one command in turn, since all commands read settings in the same way."""
    file = run / "settings.json"
    file.write_text(json.dumps(Run(run).settings().as_flat() | {name: value}))
    before = (run / "checkpoint.ckpt").stat().st_mtime_ns
    commands = [command for command in COMMANDS if (name, command) != ("data", "export")]
    command = commands[sum(request.node.name.encode()) % len(commands)]
    assert_refused(COMMANDS[command].format(run=run).split(), capsys)
    assert (run / "checkpoint.ckpt").stat().st_mtime_ns == before


TEXTS = {
    "nothing": "", "half": "{", "list": "[1]", "text": '"settings"', "number": "7", "null": "null",
    "deep": "[" * 100_000, "deep mapping": '{"a":' * 100_000, "not UTF-8": b"\xff\xfe{", "null bytes": "\0" * 50,
    "long number": '{"seed": ' + "9" * 5000 + "}", "twice": '{"seed": 1}{"seed": 2}', "NaN": '{"tau": NaN}',
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("command", ["evaluate", "inspect", "embed", "resume"])
def test_unreadable_settings_of_a_run_are_named(command, text, run, capsys):
    (run / "settings.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(COMMANDS[command].format(run=run).split(), capsys, "settings.json")


def test_settings_of_an_older_version_are_read(run):
    file = run / "settings.json"
    settings = Run(run).settings().as_flat()
    for newer in ("candidates", "late_factor", "checkpoint_every", "threads"):
        del settings[newer]
    file.write_text(json.dumps(settings))
    assert main(COMMANDS["export"].format(run=run).split()) == 0


def without(*names):
    return lambda state: {name: value for name, value in state.items() if name not in names}


def with_weights(change):
    return lambda state: state | {"state_dict": {key: change(value) for key, value in state["state_dict"].items()}}


CONTENTS = {
    "list": lambda state: [state],
    "tensor": lambda state: torch.zeros(3),
    "number": lambda state: 3,
    "empty": lambda state: {},
    "no weights": without("state_dict"),
    "weights alone": lambda state: state["state_dict"],
    "a list of weights": lambda state: state | {"state_dict": list(state["state_dict"].values())},
    "weights that are text": lambda state: state | {"state_dict": dict.fromkeys(state["state_dict"], "x")},
    "numbers for names": lambda state: state | {"state_dict": dict(enumerate(state["state_dict"].values()))},
    "other names": lambda state: state | {"state_dict": {f"x.{key}": v for key, v in state["state_dict"].items()}},
    "other shapes": with_weights(lambda tensor: torch.zeros(1)),
    "whole numbers": with_weights(lambda tensor: tensor.to(torch.int64)),
    "complex": with_weights(lambda tensor: tensor.to(torch.complex64)),
    "no epoch": without("epoch"),
    "epoch of text": lambda state: state | {"epoch": "one"},
    "step below zero": lambda state: state | {"global_step": -1},
    "step of a float": lambda state: state | {"global_step": float("nan")},
}


@pytest.mark.parametrize(
    ("command", "change"),
    [
        pytest.param(command, change, id=f"{command}-{name}")
        for command in COMMANDS
        for name, change in CONTENTS.items()
        if command in ("export", "resume") or name in ("tensor", "no weights", "other shapes", "epoch of text")
    ],
)
def test_checkpoints_with_wrong_content_are_named(command, change, run, capsys):
    checkpoint = run / "checkpoint.ckpt"
    torch.save(change(torch.load(checkpoint, weights_only=True)), checkpoint)
    before = checkpoint.read_bytes()
    assert_refused(COMMANDS[command].format(run=run).split(), capsys, "checkpoint.ckpt")
    assert checkpoint.read_bytes() == before


def other_step(state):
    return state | {"global_step": state["global_step"] - 1}


def with_loops(**changed):
    return lambda state: state | {"loops": state["loops"] | {"fit_loop": state["loops"]["fit_loop"] | changed}}


UNRESUMABLE = {
    "no loops": without("loops"),
    "no optimizer": without("optimizer_states"),
    "no schedulers": without("lr_schedulers"),
    "no optimizers in the list": lambda state: state | {"optimizer_states": []},
    "loops of text": lambda state: state | {"loops": "x"},
    "empty loops": lambda state: state | {"loops": {}},
    "half of the loops": lambda state: state | {"loops": {"fit_loop": {}}},
    "optimizer of text": lambda state: state | {"optimizer_states": "adamw"},
    "optimizer without groups": lambda state: state | {"optimizer_states": [{"state": {}, "param_groups": []}]},
    "epochs below zero": with_loops(epoch_progress={"total": {"ready": -1}, "current": {"ready": -1}}),
    "endless epochs": with_loops(epoch_progress={"total": {"ready": 2**60}, "current": {"ready": 2**60}}),
    "other step": other_step,
    "progress of text": with_loops(epoch_progress="x"),
    "other version": lambda state: state | {"pytorch-lightning_version": "x"},
}


@pytest.mark.parametrize("change", UNRESUMABLE.values(), ids=UNRESUMABLE)
def test_checkpoints_that_cannot_be_resumed_are_named(change, run, capsys):
    """The run has an epoch left, so that training would begin."""
    settings = Run(run).settings().replace_flat(epochs=2)
    (run / "settings.json").write_text(json.dumps(settings.as_dict()))
    checkpoint = run / "checkpoint.ckpt"
    torch.save(change(torch.load(checkpoint, weights_only=True)), checkpoint)
    assert_refused(COMMANDS["resume"].format(run=run).split(), capsys, "checkpoint.ckpt cannot be resumed from")


# The terminal


class Terminal:
    """A replacement for standard output that keeps the bytes written."""

    def __init__(self, encoding):
        self.bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self.bytes, encoding=encoding, errors="strict")

    def text(self):
        self.stream.flush()
        return self.bytes.getvalue().decode(self.stream.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "command",
    ["methods", "pretrain --overwrite --data={data} {tiny} --out=Lauf-写真", "evaluate knn {run} --data={data}",
     "evaluate knn 写真", "embed {run} --data={data} --out=写真.csv", "inspect {data} --steps=0 --out=写真.html",
     "shard {data} --out=Scherben-写真", "compare {run}", "pretrain --data=写真"],
)  # fmt: skip
def test_no_encoding_of_the_terminal_ends_a_command(command, encoding, sound, run, monkeypatch):
    out, err = Terminal(encoding), Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", out.stream)
    monkeypatch.setattr(sys, "stderr", err.stream)
    data = sound.parent / "Bilder-写真"
    code = main(command.format(data=data, run=run, tiny=" ".join(TINY)).split())
    refused = command.endswith(("=写真", " 写真"))
    assert code == (2 if refused else 0), err.text()
    assert "Traceback" not in out.text() + err.text()


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "cp1252", "koi8-r"])
def test_every_encoding_of_the_terminal_shows_the_methods(encoding, monkeypatch):
    out = Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", out.stream)
    assert main(["methods"]) == 0
    assert "Barlow" in out.text()


@pytest.mark.parametrize("command", ["methods", "evaluate knn {run}", "export {run} --to=safetensors --out=x.st"])
def test_a_closed_pipe_is_no_error(command, run, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        try:
            code = main(command.format(run=run).split())
        except SystemExit as end:  # rich exits by itself
            code = end.code
        monkeypatch.undo()
    assert code in (1, 141)
    assert "Traceback" not in capsys.readouterr().err


SOURCES = sorted(Path(uota.__file__).parent.rglob("*.py"))


def opens_text(call):
    """Return whether a call opens text in the encoding of the system."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    if owner in ("os", "Image", "tarfile") or name not in ("open", "read_text", "write_text", "fdopen"):
        return False
    binary = any(isinstance(each, ast.Constant) and "b" in str(each.value) for each in call.args[:2])
    return not binary and not any(word.arg == "encoding" for word in call.keywords)


def test_every_text_file_is_utf_8():
    found = [
        f"{source}:{node.lineno}"
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and opens_text(node) and getattr(node.func, "id", "") != "read_text"
    ]
    assert not found
    assert len(SOURCES) > 100


# Outputs

PLACES = {
    "no name": ("", "empty"), "spaces": ("  ", "empty"), "null byte": ("a\0b", "no name has"),
    "below a file": ("file/x/y{end}", "is a file"), "device": ("/dev/null/y{end}", "is a file"),
    "system": ("/proc/x/y{end}", "cannot be written"), "link to itself": ("loop/y{end}", "cannot be written"),
    "long name": ("x" * 300 + "{end}", "cannot be written"), "long path": ("x/" * 3000 + "y{end}", "cannot be written"),
    "home of nobody": ("~nobody-has-this-name/y{end}", "home folder of an unknown user"),
}  # fmt: skip
WRITERS = {
    "pretrain": ("pretrain --data=nowhere --out={out}", ""),
    "evaluate": ("evaluate knn run --data=nowhere --out={out}", ""),
    "embed": ("embed nowhere --out={out}", ".csv"),
    "export": ("export nowhere --to=timm --out={out}", ".pth"),
    "inspect": ("inspect nowhere --out={out}", ".html"),
    "table": ("inspect nowhere --table={out}", ".csv"),
    "misfiled": ("misfiled nowhere --out={out}", ".html"),
    "shard": ("shard nowhere --out={out}", ""),
    "transfer": ("transfer detection nowhere --out={out}", ""),
    "demo": ("demo --out={out}", ""),
}


@pytest.mark.parametrize(
    ("writer", "place"),
    [
        pytest.param(writer, place, id=f"{name}-{where}")
        for name, writer in WRITERS.items()
        for where, place in PLACES.items()
        if name in ("pretrain", "embed") or where in ("no name", "below a file", "long name")
    ],
)
def test_unwritable_outputs_are_found_before_any_work(writer, place, run, capsys):
    """The error is about the output, although there is neither data nor a run."""
    Path("file").touch()
    os.symlink("loop", "loop")
    before = sorted(os.listdir())
    out = place[0].format(end=writer[1])
    assert_refused([word.format(out=out) for word in writer[0].split()], capsys, place[1])
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("writer", ["embed", "export", "inspect", "table"])
def test_an_output_must_not_be_a_folder(writer, run, capsys):
    command, ending = WRITERS[writer]
    Path(f"folder{ending}").mkdir()
    assert_refused(command.format(out=f"folder{ending}").split(), capsys, "is a folder; give the name of a file")


EMPTY = ["evaluate knn {}", "evaluate knn run --data={}", "inspect {}", "inspect run --data={}", "embed {} --out=x.csv",
         "export {} --to=timm --out=x", "transfer detection {} --out=x", "shard {} --out=x", "compare {}",
         "pretrain --data={}", "pretrain --backbone={}", "pretrain --config={}",
         "inspect demo --eyes={}"]  # fmt: skip


@pytest.mark.parametrize("command", EMPTY)
def test_an_empty_output_is_refused(command, run, capsys):
    assert_refused([word.format("") for word in command.split()], capsys)


LOOPS = ["evaluate knn loop", "evaluate knn run --data=loop", "inspect loop", "embed loop --out=x.csv",
         "export loop --to=timm --out=x", "transfer detection loop --out=x", "shard loop --out=x",
         "pretrain --data=loop --out=x",
         "inspect demo --backbone=resnet18 --eyes=loop", "pretrain --config=loop",
         "pretrain --out=loop --resume"]  # fmt: skip


@pytest.mark.parametrize("command", LOOPS)
def test_an_output_that_is_a_circular_link_is_refused(command, run, capsys):
    os.symlink("loop", "loop")
    assert_refused(command.split(), capsys, "loop")


NOBODYS = ["evaluate knn ~nobody-here", "evaluate knn run --data=~nobody-here", "inspect ~nobody-here",
           "inspect run --data=~nobody-here", "embed ~nobody-here --out=x.csv", "shard ~nobody-here --out=x",
           "compare ~nobody-here", "pretrain --data=~nobody-here --out=x", "pretrain --out=~nobody-here"]  # fmt: skip


@pytest.mark.parametrize("command", NOBODYS)
def test_an_unknown_home_folder_is_refused(command, run, capsys):
    assert_refused(command.split(), capsys, "~nobody-here is in the home folder of an unknown user")


def test_a_system_error_is_a_clear_message(run, capsys, monkeypatch):
    def fail(*_, **__):
        raise OSError(5, "Input/output error", "da\x1bta")

    monkeypatch.setattr("uota.evaluation.evaluate.load_encoder", fail)
    assert_refused(["evaluate", "knn", "run"], capsys, r"da\x1bta: Input/output error; see that")


def test_recipes_are_found_by_name():
    assert recipe_file("swav_demo").is_file()


@pytest.mark.parametrize("name", ["learning_rate", "tau", "weight_decay", "seed", "epochs", "pixel_range", "drops"])
def test_a_number_of_four_hundred_digits_is_refused(name, capsys):
    value = "9" * 401
    assert main(["pretrain", f"--{name}={f'[{value}]' if name in ('pixel_range', 'drops') else value}", "--out=x"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("text", ["\ud800", "a\ud800b", "a\0"], ids=ascii)
@pytest.mark.parametrize(
    "flag", ["pretrain --data=", "inspect --out=", "embed r --out=", "shard --out=s ", "evaluate knn "]
)
def test_a_lone_surrogate_in_a_name_is_refused(flag, text, capsys):
    assert main(f"{flag}{text}".split(" ")) == 2
    assert "has characters that no file and no name has" in capsys.readouterr().err
