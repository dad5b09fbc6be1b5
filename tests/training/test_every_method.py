"""What training promises, for every method: an unlabelled folder, bf16, resume, and two processes that equal one."""

import csv
import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from uota.config import Pretrain
from uota.data import open_source
from uota.errors import UotaError
from uota.methods import METHODS, Embedded, Step
from uota.nn.sync_batchnorm import synchronised
from uota.runs import Run
from uota.training.build import build_arbiter, build_method, decide, preset_of
from uota.training.looks import look
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain
from uota.views import ViewPipeline

LEARNING = [name for name in METHODS if name != "random"]
VIEWS = {"cpc_v2": "small-cpc"}
CANDIDATES = {"swav": 2, "byol": 2}  # views are chosen before the encoder
BATCH, STEPS = 16, 2
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def settings(small, pictures, tmp_path):
    """Settings of a short run of a method; on pictures without labels, where it needs none."""

    def make(method, **changes):
        unlabelled = tmp_path / "unlabelled"
        if not unlabelled.exists():
            shutil.copytree(pictures / "class0", unlabelled)
        data = pictures if METHODS[method].needs_labels else unlabelled
        views = VIEWS.get(method, "small")
        candidates = {"candidates": CANDIDATES.get(method, 1)}
        local = {"local_views": None if method in VIEWS else 1}
        return small(method=method, data=str(data), views=views, batch_size=12, **local | candidates | changes)

    return make


def weights(run):
    return {key: value for key, value in run.state()["state_dict"].items() if isinstance(value, torch.Tensor)}


@every_method
def test_bf16_on_a_folder_trains_and_shows_no_collapse(settings, tmp_path, method):
    run = pretrain(settings(method, precision="bf16"), tmp_path / "run", bar=False, lines=False)
    assert all(bool(torch.isfinite(value).all()) for value in weights(run).values())
    (log,) = (run.folder / "logs").glob("*/metrics.csv")
    last = list(csv.DictReader(log.read_text().splitlines()))[-1]
    assert float(last["rankme"]) > 2


@every_method
def test_interrupted_and_resumed_equals_uninterrupted(settings, tmp_path, method, monkeypatch):
    chosen = settings(method, epochs=2)
    whole = pretrain(chosen, tmp_path / "whole", bar=False, lines=False)
    step = Pretraining.training_step

    def pressed(self, views, batch_index):
        if self.global_step == 4:  # within the second epoch
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", pressed)
    with pytest.raises(UotaError, match="--resume"):
        pretrain(chosen, tmp_path / "parts", bar=False, lines=False)
    monkeypatch.undo()
    parts = Run(tmp_path / "parts")
    assert parts.state()["global_step"] == 5
    pretrain(parts.settings(), parts.folder, resume=True, bar=False, lines=False)
    assert parts.state()["global_step"] == whole.state()["global_step"]
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(parts)[key]), key


def steps_of(settings, rank, ranks):
    """Losses and gradients of some steps in 64 bits, this rank's images of each global batch of the same pictures."""
    source = open_source(settings.data)
    settings = decide(settings, source)
    method = build_method(settings)
    arbiter = build_arbiter(settings, method.dim)
    if ranks > 1:
        synchronised(method)
    method = method.double()
    pipeline, local = ViewPipeline(preset_of(settings)), BATCH // ranks
    optimizer = torch.optim.SGD(method.parameters(), 0.05)
    losses = []
    for number in range(STEPS):
        first = number * BATCH + rank * local
        views = pipeline(source, [(0, index) for index in range(first, first + local)])
        step = Step(number + 100, 0.5, labels=views.labels)
        embedded = method.embed([group.double() for group in views.groups], step)
        loss = method.loss(embedded, arbiter(look("embeddings", embedded)).weights, step)
        optimizer.zero_grad()
        loss.backward()
        for parameter in method.parameters():
            if ranks > 1 and parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= ranks
        mean = loss.detach().clone()
        if ranks > 1:
            dist.all_reduce(mean)
        losses.append(float(mean) / ranks)
        optimizer.step()
    return losses, {name: value.clone() for name, value in method.state_dict().items()}


def all_methods(rank, ranks, folder, jobs):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks)
    for job in jobs:
        result = steps_of(job, rank, ranks)
        if rank == 0:
            torch.save(result, f"{folder}/{job.method}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(pictures, tmp_path_factory):
    """The same steps by two processes, for all methods at once; and the settings of each."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs = {
        name: Pretrain(data=str(pictures), method=name, views=VIEWS.get(name, "small"), arbiter="two_groups")
        for name in LEARNING
    }
    mp.spawn(all_methods, (2, str(folder), list(jobs.values())), nprocs=2)
    return folder, jobs


@pytest.mark.parametrize("method", LEARNING)
def test_two_processes_equal_one(two_processes, method):
    folder, jobs = two_processes
    losses, state = torch.load(folder / method)
    expected, expected_state = steps_of(jobs[method], 0, 1)
    assert losses == pytest.approx(expected, abs=1e-8)
    for name, value in expected_state.items():
        torch.testing.assert_close(state[name], value, atol=1e-6, rtol=1e-6)


def test_a_method_in_a_file_of_ones_own(settings, tmp_path, monkeypatch):
    """The page's example, word for word: it trains, and its weights enter as the page says."""
    page = (Path(__file__).parents[2] / "docs" / "your-own-method.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) <= 60
    (tmp_path / "vicreg.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    chosen = settings("swav")
    run = pretrain(
        type(chosen)(**chosen.as_dict() | {"method": "vicreg.VICReg", "method_options": {"dim": 32}}),
        tmp_path / "run",
        bar=False,
        lines=False,
    )
    assert json.loads(run.settings_file.read_text())["method"] == "vicreg.VICReg"
    method = build_method(run.settings()).eval()
    x, ones = torch.randn(4, 12, 32, requires_grad=True), torch.ones(4, 12)
    embedded = Embedded(x, x, [], [x[:2], x[2:]])
    torch.testing.assert_close(method.loss(embedded, 3 * ones, Step()), method.loss(embedded, ones, Step()))
    ones[1, 5] = 0
    method.loss(embedded, ones, Step()).backward()
    assert float(x.grad[1, 5].abs().max()) == 0
    assert float(x.grad[1, 4].abs().max()) > 0
