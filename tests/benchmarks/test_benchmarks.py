"""Every benchmark is listed and runs in its smallest form."""

import json
import sys
from importlib import import_module
from itertools import product
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import torch

import benchmarks
from benchmarks import BENCHMARKS
from benchmarks.__main__ import main as list_benchmarks
from benchmarks.command_line import start
from uota import UotaError
from uota.commands.cli import main as uota

FOLDER = Path(benchmarks.__file__).parent
TINY = [
    ("arbitration", []),
    ("views", []),
    ("start_up", []),
    ("scale", []),
    ("step", ["cost"]),
    ("step", ["peers"]),
    ("packed", []),
    ("loader", []),
    ("peers", []),
    ("eyes", []),
    ("telling_outliers", ["injected-25"]),
    ("learns", []),
    ("defaults", []),
    ("worth", []),
    ("refiling", []),
    ("third_party_loop", []),
    ("transfer", []),
]
# These need more than --tiny to be quick, and have tests of their own below.
OTHERS = {
    *("kill", "hostile", "demo_seeds", "groups", "misfiled", "misfiled.picture", "misfiled_scale"),
    *("misfiled.strangers",),
    *("worth.table", "worth.page", "worth.picture"),
    *("on_device", "on_device.speed", "on_device.recipes", "on_device.smoke", "on_device.learn"),
}
WRONG = [
    ("telling_outliers", [], "the following arguments are required: CONDITION"),
    ("telling_outliers", ["injected-50"], "invalid choice: 'injected-50'"),
    ("step", [], "the following arguments are required: what"),
    ("step", ["peers", "resnet50"], "there is no backbone 'resnet50' here"),
    ("step", ["cost", "tiny"], "cost takes no backbones"),
    ("views", ["--images", "0"], "'0' is not a whole number of at least 1"),
    ("worth", ["ten"], "'ten' is not a whole number of at least 1"),
    ("refiling", ["--rates", "0.3"], "invalid choice: 0.3"),
    ("learns", ["swa"], "there is no method 'swa'"),
    ("hostile", ["--kinds", "image"], "there is no kind 'image'"),
    ("packed", ["no-such-folder"], "no-such-folder is not a folder"),
    ("loader", ["--before", "no-such-folder"], "no-such-folder has no package uota"),
    ("transfer", ["tables"], "invalid choice: 'tables'"),
    ("peers", ["once", "lightly", "byol"], "invalid choice: 'byol'"),
    ("on_device", [], "the following arguments are required: --out"),
    ("on_device.smoke", ["none", "16", "file"], "invalid choice: '16'"),
    ("on_device.recipes", ["file", "swav"], "there is no recipe 'swav'"),
]


def run(name: str, arguments: list[str]) -> None:
    module = f"benchmarks.{name}.__main__" if (FOLDER / name).is_dir() else f"benchmarks.{name}"
    import_module(module).main(arguments)


def modules() -> set[str]:
    """Return the names of all modules of benchmarks that can be started, except for the list itself."""
    files = [file for file in FOLDER.rglob("*.py") if 'if __name__ == "__main__"' in file.read_text()]
    names = {".".join(file.relative_to(FOLDER).with_suffix("").parts).removesuffix("__main__") for file in files}
    return {name.rstrip(".") for name in names} - {""}


def test_every_benchmark_is_listed_and_has_a_test(capsys):
    assert modules() == BENCHMARKS.keys() == {name for name, _ in TINY} | OTHERS

    list_benchmarks()

    listed = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in listed] == [*BENCHMARKS]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_documentation_has_the_command(name: str):
    module = import_module(f"benchmarks.{name}.__main__" if (FOLDER / name).is_dir() else f"benchmarks.{name}")
    assert f"python -m benchmarks.{name}" in (module.__doc__ or "")


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")  # lightly's DINO
@pytest.mark.parametrize(("name", "arguments"), TINY, ids=["-".join([name, *more]) for name, more in TINY])
def test_the_smallest_form_runs(name: str, arguments: list[str], tmp_path: Path):
    out = tmp_path / "folder" / "results"

    run(name, [*arguments, "--tiny", "--out", str(out)])

    assert [json.loads(line) for line in out.read_text().splitlines()] if name in LINES else json.loads(out.read_text())


# Their results are lines of JSON.
LINES = ("loader", "learns", "worth", "refiling", "third_party_loop", "transfer")


@pytest.mark.parametrize(("name", "arguments", "said"), WRONG)
def test_a_usage_error_is_one_sentence(name: str, arguments: list[str], said: str, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run(name, arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m benchmarks.{name}")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_an_error_that_the_user_can_fix_is_one_sentence(capsys):
    def fail() -> None:
        raise UotaError("there are no stamps; install them")

    with pytest.raises(SystemExit) as stopped:
        start(fail)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "there are no stamps; install them\n"


def test_missing_pictures_are_reported(tmp_path, monkeypatch):
    from benchmarks import peers
    from benchmarks.worth import drawings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(peers, "STAMPS", tmp_path / "none")
    with pytest.raises(UotaError, match="apt-get install tuxpaint-stamps-default"):
        peers.make_jpegs()
    monkeypatch.setattr(drawings, "FOLDER", tmp_path / "none")
    with pytest.raises(UotaError, match="apt-get install openclipart-png"):
        drawings.open_drawings("train")


def test_the_smallest_form_keeps_committed_results(tmp_path, monkeypatch):
    from benchmarks.arbitration import OUT

    before = OUT.read_text()
    monkeypatch.chdir(tmp_path)
    run("arbitration", ["--tiny"])
    assert OUT.read_text() == before
    assert (tmp_path / "runs/tiny-benchmarks/arbitration.json").exists()


def test_kill_runs(tmp_path, monkeypatch):
    # Commands that are not killed run in this process, which saves imports.
    monkeypatch.setattr("benchmarks.kill.run", lambda command: uota(command[3:]))

    run("kill", ["--tiny", "--out", str(tmp_path / "kill.json")])

    made = json.loads((tmp_path / "kill.json").read_text())
    assert made["equal"]
    assert [kill["moment"] for kill in made["kills"]] == ["step"]


def test_hostile_runs(tmp_path, capfd):
    from benchmarks.hostile import KINDS

    run("hostile", ["--tiny", "--out", str(tmp_path / "lines")])
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["kind"] for line in lines] == list(KINDS)
    assert not any("fault" in line or "hang" in line or "program" in line for line in lines)


def test_demo_seeds_runs(tmp_path, monkeypatch, capsys):
    from benchmarks import demo_seeds

    # The demo itself takes minutes and has tests of its own.
    figures = {"share": 0.1, "precision": {"uota": 0.9}, "encoders": {"before": {"retrieval": 70.0, "precision": 0.9}}}
    demo = create_autospec(demo_seeds.run_demo, return_value=figures)
    monkeypatch.setattr(demo_seeds, "run_demo", demo)

    for _ in range(2):
        run("demo_seeds", ["--seeds", "3", "5", "--out", str(tmp_path / "seeds.json")])

    assert [call.args[1:] for call in demo.call_args_list] == [(seed, demo_seeds.Length()) for seed in (3, 5)]
    assert json.loads((tmp_path / "seeds.json").read_text()) == {"3": figures, "5": figures}
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines[:4]] == [
        "estimated share mean 0.100 seeds 0.100, 0.100",
        "list: uota mean 0.900 seeds 0.900, 0.900",
        "before: retrieval mean 70.0 seeds 70.0, 70.0",
        "before: precision mean 0.900 seeds 0.900, 0.900",
    ]


def test_groups_runs(tmp_path, monkeypatch):
    from benchmarks import groups

    if groups.find_spec("cleanlab") is None:  # its default quality is the probability of the label
        monkeypatch.setattr(groups, "find_spec", lambda name: name)
        monkeypatch.setattr(groups, "label_quality", lambda folder, p: p[torch.arange(len(folder)), folder])

    run("groups", ["--tiny", "--out", str(tmp_path / "lines")])

    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["arm"] for line in lines] == ["learned-features", "pixels", "untrained"]
    assert all(0 < line["ap_cleanlab_centres"] < 1 for line in lines)


def test_misfiled_scale_runs(tmp_path, monkeypatch, capsys):
    from benchmarks import misfiled_others, misfiled_scale

    def in_this_process(command: list[str]) -> dict[str, float]:
        # Without imports; a process of its own is started below.
        assert uota(command[3:]) == 0 if "uota" in command else misfiled_others.write(*command[3:]) is None
        return {"processor_seconds": 1.0}

    if misfiled_scale.find_spec("cleanlab") is None:  # its default quality is the probability of the label
        monkeypatch.setattr(misfiled_others, "label_quality", lambda members: members.own)
    monkeypatch.setattr(misfiled_scale, "find_spec", lambda name: name)
    monkeypatch.setattr(misfiled_scale, "used", in_this_process)

    run("misfiled_scale", ["--tiny", "--out", str(tmp_path / "lines")])

    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [(line["way"], line["members"]) for line in lines[:4]] == [
        *(("centre", 400), ("cleanlab", 400), ("uota", 400), ("centre", 800)),
    ]
    assert all(0.3 < line["ap"] <= 1 for line in lines)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["members"] == 800


def test_misfiled_scale_counts_time_and_memory():
    from benchmarks.misfiled_scale import used

    found = used([sys.executable, "-c", "x = bytearray(10**8)"])
    assert found["peak_gb"] > 0.1
    assert found["seconds"] >= 0


def test_misfiled_runs(tmp_path, monkeypatch):
    from benchmarks.misfiled import __main__ as misfiled
    from benchmarks.misfiled import features, others

    monkeypatch.setattr(features, "FOLDER", tmp_path / "features")
    if misfiled.find_spec("cleanlab") is None:  # its default quality is the probability of the label
        monkeypatch.setattr(misfiled, "find_spec", lambda name: name)
        monkeypatch.setattr(
            others, "cleanlab", lambda name, p, group: {f"cleanlab {name}": -p[torch.arange(len(group)), group]}
        )
    misfiled.main(["--tiny", "--out", str(tmp_path / "lines")])
    (line,) = (json.loads(line) for line in (tmp_path / "lines").read_text().splitlines())
    assert (line["data"], line["share"], line["wrong"]) == ("drawings", 0.05, 0.05)
    assert all(0 < each <= 1 for each in (line["uota"], *line["others"].values()))


def test_tables_page_and_picture_are_written(tmp_path, capsys):
    run("worth.table", [])
    assert "What arbitration is worth" in capsys.readouterr().out
    run("worth.page", ["--out", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text() == (FOLDER.parent / "docs/worth-figures.md").read_text()
    run("worth.picture", ["--out", str(tmp_path / "picture.png")])
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_recipe_runs(tmp_path):
    run("on_device.recipes", [str(tmp_path / "lines"), "moco_v1_imagenet", "--tiny"])
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line.get("finite", line.get("equal")) for line in lines] == [True] * 4


def test_the_speed_of_trainings_is_measured(tmp_path):
    run("on_device.speed", [str(tmp_path / "lines"), "--tiny"])
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line.get("error") for line in lines] == [None] * 3 * 9
    assert all(line["images_per_second"] > 0 for line in lines)
    assert {line["method"] for line in lines} == {"simclr", "barlow_twins", "swav"}
    assert {(line.get("images"), line.get("views_on")) for line in lines if line["what"] == "training"} == set(
        product(("memory", "jpeg"), ("cpu", "device"))
    )
    assert {line["arbiter"] for line in lines if line["what"] == "step"} == {"none", "mahalanobis", "learned"}


def test_smoke_runs(tmp_path, monkeypatch):
    from benchmarks.on_device import smoke

    def in_this_process(*arguments: str, card: bool) -> float:
        assert uota([*arguments]) == 0
        return 1.0

    monkeypatch.setattr(smoke, "uota", in_this_process)
    run("on_device.smoke", ["learned", "32", str(tmp_path / "line"), "--tiny"])
    assert 0 <= json.loads((tmp_path / "line").read_text())["knn"] <= 100


def test_a_run_of_learns_for_a_device_runs(tmp_path):
    tf32 = torch.backends.cudnn.allow_tf32
    run("on_device.learn", ["swav", "demo-scenes", "0", "untrained", "cpu", str(tmp_path / "line"), "--tiny"])
    torch.backends.cudnn.allow_tf32 = tf32
    assert json.loads((tmp_path / "line").read_text())["arm"] == "untrained"


def test_all_parts_for_a_device_run(tmp_path, monkeypatch):
    from benchmarks.on_device import parts, processes

    lines = """
import json, sys
row = {"method": "swav", "data": "demo-scenes", "arm": "untrained", "device": "cpu", "seed": 0}
row |= {"linear": 50.0, "knn": 40.0}
part = {"part": "recipe", "recipe": "swav", "finite": True}
part |= {"what": "network", "images_per_second": 3.0}
files = [word for word in sys.argv[1:] if ".json" in word]
for file in files:
    open(file, "a").write(json.dumps(row | part) + "\\n")
if not files:
    print("3 passed in 2 s")
"""
    (tmp_path / "quick_module.py").write_text(lines)

    def quick(name: str, arguments: list[str], *rest, **options) -> processes.Process:
        return processes.start(name, ["quick_module", *arguments[1:]], *rest, **options)

    monkeypatch.setattr(parts, "start", quick)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    run("on_device", ["--out", str(tmp_path / "out"), "--minutes", "2", "--tiny"])

    table = (tmp_path / "out/table.txt").read_text()
    assert "## Tests on the device\n\n3 passed in 2 s" in table
    assert "| swav |  |  | network |  |  |  | 3.0 | 1.0 |" in table
    assert "1 of 1 rows are finite or equal" in table
    assert "learns: 1 runs on the CPU, 0 on the card; 0 never started" in table


def test_parts_for_a_device_are_chosen_and_others_are_not_run(tmp_path):
    run("on_device", ["--out", str(tmp_path / "out"), "--minutes", "0.1", "--parts", "speed", "--tiny"])
    table = (tmp_path / "out/table.txt").read_text()
    assert "## Tests on the device\n\nnot run" in table
    assert "## Speed of whole trainings\n\nnot run" in table  # there was no time
    assert "speed: not run" in table
    assert "learns: 0 runs on the CPU, 0 on the card; 0 never started" in table
