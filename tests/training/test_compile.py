"""What `--compile` compiles is made of whole graphs, is not compiled again and again, and computes the same."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from tests.processes import SECONDS, run_command
from tests.training.stepping import ARBITERS

from uota.methods import METHODS

JUDGES = [name for name in ARBITERS if name != "none"]
# Runs in a process without the shape checks of the tests, which a compiler does not see through.
SCRIPT = """
import copy, json, sys, warnings
from functools import partial
warnings.simplefilter("ignore")
import torch
from torch._dynamo.utils import counters
from tests.training.stepping import ARBITERS, training_of

torch.set_num_threads(1)
options, cases = json.loads(sys.argv[1]), json.loads(sys.argv[2])
torch.compile = partial(torch.compile, **options)

def training(method, arbiter, compile):
    # With an arbiter in the case, only that is compiled.
    made = training_of(method, compile=compile and arbiter == "none")
    if arbiter != "none":
        made.judge_by(**ARBITERS[arbiter])
        for part in (made.module.arbiter, made.module.sampler):
            if compile and part is not None:
                getattr(part, "arbiter", part).compile()
    return made

def steps(method, arbiter, compile, count=3):
    made = training(method, arbiter, compile)
    torch.manual_seed(0)
    losses, graphs = [], []
    for _ in range(count):
        output = made.step()
        losses.append(float(output["loss"].detach()))
        graphs.append(counters["stats"]["unique_graphs"])
    return losses, float(output["weights"].square().sum()), graphs

for method, arbiter in cases:
    torch._dynamo.reset()
    counters.clear()
    try:
        found = [steps(method, arbiter, compile) for compile in (False, True)]
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    print(json.dumps([method, arbiter, found]), flush=True)
"""


def traced(cases, seconds=SECONDS, **options):
    """Return for each case the losses, a sum of weights and the number of graphs, plain and compiled."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, "-c", SCRIPT, json.dumps(options), json.dumps(cases)]
    ended = run_command(command, seconds, env=environment, check=True)
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("[")]
    return {(method, arbiter): found for method, arbiter, found in lines}


def assert_same(found, tolerance):
    assert not isinstance(found, str), found
    (plain, weights, _), (compiled, compiled_weights, graphs) = found
    assert compiled == pytest.approx(plain, rel=tolerance)
    assert compiled_weights == pytest.approx(weights, rel=tolerance)
    assert graphs[2] == graphs[1] > 0  # the second step is the last that may find something new


@pytest.fixture(scope="module")
def methods():
    """Every method without an arbiter, traced, and run by torch's own operations."""
    return traced([(method, "none") for method in METHODS], fullgraph=True, backend="eager")


@pytest.fixture(scope="module")
def arbiters():
    """Every arbiter with one method."""
    return traced([("simclr", arbiter) for arbiter in JUDGES], fullgraph=True, backend="eager")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_made_of_whole_graphs(methods, method):
    assert_same(methods[method, "none"], 1e-5)


@pytest.mark.parametrize("arbiter", JUDGES)
def test_an_arbiter_is_made_of_whole_graphs(arbiters, arbiter):
    assert_same(arbiters["simclr", arbiter], 1e-5)


@pytest.mark.compiler
@pytest.mark.timeout(1300)
@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")
def test_inductor_computes_the_same():
    cases = [("simclr", "none"), ("moco_v2", "learned")]
    for found in traced(cases, 1200).values():
        assert_same(found, 1e-3)
