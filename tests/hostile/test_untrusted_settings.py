"""Files are data: neither a run folder nor a YAML file can make code run, whatever it contains."""

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from uota.commands.cli import main
from uota.errors import UotaError
from uota.methods import allow, allowing, own_method
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

TINY = ["--epochs=1", "--batch_size=8", "--workers=0", "--threads=1", "--accelerator=cpu", "--arbiter=none"]
# Importing this module or calling anything in it leaves a file; `Half` and `WrongSignature` must not be instantiated.
EVIL = """
from pathlib import Path
Path("imported").touch()
from torch import nn

def function(encoder, **options):
    Path("called").touch()

class NotAModule:
    def __init__(self, encoder, **options):
        Path("called").touch()
    embed = loss = lambda *x: None

class Half(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        Path("called").touch()
    def embed(self, groups, step): ...

class WrongSignature(nn.Module):
    def __init__(self, path="called"):
        super().__init__()
        Path(path).touch()
    def embed(self, groups, step): ...
    def loss(self, embedded, weights, step): ...

thing = object()
"""
OWN = """
from uota.methods import SimSiam

class Own(SimSiam):
    def __init__(self, encoder, dim=16):
        super().__init__(encoder, dim=dim, bottleneck=8)

class Bare(SimSiam):
    def __init__(self, encoder):
        super().__init__(encoder, dim=16, bottleneck=8)
        self.{lacks} = None
"""
COMMANDS = {
    "evaluate knn": "evaluate knn {run}",
    "evaluate linear": "evaluate linear {run} --out=elsewhere",
    "evaluate finetune": "evaluate finetune {run} --epochs=1",
    "inspect": "inspect {run} --out=page.png --eyes=thumbnails --steps=0 --images=2",
    "embed": "embed {run} --out=table.csv",
    "export": "export {run} --to=safetensors --out=weights.safetensors",
    "resume": "pretrain --resume --out={run}",
}
NAMES = [
    "timeit.timeit",
    "os.system",
    "builtins.exec",
    "subprocess.Popen",
    "evil.function",
    "evil.Half",
    "uota.methods.MoCo",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Train a run on sixteen pictures."""
    folder = tmp_path_factory.mktemp("code")
    random = np.random.default_rng(0)
    for number in range(16):
        place = folder / "pictures" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(place / f"{number}.png")
    assert (
        main(["pretrain", f"--data={folder / 'pictures'}", "--method=simsiam", *TINY, f"--out={folder / 'run'}"]) == 0
    )
    return folder / "run"


@pytest.fixture
def run(sound, tmp_path, monkeypatch):
    """Copy the run into the working directory, where its settings may be changed, beside a malicious module."""
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("settings.json", "checkpoint.ckpt"):
        (copy / name).write_bytes((sound / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text(EVIL)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return copy


def change(run, **settings):
    (run / "settings.json").write_text(json.dumps(Run(run).settings().as_flat() | settings))


def assert_refused(arguments, capsys, *words):
    path = list(sys.path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err
    assert not Path("called").exists()
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_settings_of_a_run_cannot_select_code(command, name, run, sound, capsys):
    change(run, method=name, method_options={"setup": "open('called', 'w')", "stmt": "open('called', 'w')"})
    before = assert_refused(command.format(run=run, sound=sound).split(), capsys, f"add --method {name}")
    assert sys.path == before
    assert not Path("imported").exists()


@pytest.mark.parametrize("name", [*NAMES, "json.tool.Tool", "antigravity.fly"])
def test_a_settings_file_cannot_select_code(name, run, capsys):
    Path("mine.yaml").write_text(f"method: {name}\ndata: demo\n")
    modules = set(sys.modules)
    before = assert_refused(["pretrain", "--config=mine.yaml", "--out=new"], capsys, f"add --method {name}")
    assert sys.path == before
    assert {"json.tool", "antigravity", "evil"}.isdisjoint(set(sys.modules) - modules)
    assert not Path("new").exists()


MALFORMED_NAMES = {
    "dots": "..", "relative": ".evil.Half", "empty part": "evil..Half", "path": "../evil", "file": "/tmp/evil.py",
    "space": "evil .Half", "call": "evil.function()", "attribute": "__import__('evil').x", "lines": "a.b\nc",
    "long": "a." * 9000 + "b", "null": "a.b\0", "escape": "\x1b[2Ja.b",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED_NAMES.values(), ids=MALFORMED_NAMES)
@pytest.mark.parametrize("command", ["evaluate knn", "resume"])
def test_malformed_names_of_methods_are_refused(command, name, run, sound, capsys):
    change(run, method=name)
    assert_refused(COMMANDS[command].format(run=run, sound=sound).split(), capsys, "method")
    assert not Path("imported").exists()


YAML = {
    "apply": "method: !!python/object/apply:evil.function [1]",
    "new": "data: !!python/object/new:evil.WrongSignature [called]",
    "object": "method_options: !!python/object:evil.NotAModule {encoder: 1}",
    "name": "method: !!python/name:evil.function",
    "module": "method: !!python/module:evil",
    "tuple": "drops: !!python/tuple [0.5]",
    "class_path": "method_options: {dim: {class_path: evil.WrongSignature, init_args: {path: called}}}",
    "class_path at the top": "class_path: evil.WrongSignature\ninit_args: {path: called}",
    "class_path of views": "view_options: {class_path: evil.WrongSignature}",
    "another file": "config: other.yaml",
    "interpolation": "epochs: ${oc.env:HOME}",
    "file for a value": "epochs: '@evil.py'",
    "Jinja": "seed: '{{ 1 + 1 }}'",
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "merge": "base: &base {epochs: 1}\n<<: *base\n",
    "alias bomb": "a: &a [x]\n" + "".join(f"{n}: &{n} [*{p},*{p},*{p}]\n" for p, n in pairwise("abcdefghijklmnopqrst")),
    "endless": "a: &a [*a]",
    "deep lists": "drops: " + "[" * 50_000,
    "deep mappings": "view_options: " + "{a: " * 50_000,
    "deep blocks": "".join(" " * depth + "a:\n" for depth in range(400)),
    "large": "data: demo\n" + "# padding\n" * 120_000,
    "long name": "a" * 200_000 + ": 1",
    "list": "- data: demo\n",
    "text": "demo",
    "two": "data: demo\n---\ndata: demo\n",
    "tab": "data:\n\t- demo\n",
    "half": "data: [demo",
    "null bytes": "data: demo\0",
    "control": "data: \x1b[2Jdemo",
}  # fmt: skip


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_yaml_cannot_run_code(text, run, capsys):
    Path("mine.yaml").write_text(text)
    Path("other.yaml").write_text("method: evil.function")
    assert_refused(["pretrain", "--config", "mine.yaml", "--out=new"], capsys)
    assert not Path("imported").exists()
    assert not Path("new").exists()


UNREADABLE = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "link to itself": lambda name: os.symlink(name, name),
    "link to nothing": lambda name: os.symlink("nowhere", name),
    "link to a device": lambda name: os.symlink("/dev/zero", name),
    "link to a pipe": lambda name: (os.mkfifo("pipe"), os.symlink("pipe", name)),
    "Latin-1": lambda name: Path(name).write_bytes("data: Äpfel".encode("latin-1")),
    "UTF-16": lambda name: Path(name).write_text("data: demo", encoding="utf-16"),
    "picture": lambda name: Image.new("RGB", (4, 4)).save(name, "png"),
}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("flag", ["--config=mine.yaml", "--config=./mine.yaml"])
def test_config_must_be_a_readable_text_file(make, flag, run, capsys):
    make("mine.yaml")
    assert_refused(["pretrain", flag, "--out=new"], capsys, "mine.yaml")


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("command", ["evaluate knn", "resume"])
def test_settings_of_a_run_must_be_a_readable_text_file(command, make, run, sound, capsys):
    (run / "settings.json").unlink()
    os.chdir(run)
    make("settings.json")
    os.chdir("..")
    assert_refused(COMMANDS[command].format(run="run", sound=sound).split(), capsys, "settings.json")


VALUES = {
    "tag": "--method_options=!!python/object/apply:evil.function [1]",
    "class_path": "--method_options={dim: {class_path: evil.WrongSignature, init_args: {path: called}}}",
    "view options": "--view_options={local: {class_path: evil.WrongSignature, init_args: {path: called}}}",
    "interpolation": "--epochs=${oc.env:HOME}",
    "file": "--epochs=@evil.py",
    "method": "--method={class_path: evil.WrongSignature}",
    "alias": "--view_options={local: &a {scale: *a}}",
}


@pytest.mark.parametrize("argument", VALUES.values(), ids=VALUES)
def test_values_of_flags_cannot_run_code(argument, run, capsys):
    assert_refused(["pretrain", argument, "--data=demo", "--method=simsiam", "--out=new"], capsys)
    assert not Path("imported").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [("evil.function", "not a class of torch.nn.Module"), ("evil.NotAModule", "not a class of torch.nn.Module"),
     ("evil.thing", "not a class of torch.nn.Module"), ("evil.Half", "no function loss"),
     ("evil.WrongSignature", "must take encoder first"), ("evil.Nowhere", "cannot be imported"),
     ("nowhere.Half", "cannot be imported"), ("timeit.timeit", "not a class"), ("torch.nn.Linear", "no function embed"),
     (".Half", "does not name"), ("evil..Half", "does not name"), ("evil.function()", "does not name")],
)  # fmt: skip
@pytest.mark.parametrize("form", ["--method={}", "--method {}"])
def test_a_class_is_checked_before_it_is_called(form, name, says, run, capsys):
    assert_refused(["pretrain", *form.format(name).split(), "--data=demo", "--out=new"], capsys, says)
    assert not Path("new").exists()


@pytest.fixture
def own(run, sound):
    """Train a run of a custom method."""
    Path("own.py").write_text(OWN.format(lacks="dim"))
    sys.modules.pop("own", None)
    flags = [f"--data={sound.parent / 'pictures'}", "--method=own.Own", *TINY, "--out=mine"]
    assert main(["pretrain", *flags]) == 0
    return Path("mine")


def test_the_suggested_next_command_names_a_custom_method(own, capsys):
    assert main(["pretrain", "--resume", "--out=mine", "--method=own.Own"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "next: uota inspect mine --method own.Own uota evaluate knn mine --method own.Own" in said


def test_every_command_needs_the_name_of_a_custom_method(own, capsys):
    """All commands are in one test, because most of its time is the training."""
    for name, command in COMMANDS.items():
        if name == "evaluate finetune":
            continue
        arguments = command.format(run=own, sound=own).split()
        assert_refused(arguments, capsys, "add --method own.Own")
        flag = ["--method=own.Own"] if name == "embed" else ["--method", "own.Own"]
        assert main([*arguments, *flag]) == 0, name
        assert_refused([*arguments, "--method=evil.Half"], capsys, "own.Own" if name != "resume" else "")
    assert_refused(["evaluate", "knn", str(own), "--method=simsiam"], capsys, "a run knows its method")


def test_a_method_is_allowed_for_one_command_only(own):
    with pytest.raises(UotaError, match=r"add --method own\.Own"):
        own_method("own.Own")
    with allowing(["own.Own"]):
        assert own_method("own.Own").title == "Own"
    with pytest.raises(UotaError, match=r"uota.methods.allow\('own.Own'\)"):
        pretrain(Pretrain.from_flat(method="own.Own"), Path("another"))


@pytest.mark.parametrize("lacks", ["encoder", "dim"])
def test_a_constructed_method_must_have_an_encoder_and_a_dim(lacks, run, capsys):
    Path("bare.py").write_text(OWN.format(lacks=lacks))
    sys.modules.pop("bare", None)
    assert_refused(["pretrain", "--method=bare.Bare", "--data=demo", "--out=new"], capsys, f"has no {lacks}")


class Class(nn.Module):
    """A method as it is defined in a notebook."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.dim = encoder, encoder.width

    def embed(self, groups, step): ...

    def loss(self, embedded, weights, step): ...


def test_a_class_can_be_allowed_in_python():
    with allowing([]):
        name = allow(Class)
        assert own_method(name).build is Class
        for wrong in (nn.Linear, Half := type("Half", (nn.Module,), {"embed": print})):
            with pytest.raises(UotaError, match="no function"):
                allow(wrong)
        assert Half.__name__ not in name
    with pytest.raises(UotaError, match="does not name a method"):
        allow("simclr")


def test_a_valid_run_is_read(run, sound):
    """Without this, the refusals above would prove nothing."""
    assert isinstance(Run(run).state()["state_dict"], dict)
    assert Run(run).settings() == Run(sound).settings()
    change(run, method="simsiam")
    assert main(COMMANDS["embed"].format(run=run).split()) == 0
    assert torch.get_num_threads() == 1
