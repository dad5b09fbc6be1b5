"""The parts as processes: the measurements of the accelerator, and the runs of `benchmarks.learns`."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.on_device.jobs import Job, expected_seconds, first_that_fits
from benchmarks.on_device.processes import Process, start

LIMITS = {"tests": 120.0, "speed": 240.0, "recipes": 150.0, "smoke": 150.0}
# The parts in their order, of which the first ones need all cores.
PARTS = tuple(LIMITS)
ALONE = ("tests", "speed")
# Tests of a GPU, and of the same code where there is none.
TESTS, TESTS_WITHOUT = ["-m", "cuda", "tests/training"], ["-m", "not cuda", "tests/training/test_cuda.py"]
# Arbiter and precision of each run from the command line.
SMOKES = (("none", "32"), ("mahalanobis", "32"), ("learned", "bf16"))
# Expected duration relative to one idle core, until a run has ended.
EXPECTED_PACE = {"cpu": 1.3, "cuda": 0.6}
FAR_TOO_LONG = 2.0  # times what was expected
SHORTEST_LIMIT = 240.0
FAILURES_THAT_TELL = 3
TEST_LINES = 40  # of the end of what the tests print: their failures and the summary


@dataclass
class Card:
    """The parts that use the card, one after the other.

    Attributes:
        out, folder: where results and logs go.
        source: `src` of the package.
        deadline: a time of the monotonic clock.
        tiny: run the smallest form, on a CPU.
        waiting: parts that have not begun.
        notes: remarks for the reader of the results.
        running: processes of the present part.
    """

    out: Path
    folder: Path
    source: Path
    deadline: float
    tiny: bool
    waiting: list[str] = field(default_factory=lambda: [*PARTS])
    notes: list[str] = field(default_factory=list)
    running: list[Process] = field(default_factory=list)
    present: str = ""

    @property
    def done(self) -> bool:
        """Return whether nothing runs or waits."""
        return not self.running and not self.waiting

    @property
    def needs_all_cores(self) -> bool:
        """Return whether a part runs, or comes next, that other work would disturb."""
        return any(part in ALONE for part in ([self.present] if self.running else self.waiting[:1]))

    @property
    def is_free(self) -> bool:
        """Return whether others may use the card."""
        return self.present == "smoke" or not (self.running or set(self.waiting) - {"smoke"})

    def advance(self) -> None:
        """Record what has ended, and start what comes next."""
        for process in list(self.running):
            if how := process.ended():
                self.running.remove(process)
                self._note(process, how)
        if self.running or not self.waiting:
            return
        self.present = self.waiting.pop(0)
        for name, arguments in self._processes(self.present):
            left = self.deadline - time.monotonic()
            limit = left if self.tiny else min(LIMITS[self.present], left)  # a CPU may be busy with other work
            log = self.folder / f"{name}.log"
            threads = 1 if self.tiny else 2
            self.running.append(start(name, arguments, log, limit, self.source, card=True, threads=threads))

    def _processes(self, part: str) -> Iterator[tuple[str, list[str]]]:
        """Yield name and arguments of the processes of a part."""
        tiny = ["--tiny"] if self.tiny else []
        if part == "tests":
            yield part, ["pytest", "-p", "no:cacheprovider", "-rfE", *(TESTS_WITHOUT if self.tiny else TESTS)]
        elif part == "speed":
            yield part, ["benchmarks.on_device.speed", str(self.out / "speed.jsonl"), *tiny]
        elif part == "recipes":
            some = ["swav_uota_imagenet", "moco_v1_imagenet"] if self.tiny else []
            yield part, ["benchmarks.on_device.recipes", str(self.out / "recipes.jsonl"), *tiny, *some]
        else:
            for arbiter, precision in SMOKES[:1] if self.tiny else SMOKES:
                file = str(self.folder / f"smoke-{arbiter}.json")
                yield f"smoke-{arbiter}", ["benchmarks.on_device.smoke", arbiter, precision, file, *tiny]

    def _note(self, process: Process, how: str) -> None:
        self.notes.append(f"{process.name}: {how}, {process.seconds:.0f} s")
        if process.name == "tests":
            (self.out / "tests.txt").write_text(process.last_lines(TEST_LINES) + "\n")
        if how != "ok":
            keep_failure(self.out, process, how)
        elif process.name.startswith("smoke"):
            append(self.out / "smoke.jsonl", (self.folder / f"{process.name}.json").read_text())

    def stop(self) -> None:
        """Stop what runs when there is no time left."""
        for process in self.running:
            process.stop()
            self.notes.append(f"{process.name}: stopped after {process.seconds:.0f} s, as there was no time left")
            keep_failure(self.out, process, "stopped")
        self.notes += [f"{name}: not run" for name in self.waiting]


@dataclass
class Learning:
    """The runs of `benchmarks.learns`, as many at once as there are slots.

    Attributes:
        out, folder: where results and logs go.
        trees: `src` of each version of the code.
        plans: the runs on each device, in their order.
        costs: expected seconds of each method's run on one core.
        deadline: a time of the monotonic clock.
        slots: runs at a time.
        has_card: whether there is an accelerator on which runs do not all fail.
        notes: remarks for the reader of the results.
    """

    out: Path
    folder: Path
    trees: dict[str, Path]
    plans: dict[str, list[Job]]
    costs: dict[str, float]
    deadline: float
    slots: int
    has_card: bool
    notes: list[str] = field(default_factory=list)
    running: dict[Job, Process] = field(default_factory=dict)
    finished: dict[str, list[tuple[Job, float]]] = field(default_factory=lambda: {"cpu": [], "cuda": []})
    full: bool = False
    first_round: int = 0
    failed_on_card: int = 0

    @property
    def done(self) -> bool:
        """Return whether nothing runs and nothing more will be started."""
        return self.full and not self.running

    def advance(self, card_is_free: bool) -> None:
        """Record what has ended, and fill the slots.

        While the card is measured each slot takes one run on the CPU, and then waits for it.
        """
        for job, process in list(self.running.items()):
            if how := process.ended():
                del self.running[job]
                self._note(job, process, how)
        while len(self.running) < self.slots and not self.full:
            if self.has_card and not card_is_free and self.first_round == self.slots:
                return
            device = "cuda" if self.has_card and card_is_free else "cpu"
            self._start_next(device)

    def _start_next(self, device: str) -> None:
        """Start the next run that should end in time; if there is none, stop starting runs."""

        def expected(method: str) -> float:
            return expected_seconds(method, self.finished[device], self.costs, EXPECTED_PACE[device])

        job = first_that_fits(self.plans[device], self.deadline - time.monotonic(), expected)
        if job is None:
            self.full = device == "cuda" or not self.has_card
            self.first_round = self.slots
            return
        self.plans[device].remove(job)
        self.first_round += 1
        name = "-".join(map(str, (job.tree, *job.run)))
        arguments = ["benchmarks.on_device.learn", *map(str, job.run), str(self.folder / f"{name}.json")]
        limit = max(SHORTEST_LIMIT, FAR_TOO_LONG * expected(job.run.method))
        log, source = self.folder / f"{name}.log", self.trees[job.tree]
        self.running[job] = start(name, arguments, log, limit, source, card=device == "cuda", threads=1)

    def _note(self, job: Job, process: Process, how: str) -> None:
        if how == "ok":
            self.finished[job.run.device].append((job, process.seconds))
            file = "learns.jsonl" if job.tree == "new" else "learns-before.jsonl"
            append(self.out / file, (self.folder / f"{process.name}.json").read_text())
            return
        self.notes.append(f"{process.name}: {how} after {process.seconds:.0f} s")
        keep_failure(self.out, process, how)
        self.failed_on_card += job.run.device == "cuda"
        if self.has_card and not self.finished["cuda"] and self.failed_on_card == FAILURES_THAT_TELL:
            self.has_card = False
            self.notes.append(
                f"the first {FAILURES_THAT_TELL} runs to end on the card failed: no more are started there"
            )

    def stop(self) -> None:
        """Stop what runs when there is no time left, and record what was not made."""
        for process in self.running.values():
            process.stop()
            self.notes.append(f"{process.name}: stopped after {process.seconds:.0f} s, as there was no time left")
        made = {device: len(ended) for device, ended in self.finished.items()}
        left = self.plans["cuda" if self.has_card else "cpu"]
        self.notes.append(
            f"learns: {made['cpu']} runs on the CPU, {made['cuda']} on the card; {len(left)} never started"
        )
        self.notes += [f"  {job.tree} {' '.join(map(str, job.run))}" for job in left]


def append(path: Path, line: str) -> None:
    """Add a line of JSON to a file."""
    with path.open("a") as file:
        file.write(json.dumps(json.loads(line)) + "\n")


def keep_failure(out: Path, process: Process, how: str) -> None:
    """Add the end of what a process printed to the file of failures."""
    with (out / "failures.txt").open("a") as file:
        file.write(f"== {process.name}: {how}\n{process.last_lines(30)}\n")
