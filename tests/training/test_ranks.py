"""Several processes equal one on the concatenated batch, for all methods and arbiters and with uneven batches."""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
import torch.distributed as dist
from tests.processes import run_on_ranks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing import assert_close

from uota import Arbiter
from uota.data import open_source
from uota.distributed import gather_rows
from uota.encoders.sync_batchnorm import with_sync_batch_norm
from uota.losses import ViewWeights
from uota.methods import METHODS, Embedded, Step
from uota.methods.build import build_method
from uota.methods.infomin import WithJigsaws
from uota.settings.pretrain import Pretrain
from uota.training.arbiter_inputs import arbiter_input
from uota.training.resolve import resolve_auto
from uota.training.sharding import average_whole, shard
from uota.views import ViewPipeline
from uota.views.presets import preset_of

METHODS_THAT_LEARN = [name for name in METHODS if name != "random"]
ARBITERS = {
    "learned": lambda: Arbiter("learned"),
    "two_groups": lambda: Arbiter("two_groups"),
    "mahalanobis, tau": lambda: Arbiter("mahalanobis", tau=60.0),
    "mahalanobis, ess": lambda: Arbiter("mahalanobis", ess=0.7, covariance="oas"),
}
# Images of each process in each step: a full batch, and an uneven last one.
SHARES = {1: [[16], [11]], 2: [[8, 8], [8, 3]]}
# With these, the queue is full and used after the first step.
OPTIONS = {"swav": {"queue_length": 12, "queue_start": 0.0}}
# Images of each process in one uneven batch of embeddings.
MANY = {1: [90], 2: [61, 29], 4: [32, 32, 25, 1]}


def settings_of(folder, method):
    views = {"views": "small-cpc"} if method == "cpc_v2" else {"views": "small", "local_views": 1}
    settings = Pretrain.from_flat(data=str(folder), method=method, method_options=OPTIONS.get(method, {}), **views)
    return resolve_auto(settings, open_source(settings.data.source))


def built(settings, ranks):
    method = build_method(settings)
    return with_sync_batch_norm(method) if ranks > 1 else method


def averaged(x, ranks):
    """Average over processes, as DistributedDataParallel does with gradients."""
    if ranks > 1:
        dist.all_reduce(x)
        x /= ranks
    return x


def losses_of_embeddings(settings, rank=0, ranks=1):
    """Compute weights, loss and gradients on an uneven batch of embeddings with every arbiter, in 32 bits."""
    whole, method = embeddings(settings), built(settings, ranks)
    mine = slice(sum(MANY[ranks][:rank]), sum(MANY[ranks][: rank + 1]))
    found = {}
    for name, make in ARBITERS.items():
        names = [name for name, value in vars(whole).items() if isinstance(value, torch.Tensor)]
        parts = {part: getattr(whole, part)[:, mine].clone() for part in names}
        own = replace(whole, **parts, by_size=[each[:, mine] for each in whole.by_size])
        leaves = [own.projected.requires_grad_(), own.features.requires_grad_()]
        weights = make()(own.z).weights
        loss = method.loss(own, ViewWeights(weights), Step(100, 0.5, labels=(torch.arange(MANY[1][0]) % 2)[mine]))
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        rows = {part: x for part, x in zip(("projected", "features"), gradients, strict=True) if x is not None}
        found[name] = {"loss": averaged(loss.detach(), ranks), "weights": gather_rows(weights.T).rows}
        found[name] |= {part: gather_rows(x.transpose(0, 1)).rows / ranks for part, x in rows.items()}
    return found


def embeddings(settings):
    """Random embeddings of a batch, in which the views of an image scatter around its centre."""
    method, random = build_method(settings), torch.Generator().manual_seed(0)
    sizes = preset_of(settings).sizes
    views, images = sum(size.count for size in sizes), MANY[1][0]

    def around(width):
        centre = torch.randn(images, width, generator=random)
        return centre + torch.randn(views, images, width, generator=random)

    embedded = Embedded(
        projected=around(method.dim),
        features=around(method.encoder.width),
        early=[],
        by_size=[torch.randn(each.count, images, 3, each.size, each.size, generator=random) for each in sizes],
        targets=around(method.dim)[: sizes[0].count],
    )
    if settings.method.name != "infomin":
        return embedded
    return WithJigsaws(**vars(embedded), solved=around(method.dim)[: sizes[0].count])


def two_steps(settings, rank=0, ranks=1, sharded=False):
    """Train the whole network in 64 bits for two steps, with a stateful arbiter; return the losses and the state."""
    method, arbiter = built(settings, ranks).double(), Arbiter("two_groups")
    if sharded:
        shard(method, init_device_mesh("cpu", (ranks,)))
    source, pipeline = open_source(settings.data.source), ViewPipeline(preset_of(settings))
    optimizer = torch.optim.SGD(method.parameters(), 0.05)
    losses, first = [], 0
    for (images,), shares in zip(SHARES[1], SHARES[ranks], strict=True):
        start = first + sum(shares[:rank])
        views = pipeline(source, [(0, index) for index in range(start, start + shares[rank])])
        step = Step(first + 100, 0.5, labels=views.labels)
        embedded = method.embed([each.double() for each in views.by_size], step)
        loss = method.loss(embedded, ViewWeights(arbiter(arbiter_input("embeddings", embedded)).weights), step)
        optimizer.zero_grad()
        loss.backward()
        if sharded:
            average_whole(method)
        for parameter in () if sharded else method.parameters():
            if parameter.grad is not None:
                averaged(parameter.grad, ranks)
        optimizer.step()
        losses.append(float(averaged(loss.detach(), ranks)))
        first += images
    return losses, {name: whole(value) for name, value in method.state_dict().items()}


def whole(value):
    return value.full_tensor() if isinstance(value, DTensor) else value.clone()


def two_sharded_steps(settings, rank, ranks):
    return two_steps(settings, rank, ranks, sharded=True)


WORK = {2: (losses_of_embeddings, two_steps, two_sharded_steps), 4: (losses_of_embeddings,)}


def on_a_rank(rank, folder, jobs):
    """Run the jobs of two processes first, then those of all four."""
    torch.set_num_threads(1)
    for ranks, work in WORK.items():
        if rank < ranks:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meet{ranks}", rank=rank, world_size=ranks)
            made = {
                (each.__name__, settings.method.name): each(settings, rank, ranks) for each in work for settings in jobs
            }
            dist.destroy_process_group()
            if rank == 0:
                torch.save(made, f"{folder}/{ranks}")


@pytest.fixture(scope="module")
def several(pictures, tmp_path_factory):
    """Results of two and of four processes for every method."""
    folder = tmp_path_factory.mktemp("ranks")
    run_on_ranks(on_a_rank, str(folder), [settings_of(pictures, method) for method in METHODS_THAT_LEARN], ranks=4)
    return {ranks: torch.load(folder / str(ranks)) for ranks in WORK}


@pytest.fixture(scope="module")
def one(pictures):
    """Cached results of one process for a method."""
    return cache(lambda made, method: made(settings_of(pictures, method)))


@pytest.mark.parametrize("method", METHODS_THAT_LEARN)
@pytest.mark.parametrize("ranks", WORK)
def test_weights_losses_and_gradients(several, one, ranks, method):
    """On embeddings: through an encoder, rounding in 32 bits would switch rectifiers and change gradients by more."""
    found = several[ranks]["losses_of_embeddings", method]
    for arbiter, expected in one(losses_of_embeddings, method).items():
        for what, value in expected.items():
            close = partial(assert_close, found[arbiter][what], value, msg=f"{what} with {arbiter}: {{}}".format)
            close(atol=1e-5 * max(1.0, float(value.abs().max())), rtol=0)


@pytest.mark.parametrize("method", METHODS_THAT_LEARN)
@pytest.mark.parametrize("steps", ["two_steps", "two_sharded_steps"])
def test_two_steps_leave_the_same_network(several, one, steps, method):
    losses, state = several[2][steps, method]
    expected, expected_state = one(two_steps, method)
    assert losses == pytest.approx(expected, abs=1e-8)
    for name, value in expected_state.items():
        assert_close(state[name], value, atol=1e-6, rtol=1e-6)
