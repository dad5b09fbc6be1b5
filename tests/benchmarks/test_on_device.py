"""Measurements on a machine that is available for minutes: their order, their time limits, and what still fits."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.learns import Run
from benchmarks.on_device.jobs import AROUND, CHANGED, UNKNOWN, Job, costs_of, expected_seconds, first_that_fits, plan
from benchmarks.on_device.parts import Card, Learning
from benchmarks.on_device.processes import Process, start
from benchmarks.on_device.recipes import of_one_device
from benchmarks.on_device.table import lines_of, of_recipes, of_speed, of_tests
from uota.recipes import recipe

COSTS = {"swav": 100.0, "infomin": 200.0, "supervised": 300.0}


def job(method: str, seed: int = 0, tree: str = "new") -> Job:
    return Job(tree, Run(method, "demo-scenes", seed, "none"))


def test_the_plan_starts_with_changed_methods_then_the_base_then_the_rest():
    jobs = plan("cuda", True, COSTS)

    assert len(jobs) == len(set(jobs)) == 2 * 2 * 3 * 13
    assert {each.run.device for each in jobs} == {"cuda"}
    tiers = [(each.run.arm != "none", each.run.method not in CHANGED, each.tree == "base") for each in jobs]
    assert tiers == sorted(tiers)
    assert set(tiers[:33]) == {(False, False, False)}
    assert {each.run.seed for each in jobs[:33]} == {0, 1, 2}


def test_the_longest_of_equal_priority_come_first():
    first = [each.run.method for each in plan("cpu", False, dict.fromkeys(CHANGED, 1.0) | {"jcl": 3.0, "byol": 2.0})]
    assert first[:6] == ["jcl"] * 3 + ["byol"] * 3


def test_without_a_base_there_are_only_runs_of_this_code():
    assert {each.tree for each in plan("cpu", False, COSTS)} == {"new"}


def test_costs_are_the_longest_training_plus_overhead():
    rows = [
        {"method": "swav", "arm": arm, "cpu_seconds": seconds}
        for arm, seconds in (("none", 131), ("learned", 139), ("untrained", 999))
    ]
    assert costs_of(rows) == {"swav": 139 + AROUND}


@pytest.mark.parametrize(("left", "found"), [(250.0, "infomin"), (150.0, "swav"), (100.0, "swav"), (99.0, None)])
def test_the_next_run_is_the_first_that_ends_in_time(left: float, found: str | None):
    next_one = first_that_fits([job("infomin"), job("swav")], left, COSTS.__getitem__)
    assert next_one == (None if found is None else job(found))


def test_a_run_is_expected_to_take_as_long_as_the_slowest_of_its_method():
    ended = [(job("swav"), 50.0), (job("swav", 1), 55.0), (job("infomin"), 160.0)]
    assert expected_seconds("swav", ended, COSTS, 1.3) == 55.0


def test_otherwise_a_run_takes_its_cost_at_the_mean_pace_of_others():
    ended = [(job("swav"), 50.0), (job("infomin"), 160.0)]  # 0.5 and 0.8 times their costs
    assert expected_seconds("supervised", ended, COSTS, 1.3) == pytest.approx(0.65 * 300)
    assert expected_seconds("supervised", [], COSTS, 1.3) == pytest.approx(1.3 * 300)
    assert expected_seconds("new", [], COSTS, 1.0) == UNKNOWN


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str, float], Process]:
    """Return a function that starts a module with this text."""

    def started(text: str, limit: float) -> Process:
        (tmp_path / "some_module.py").write_text(text)
        return start("some", ["some_module"], tmp_path / "log", limit, tmp_path, card=False, threads=1)

    return started


def wait(process: Process) -> str:
    until = time.monotonic() + 30
    while (how := process.ended()) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    return how


def test_a_process_sees_no_gpu_and_one_core_and_its_output_is_kept(module):
    process = module("import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']), os.environ['OMP_NUM_THREADS'])", 30)
    assert wait(process) == "ok"
    assert process.last_lines(1) == "'' 1"


def test_a_failed_process_is_distinguished_from_a_successful_one(module):
    process = module("raise SystemExit('no')", 30)
    assert wait(process) == "failed"
    assert process.last_lines(1) == "no"


def test_a_process_beyond_its_time_limit_is_stopped(module):
    process = module("import time; time.sleep(600)", 0.2)
    assert wait(process) == "over its 0 s"
    assert process.popen.returncode == -9


@pytest.fixture
def learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Learning:
    """Schedule runs that write their line immediately; those of `byol` fail."""
    lines = """
import json, sys
if sys.argv[1] == "byol":
    raise SystemExit("no")
with open(sys.argv[6], "w") as file:
    json.dump({"method": sys.argv[1], "device": sys.argv[5]}, file)
"""
    (tmp_path / "quick_module.py").write_text(lines)

    def quick(name: str, arguments: list[str], *rest, **options) -> Process:
        return start(name, ["quick_module", *arguments[1:]], *rest, **options)

    monkeypatch.setattr("benchmarks.on_device.parts.start", quick)
    jobs = [job("swav"), job("infomin"), job("swav", tree="base")]
    on_card = [each._replace(run=each.run._replace(device="cuda")) for each in jobs]
    trees = {"new": tmp_path, "base": tmp_path}
    plans = {"cpu": jobs, "cuda": on_card}
    return Learning(tmp_path, tmp_path, trees, plans, COSTS, time.monotonic() + 1000, slots=2, has_card=False)


def finish(learning: Learning, card_is_free: bool = True) -> None:
    until = time.monotonic() + 60
    while not learning.done:
        assert time.monotonic() < until
        learning.advance(card_is_free)
        time.sleep(0.02)
    learning.stop()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_run_has_a_line_in_the_file_of_its_tree(learning, tmp_path):
    finish(learning)
    assert sorted(row["method"] for row in lines(tmp_path / "learns.jsonl")) == ["infomin", "swav"]
    assert [row["method"] for row in lines(tmp_path / "learns-before.jsonl")] == ["swav"]
    assert learning.notes == ["learns: 3 runs on the CPU, 0 on the card; 0 never started"]


def test_runs_that_do_not_fit_are_not_started_and_reported(learning, tmp_path):
    learning.costs = learning.costs | {"infomin": 1e9}
    finish(learning)
    assert [row["method"] for row in lines(tmp_path / "learns.jsonl")] == ["swav"]
    assert "  new infomin demo-scenes 0 none cpu" in learning.notes


def test_while_the_gpu_is_measured_each_slot_takes_one_run_on_the_cpu(learning, tmp_path):
    learning.has_card = True
    until = time.monotonic() + 60
    while len(learning.finished["cpu"]) < 2:
        assert time.monotonic() < until
        learning.advance(card_is_free=False)
        time.sleep(0.02)
    learning.advance(card_is_free=False)
    assert not learning.running

    finish(learning)
    assert [len(learning.finished[device]) for device in ("cpu", "cuda")] == [2, 3]


def test_runs_that_do_not_fit_on_the_cpu_wait_for_the_gpu(learning, tmp_path):
    learning.has_card = True
    learning.deadline = time.monotonic() + 125  # between 0.6 × 100 seconds on the GPU and 1.3 × 100 on the CPU
    learning.advance(card_is_free=False)
    assert not learning.running

    finish(learning)
    assert len(learning.finished["cuda"]) == 3


def test_if_the_gpu_fails_the_cpu_continues(learning, tmp_path):
    learning.has_card = True
    learning.plans["cuda"] = [
        job("byol", seed)._replace(run=job("byol", seed).run._replace(device="cuda")) for seed in range(9)
    ]
    learning.costs = learning.costs | {"byol": 1.0}
    learning.slots = 1
    finish(learning)
    assert not learning.has_card
    assert len(learning.finished["cpu"]) == 3
    assert len(learning.plans["cuda"]) == 6
    assert (tmp_path / "failures.txt").read_text().startswith("== new-byol-demo-scenes-0-none-cuda: failed\nno\n")


def test_processes_running_at_the_end_are_stopped_and_reported(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(
        "benchmarks.on_device.parts.start",
        lambda name, arguments, *rest, **options: start(name, ["slow_module"], *rest, **options),
    )
    card = Card(tmp_path, tmp_path, tmp_path, time.monotonic() + 100, tiny=True)
    card.advance()
    (process,) = card.running
    card.stop()
    assert process.popen.returncode == -9
    assert card.notes[0] == "tests: stopped after 0 s, as there was no time left"
    assert card.notes[1:] == ["speed: not run", "recipes: not run", "smoke: not run"]


def test_other_work_waits_for_parts_that_need_all_cores(tmp_path, monkeypatch):
    text = "import sys\nfor word in sys.argv:\n    word.endswith('.json') and open(word, 'w').write('{}')"
    (tmp_path / "quick_module.py").write_text(text)
    monkeypatch.setattr(
        "benchmarks.on_device.parts.start",
        lambda name, arguments, *rest, **options: start(name, ["quick_module", *arguments], *rest, **options),
    )
    card, seen = Card(tmp_path, tmp_path, tmp_path, time.monotonic() + 100, tiny=True), []
    while not card.done:
        card.advance()
        seen.append((card.present, card.needs_all_cores, card.is_free))
        time.sleep(0.02)
    order = [("tests", True, False), ("speed", True, False), ("recipes", False, False), ("smoke", False, True)]
    assert list(dict.fromkeys(seen)) == order
    assert [note.partition(",")[0] for note in card.notes] == [
        *("tests: ok", "speed: ok", "recipes: ok", "smoke-none: ok"),
    ]


def test_the_table_has_what_the_tests_said_and_rates_beside_others(tmp_path):
    (tmp_path / "tests.txt").write_text("..F\nFAILED tests/a.py::b - no\n1 failed, 2 passed in 3 s\n")
    assert list(of_tests(tmp_path / "tests.txt"))[1:] == ["FAILED tests/a.py::b - no", "1 failed, 2 passed in 3 s"]
    assert list(of_tests(tmp_path / "none.txt"))[1:] == ["not run"]
    (tmp_path / "tests.txt").write_text("..\n")
    assert list(of_tests(tmp_path / "tests.txt"))[1:] == ["..", "stopped before their end"]
    training = {"what": "training", "images": "jpeg", "views_on": "device", "images_per_second": 400.0}
    rows = [
        {"what": "network", "images_per_second": 500.0},
        training,
        training | {"images": "memory"},
        {"what": "lightly", "images": "jpeg", "images_per_second": 100.0},
        {"what": "training", "error": "RuntimeError: no"},
    ]
    said = list(of_speed([{"method": "swav"} | row for row in rows]))
    assert "| swav |  |  | training |  | jpeg | device | 400.0 | 0.8 | 4.0 |  |  |" in said
    assert "| swav |  |  | training |  | memory | device | 400.0 | 0.8 |  |  |  |" in said
    assert said[-2].endswith("| RuntimeError: no")
    assert "not run" in "\n".join(of_speed([]))


def test_tables_show_numbers_errors_and_failed_rows():
    fine = {"part": "recipe", "recipe": "swav", "losses": [8.0, 7.5], "finite": True, "arbiter_share": 0.0004}
    broken = {"part": "recipe", "recipe": "byol", "error": "RuntimeError: no"}
    said = "\n".join(of_recipes([fine, broken]))
    assert "| swav |  |  | 8.0, 7.5 |  |  | 4.0e-04 |  |" in said
    assert "| byol |  |  |  |  |  |  |  | RuntimeError: no" in said
    assert "1 of 2 rows are finite or equal; not: ['byol']" in said
    assert list(lines_of("empty", [], ["a"])) == ["\n## empty\n", "not run"]
    assert list(of_recipes([])) == ["\n## Published recipes\n\nnot run"]


def test_one_device_of_a_recipe_has_its_share_of_the_batch():
    settings = of_one_device(recipe("byol_imagenet"))
    assert (settings.runtime.devices, settings.optimization.batch_size, settings.runtime.precision) == (1, 128, "bf16")
    assert settings.method.backbone == "resnet50"
