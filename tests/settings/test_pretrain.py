"""Settings of pretraining by all their names: flat and nested, in files, flags and code."""

import json
import subprocess
import sys
from dataclasses import fields
from itertools import count

import docstring_parser
import pytest
import yaml

from uota.commands.cli import main
from uota.errors import UotaError
from uota.recipes import recipe, recipe_file, recipe_names
from uota.runs.run import Run
from uota.settings.parsing import Parser, add_sections
from uota.settings.pretrain import FLAT, OLD_NAMES, SECTIONS, MethodSettings, Pretrain

# As earlier versions wrote it, before settings had sections.
FLAT_FILE = {
    "data": "FOLDER", "method": "moco_v2", "arbiter": "two_groups", "look": "both", "weigh": "predictor",
    "views": "small", "local_views": 4, "view_options": {"local": {"scale": [0.1, 0.3]}}, "inject": 0.25,
    "inject_from": "batch", "backbone": "resnet50", "epochs": 3, "batch_size": 64, "devices": 2, "accelerator": "cpu",
    "steps": None, "warmup": 0.25, "size": [96, 64], "mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3],
    "init": "random", "frozen_stages": 2, "frozen_norms": True, "norm_adaptation": 0.2, "encoder_rate": 0.1,
    "kept_share": 0.3, "accumulate": 2, "checkpoint_activations": True, "nodes": 2, "strategy": "fsdp2",
    "precision": "bf16", "workers": 1, "threads": 2, "compile": True, "seed": 5, "pixel_range": [0.0, 4095.0],
    "image_megabytes": 300, "cache": 512, "cache_in": "CACHE", "refile": False,
    "method_options": {"parts": 4, "dim": 32}, "sync_batch_norm": False,
    "zero_init_last": True, "optimizer": "lars", "learning_rate": 0.5, "final_learning_rate": 0.01,
    "rate_per": "epoch", "bias_rate": 0.5, "constant_rate": ["projector"], "warmup_steps": 7, "drops": [0.6, 0.8],
    "late_factor": 2.0, "weight_decay": 1e-6, "decay_all": True, "momentum": 0.8, "start": 0.25, "tau": None,
    "ess": None, "anchors": None, "covariance": "oas", "candidates": 2, "checkpoint_every": 50, "views_on": "cpu",
}  # fmt: skip
NESTED_FILE = {
    "data": {
        "source": "FOLDER", "pixel_range": [0.0, 4095.0], "image_megabytes": 300, "cache": 512, "cache_in": "CACHE",
        "refile": False,
    },
    "views": {
        "preset": "small", "local_views": 4, "options": {"local": {"scale": [0.1, 0.3]}}, "inject": 0.25,
        "inject_from": "batch", "size": [96, 64], "mean": [0.4, 0.5, 0.6], "std": [0.1, 0.2, 0.3],
    },
    "method": {
        "name": "moco_v2", "options": {"ghost_batches": 4, "dim": 32}, "backbone": "resnet50",
        "init": "random", "frozen_stages": 2, "frozen_norms": True, "norm_adaptation": 0.2,
        "sync_batch_norm": False, "zero_init_last": True,
    },
    "arbitration": {
        "arbiter": "two_groups", "eyes": "both", "weighted_side": "predictor", "start": 0.25, "tau": None, "ess": None,
        "anchors": None, "covariance": "oas", "candidates": 2,
    },
    "optimization": {
        "epochs": 3, "steps": None, "batch_size": 64, "accumulate": 2, "optimizer": "lars", "learning_rate": 0.5,
        "final_learning_rate": 0.01, "encoder_rate": 0.1, "kept_share": 0.3,
        "rate_per": "epoch", "bias_rate": 0.5, "constant_rate": ["projector"], "warmup": 0.25, "warmup_steps": 7,
        "drops": [0.6, 0.8], "late_factor": 2.0, "weight_decay": 1e-6, "decay_all": True, "momentum": 0.8,
    },
    "runtime": {
        "seed": 5, "accelerator": "cpu", "devices": 2, "precision": "bf16", "workers": 1, "threads": 2,
        "checkpoint_activations": True, "compile": True, "checkpoint_every": 50, "views_on": "cpu",
        "nodes": 2, "strategy": "fsdp2",
    },
}  # fmt: skip
# Settings that only go with others.
WITH = {"tau": ["--arbiter=mahalanobis"], "ess": ["--arbiter=mahalanobis"], "anchors": ["--arbiter=mahalanobis"]}
WITH |= {"cache_in": ["--cache=512"]}
WITH |= {"mean": ["--std=[0.1, 0.2, 0.3]"], "std": ["--mean=[0.4, 0.5, 0.6]"]}


@pytest.fixture
def read(tmp_path):
    """Settings as a run reads them from its settings.json."""

    def make(values):
        (tmp_path / "settings.json").write_text(json.dumps(values))
        return Run(tmp_path).settings()

    return make


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """Settings as `uota pretrain` reads them from flags and files of settings, which are given as their content."""
    trained = []
    number = count()

    def train(settings, out, **others):
        trained.append(settings)
        return Run(out)

    monkeypatch.setattr("uota.training.pretrain.pretrain", train)
    monkeypatch.setattr("uota.commands.next_commands.next_commands", lambda run: [])

    def make(*flags, configs=()):
        for text in configs:
            file = tmp_path / f"{next(number)}.yaml"
            file.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
            flags = ("--config", str(file), *flags)
        assert main(["pretrain", f"--out={tmp_path / 'run'}", *flags]) == 0
        return trained.pop()

    return make


def test_the_file_here_has_every_setting():
    assert {OLD_NAMES.get(name, name) for name in FLAT_FILE} == set(FLAT)
    assert {(name, key) for name, section in NESTED_FILE.items() for key in section} == set(FLAT.values())


def test_a_flat_file_of_an_earlier_version_is_the_nested_one(read):
    assert read(FLAT_FILE) == read(NESTED_FILE) == Pretrain.from_flat(**FLAT_FILE)
    assert read(FLAT_FILE).as_dict() == NESTED_FILE


def test_a_file_from_before_there_were_steps_means_what_it_meant(read):
    before = {name: value for name, value in FLAT_FILE.items() if name not in ("steps", "warmup")}
    optimization = read(before).optimization
    assert (optimization.epochs, optimization.steps, optimization.warmup_steps) == (3, None, 7)
    assert optimization.total_steps(epoch_steps=5) == 15


def test_what_is_written_is_nested_and_read_again(read):
    settings = Pretrain.from_flat(**FLAT_FILE)
    assert list(settings.as_dict()) == list(SECTIONS)
    assert read(settings.as_dict()) == settings


def test_a_flat_yaml_file_is_the_nested_one(parse):
    assert parse(configs=[FLAT_FILE]) == parse(configs=[NESTED_FILE]) == Pretrain.from_flat(**FLAT_FILE)


def test_what_print_config_writes_is_taken(parse, capsys):
    with pytest.raises(SystemExit):
        main(["pretrain", "--config=moco_v2_imagenet", "--print_config"])
    assert parse(configs=[capsys.readouterr().out]) == recipe("moco_v2_imagenet")


@pytest.mark.parametrize("alias", [*FLAT, *OLD_NAMES])
def test_short_and_old_flags_set_what_nested_ones_set(alias, parse):
    section, key = FLAT[OLD_NAMES.get(alias, alias)]
    value = {"steps": 9, "tau": 3.0, "ess": 0.5, "anchors": 2}.get(alias, NESTED_FILE[section][key])
    flags = [*WITH.get(alias, []), *(["--batch_size=64"] if alias in ("devices", "nodes") else [])]
    text = value if isinstance(value, str) else json.dumps(value)
    short, long = (parse(*flags, f"--{name}={text}") for name in (alias, f"{section}.{key}"))
    assert short == long
    assert getattr(getattr(short, section), key) == value != getattr(getattr(Pretrain(), section), key)


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_nested(name, read):
    settings = recipe(name)
    assert read(settings.as_dict()) == settings
    sections = yaml.safe_load(recipe_file(name).read_text())
    assert sections.keys() <= SECTIONS.keys()
    assert all(isinstance(section, dict) for section in sections.values())


MIXED = {
    "another section": {"data": "FOLDER", "optimization": {"epochs": 3}},
    "a setting of the same section": {"data": "FOLDER", "pixel_range": [0.0, 9.0], "optimization": {"epochs": 3}},
    "part of a section": {"learning_rate": 0.5, "optimization": {"epochs": 3}, "batch_size": 32},
    "old names": {"look": "both", "arbitration": {"weighted_side": "both"}},
    "names with dots": {"optimization.epochs": 3, "optimization": {"batch_size": 32}, "method.name": "moco_v2"},
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED)
def test_flat_and_nested_names_add_up(values, read, parse):
    expected = Pretrain()
    for name, value in values.items():
        expected = expected.replace_flat(**{name: value})
    backwards = dict(reversed(values.items()))
    assert read(values) == read(backwards) == parse(configs=[values]) == parse(configs=[backwards]) == expected
    assert expected != Pretrain()


@pytest.mark.parametrize("name", ["data", "views", "method"])
def test_a_name_that_is_a_section_and_a_setting_changes_the_setting_alone(name, read, parse):
    values = NESTED_FILE | {"method": NESTED_FILE["method"] | {"options": {}}}
    section, key = FLAT[name]
    expected = Pretrain.from_flat(**values).replace_flat(**{name: "other"})
    assert parse(configs=[{name: "other"}, values]) == expected  # the last file is parsed first
    assert parse(f"--{name}=other", configs=[values]) == expected
    others = {each: value for each, value in values[section].items() if each != key}
    flat = {FLAT_NAMES[section, each]: value for each, value in others.items()}
    assert read({**values, name: "other"} | flat) == expected


FLAT_NAMES = {place: name for name, place in FLAT.items()}
TWICE = {
    "data and data.source": {"data": "A", "data.source": "B"},
    "learning_rate and optimization.learning_rate": {"learning_rate": 0.1, "optimization": {"learning_rate": 0.1}},
    "arbitration.input and look": {"arbitration": {"input": "both"}, "look": "both"},
    "look and arbiter_input": {"look": "both", "arbiter_input": "both"},
}


@pytest.mark.parametrize(("names", "values"), TWICE.items(), ids=TWICE)
def test_a_setting_that_is_given_twice_is_refused(names, values, read):
    for reader in (read, lambda values: Pretrain.from_flat(**values)):
        with pytest.raises(UotaError, match=f"{names} are the same setting; leave one of them out"):
            reader(values)


UNKNOWN = {
    "there is no setting epoch; the nearest is epochs": {"epoch": 3},
    "there is no setting optimisation; the nearest is optimization": {"optimisation": {"epochs": 3}},
    "there is no setting optimization.epoch; the nearest is optimization.epochs": {"optimization": {"epoch": 3}},
    "there is no setting data.epochs; write optimization.epochs": {"data": {"epochs": 3}},
    "there is no setting arbitration.look; write arbitration.eyes": {"arbitration": {"look": "both"}},
    "there is no setting data.xyzzy; data has source, pixel_range, image_megabytes": {"data": {"xyzzy": 3}},
    "there is no setting xyzzy; see `uota pretrain --help`": {"xyzzy": 3},
    "there is no setting runtime; it is a section; give it a mapping with any of seed, accelerator": {"runtime": 3},
    f"there is no setting {'long' * 15}...; see `uota pretrain --help`": {"long" * 50: 3},
}


@pytest.mark.parametrize(("says", "values"), UNKNOWN.items(), ids=map(str, range(len(UNKNOWN))))
def test_an_unknown_name_ends_in_a_sentence_that_names_the_right_one(says, values, tmp_path, read, capsys):
    with pytest.raises(UotaError) as caught:
        read(values)
    assert f"settings.json: {says}" in str(caught.value)
    with pytest.raises(UotaError) as caught:
        Pretrain.from_flat(**values)
    assert str(caught.value).startswith(says)
    (tmp_path / "given.yaml").write_text(json.dumps(values))
    assert main(["pretrain", f"--config={tmp_path / 'given.yaml'}", f"--out={tmp_path / 'run'}"]) == 2
    errors = capsys.readouterr().err
    assert f"given.yaml: {says}" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_text_is_no_section():
    """In a process of its own, since types are checked in that of the tests."""
    code = "from uota.settings.pretrain import Pretrain; Pretrain(method='swav')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    says = "method is a section; give a MethodSettings, or use Pretrain.from_flat(method=...)"
    assert ended.stderr.splitlines()[-1] == f"uota.errors.UotaError: {says}"


@pytest.mark.parametrize("name", ["moco_v1", "moco_v2", "jcl", "infomin"])
def test_options_have_their_old_names_too(name, read, parse):
    expected = MethodSettings(name, {"dim": 32, "ghost_batches": 2})
    old = {"method": name, "method_options": {"dim": 32, "parts": 2}}
    assert read(old).method == expected
    assert read({"method": {"name": name, "options": {"dim": 32, "parts": 2}}}).method == expected
    assert parse("--method_options.parts=2", configs=[{"method": {"name": name, "options": {"dim": 32}}}]).method == (
        expected
    )
    with pytest.raises(UotaError, match=f"options parts and ghost_batches of {name} are the same; leave parts out"):
        read({"method": name, "method_options": {"parts": 2, "ghost_batches": 2}})


def test_an_option_of_another_method_keeps_its_name():
    assert MethodSettings("own.Method", {"parts": 2}).options == {"parts": 2}


def test_every_setting_is_described_below_itself():
    parser = Parser()
    add_sections(parser)
    shown = " ".join(parser.format_help().split())
    for kind in SECTIONS.values():
        described = {each.arg_name: each.description for each in docstring_parser.parse_from_object(kind).params}
        for field in fields(kind):
            assert described[field.name], field.name
            assert " ".join(described[field.name].split()[:2]) in shown, field.name


@pytest.mark.parametrize("folder", ["dogs \U0001f600", "bildé", "a\x7fb"])
def test_any_text_of_a_settings_file_is_kept(folder, tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text(f"data: {json.dumps(folder) if folder.isascii() else folder}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["pretrain", f"--config={file}", "--print_config"])
    assert yaml.safe_load(capsys.readouterr().out)["data"]["source"] == folder


@pytest.mark.parametrize(
    "text", ["learning_rate: .nan", "out: null", "resume: maybe", "views: {options: {? !!binary aGk= : 3}}"]
)
def test_values_that_no_setting_has_end_in_a_sentence_with_the_file(text, tmp_path, capsys):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    assert main(["pretrain", f"--config={file}"]) == 2
    assert "settings.yaml is no file of settings: " in capsys.readouterr().err


@pytest.mark.parametrize("section", ["optimization", "arbitration", "runtime"])
def test_a_section_is_no_flag(section, capsys):
    assert main(["pretrain", f"--{section}", "3"]) == 2
    assert f"{section} is a section; give one of its settings, as --{section}.NAME" in capsys.readouterr().err
