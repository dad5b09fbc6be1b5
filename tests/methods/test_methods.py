"""Methods that embed every view: uniform weights give the published loss, and a weight of 0 leaves no gradient."""

import pytest
import torch
from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from torch.nn.functional import normalize

from uota.encoders.encoder import Encoder
from uota.losses import ViewWeights, nt_xent_terms, ordered_pairs
from uota.methods import BYOL, JCL, BarlowTwins, Embedded, MoCo, SimCLR, SimSiam, Step, SwAV
from uota.methods.byol import momentum_at
from uota.methods.swav import sinkhorn

VIEWS, GLOBALS, BATCH, DIM, QUEUE = 5, 3, 8, 16, 24
OPTIONS = {
    SwAV: {"hidden": 32, "dim": DIM, "prototypes": 12, "crops": GLOBALS, "frozen_steps": 0},
    SimCLR: {"hidden": 32, "dim": DIM, "temperature": 0.2},
    MoCo: {"hidden": 32, "dim": DIM, "queue_length": QUEUE},
    JCL: {"hidden": 32, "dim": DIM, "queue_length": QUEUE},
    BYOL: {"hidden": 32, "dim": DIM},
    SimSiam: {"dim": DIM, "bottleneck": 8},
    BarlowTwins: {"hidden": 32, "dim": DIM, "scale": 1.0},
}
every_method = pytest.mark.parametrize("cls", OPTIONS, ids=lambda cls: cls.__name__)


def make(cls, **options):
    torch.manual_seed(0)
    return cls(Encoder("tiny", 1, 28), **(OPTIONS[cls] | options)).double()


def rows(views=VIEWS, seed=0, dim=DIM):
    return torch.randn(views, BATCH, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def embedded(x, globals_=GLOBALS, targets=None):
    return Embedded(x, x, [], [x[:globals_], x[globals_:]], targets)


def loss_of(method, x, weights=None, targets=None, globals_=GLOBALS, side="both", step=None):
    """The loss in eval mode, where batch norm does not couple views and queues do not change."""
    targets = rows(GLOBALS, seed=9)[:, : x.shape[1]] if targets is None else targets
    weights = torch.ones(x.shape[:2], dtype=x.dtype) if weights is None else weights
    return method.eval().loss(embedded(x, globals_, targets), ViewWeights(weights, side), step or Step(5))


def test_swav_equals_lightlys_loss():
    method, x = make(SwAV, crops=2), rows()
    logits = normalize(x, dim=-1) @ normalize(method.prototypes, dim=-1).T
    expected = SwaVLoss()(list(logits[:2]), list(logits[2:])).squeeze()
    torch.testing.assert_close(loss_of(method, x), expected)


def test_simclr_equals_lightlys_loss():
    """lightly has the paper's mean over both directions, and the released code the sum."""
    x = rows(2)
    torch.testing.assert_close(loss_of(make(SimCLR), x, globals_=2), 2 * NTXentLoss(0.2)(x[0], x[1]))


def test_simclr_of_more_views_is_the_mean_over_pairs_of_views():
    method, x = make(SimCLR), rows(3)
    ones = torch.ones(3, BATCH, dtype=torch.float64)
    terms = nt_xent_terms(x, ordered_pairs(3, 3), 0.2)
    directions = terms.mean(1).view(3, 2).sum()  # three pairs of views, both directions of each
    torch.testing.assert_close(loss_of(method, x, ones, globals_=3), directions / 3)


def test_moco_equals_lightlys_loss():
    method, x, keys = make(MoCo, queries=1), rows(2), rows(2, seed=9)
    lightlys = NTXentLoss(method.temperature, memory_bank_size=(QUEUE, DIM))
    lightlys.memory_bank.bank = method.queue.rows.clone()
    lightlys.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
    expected = lightlys(x[0], keys[1])
    torch.testing.assert_close(loss_of(method, x, targets=keys, globals_=2), expected)


def test_moco_takes_every_view_as_query_of_the_other_global_keys():
    method, x, keys = make(MoCo), normalize(rows(), dim=-1), normalize(rows(GLOBALS, seed=9), dim=-1)
    terms = []
    for query in range(VIEWS):
        for key in set(range(GLOBALS)) - {query}:
            positive = (x[query] * keys[key]).sum(-1, keepdim=True)
            logits = torch.cat([positive, x[query] @ method.queue.rows.T], dim=1) / 0.2
            terms.append(torch.nn.functional.cross_entropy(logits, torch.zeros(BATCH, dtype=torch.long)))
    torch.testing.assert_close(loss_of(method, x, targets=keys), torch.stack(terms).mean())


def test_jcl_equals_the_papers_bound_with_the_whole_covariance():
    method, x, keys = make(JCL, queries=1), rows(6), rows(6, seed=9)
    q, k = normalize(x[0], dim=-1), normalize(keys[1:], dim=-1)
    terms = []
    for image in range(BATCH):
        mean = k[:, image].mean(0)
        covariance = (k[:, image] - mean).T @ (k[:, image] - mean) / len(k)
        exponent = q[image] @ mean / 0.2 + 4 / (2 * 0.2**2) * q[image] @ covariance @ q[image]
        negatives = (method.queue.rows @ q[image] / 0.2).exp().sum()
        terms.append((exponent.exp() + negatives).log() - q[image] @ mean / 0.2)
    torch.testing.assert_close(loss_of(method, x, targets=keys, globals_=6), torch.stack(terms).mean())


def test_jcl_leaves_a_key_of_weight_0_out_of_the_moments():
    method, x, keys = make(JCL, queries=1), rows(6), rows(6, seed=9)
    weights = torch.ones(6, BATCH, dtype=torch.float64)
    weights[3] = 0
    kept = [0, 1, 2, 4, 5]
    expected = loss_of(method, x[kept], targets=keys[kept], globals_=5)
    torch.testing.assert_close(loss_of(method, x, weights, keys, 6, "predictor"), expected)


def test_byol_equals_the_papers_equation():
    method, x, targets = make(BYOL).eval(), rows(2), rows(2, seed=9)
    predictions = [normalize(method.predictor(view), dim=-1) for view in x]
    targets = normalize(targets, dim=-1)
    distances = [(p - t).square().sum(-1).mean() for p, t in zip(predictions, targets.flip(0), strict=True)]
    torch.testing.assert_close(loss_of(method, x, targets=targets, globals_=2), sum(distances))


def test_byol_of_more_views_is_the_mean_over_its_pairs_of_two():
    method, x, targets = make(BYOL).eval(), rows(3), rows(3, seed=9)
    pairs = [loss_of(method, x[[a, b]], targets=targets[[a, b]], globals_=2) for a, b in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(loss_of(method, x, targets=targets, globals_=3), sum(pairs) / 3)


def test_byols_target_follows_by_the_momentum_of_the_step_before():
    method, images = make(BYOL, momentum=0.9), torch.randn(2, BATCH, 1, 8, 8, dtype=torch.float64)
    expected = method.target.projector.layers[0].weight.clone()
    for step in range(3):
        if step:
            momentum = momentum_at((step - 1) / 10, 0.9)
            expected = momentum * expected + (1 - momentum) * method.projector.layers[0].weight.detach()
        method.embed([images], Step(step, step / 10))
        torch.testing.assert_close(method.target.projector.layers[0].weight, expected)
        method.projector.layers[0].weight.data.mul_(1.1)


@pytest.mark.parametrize("cls", [BYOL, SimSiam, BarlowTwins], ids=lambda cls: cls.__name__)
def test_views_are_embedded_independently(cls):
    method, images = make(cls), torch.randn(3, BATCH, 1, 16, 16, dtype=torch.float64)
    together, apart = method.embed([images], Step()), [method.embed([view[None]], Step()) for view in images]
    torch.testing.assert_close(together.projected, torch.cat([each.projected for each in apart]))
    if together.targets is not None:
        torch.testing.assert_close(together.targets, torch.cat([each.targets for each in apart]))
    joint = make(cls, batch_norm="joint").embed([images], Step())
    assert not torch.allclose(joint.projected, together.projected)


@pytest.mark.parametrize("cls", [BYOL, SimSiam], ids=lambda cls: cls.__name__)
def test_the_predictor_sees_one_view_at_a_time(cls):
    method, x, rows_seen = make(cls), rows(), []
    method.predictor.register_forward_hook(lambda _, inputs, __: rows_seen.append(len(inputs[0])))
    method.loss(embedded(x, targets=rows(GLOBALS)), ViewWeights.uniform(VIEWS, BATCH), Step())
    assert rows_seen == [BATCH] * VIEWS


def test_byols_momentum_rises_to_1():
    assert momentum_at(0.0, 0.996) == pytest.approx(0.996)
    assert momentum_at(0.5, 0.996) == pytest.approx(0.998)
    assert momentum_at(1.0, 0.996) == 1


def test_simsiam_equals_lightlys_loss():
    method, x = make(SimSiam).eval(), rows(2)
    lightlys = NegativeCosineSimilarity()
    expected = (lightlys(method.predictor(x[0]), x[1]) + lightlys(method.predictor(x[1]), x[0])) / 2
    torch.testing.assert_close(loss_of(method, x, globals_=2), expected)


def test_barlow_twins_equals_lightlys_loss():
    x = rows(2)
    expected = BarlowTwinsLoss(lambda_param=0.0051)(x[0], x[1])
    torch.testing.assert_close(loss_of(make(BarlowTwins), x, globals_=2), expected)


def test_barlow_twins_with_weights_0_and_1_is_the_loss_of_the_images_kept():
    x, weights = rows(2), torch.ones(2, BATCH, dtype=torch.float64)
    weights[0, 2], weights[1, 5] = 0, 0
    kept = [0, 1, 3, 4, 6, 7]
    expected = loss_of(make(BarlowTwins), x[:, kept], torch.ones(2, 6, dtype=torch.float64), globals_=2)
    torch.testing.assert_close(loss_of(make(BarlowTwins), x, weights, globals_=2), expected)


@pytest.mark.parametrize("view", [0, VIEWS - 1])
@every_method
def test_weight_zero_leaves_no_gradient(cls, view):
    x, weights = rows().requires_grad_(), torch.ones(VIEWS, BATCH, dtype=torch.float64)
    weights[view, 3] = 0
    loss_of(make(cls), x, weights).backward()
    assert float(x.grad[view, 3].abs().max()) < 1e-9
    others = x.grad.abs().amax(-1)
    others[view, 3] = 1
    assert float(others.min()) > 1e-6


@pytest.mark.parametrize("cls", [SwAV, MoCo, JCL, BYOL, SimSiam], ids=lambda cls: cls.__name__)
def test_weight_zero_of_a_predictor_leaves_no_gradient(cls):
    x, weights = rows().requires_grad_(), torch.ones(VIEWS, BATCH, dtype=torch.float64)
    weights[VIEWS - 1, 2] = 0
    loss_of(make(cls), x, weights, side="predictor").backward()
    assert float(x.grad[VIEWS - 1, 2].abs().max()) == 0


@every_method
def test_a_target_of_weight_0_has_no_part_in_any_pair(cls, monkeypatch):
    """Moving a view of weight 0, which is a target as well, changes nothing."""
    x, weights, method = rows(), torch.ones(VIEWS, BATCH, dtype=torch.float64), make(cls)
    if cls is SwAV:  # the codes of other images would change too, whatever the moved view weighs: hold them
        spread, held = method.codes, codes(method, x)
        moving = torch.tensor(1), torch.tensor(3)
        monkeypatch.setattr(method, "codes", lambda logits: held.index_put(moving, spread(logits)[1, 3]))
    weights[1, 3] = 0
    targets = rows(GLOBALS, seed=9)
    before = loss_of(method, x, weights, targets=targets)
    moved, moved_targets = x.clone(), targets.clone()
    moved[1, 3], moved_targets[1, 3] = rows(seed=4)[0, 0], rows(seed=5)[0, 0]
    torch.testing.assert_close(loss_of(method, moved, weights, targets=moved_targets), before)


@every_method
def test_only_ratios_of_weights_matter(cls):
    x = rows()
    weights = torch.rand(VIEWS, BATCH, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    torch.testing.assert_close(loss_of(make(cls), x, 7 * weights), loss_of(make(cls), x, weights))


def test_prototypes_are_on_the_sphere_before_each_pass_of_training():
    method = make(SwAV).float()
    method.prototypes.data *= 3
    views = [torch.randn(GLOBALS, BATCH, 1, 28, 28)]
    before = method.prototypes.detach().clone()
    method.eval().embed(views, Step())
    torch.testing.assert_close(method.prototypes.detach(), before)
    method.train().embed(views, Step())
    torch.testing.assert_close(method.prototypes.detach(), before / 3)


def test_the_gradient_of_prototypes_is_not_projected():
    """The gradient of prototypes that are normalised in the graph would be tangent to the sphere."""
    method = make(SwAV)
    loss_of(method, rows()).backward()
    along = (method.prototypes.grad * method.prototypes.detach()).sum(1)
    assert float(along.abs().max()) > 1e-3


def test_frozen_prototypes_have_no_gradient_at_the_update():
    """Until then they have one, since distributed training expects a gradient of every parameter."""
    method = make(SwAV, frozen_steps=5)
    for step, moves in ((4, False), (5, True)):
        method.zero_grad()
        loss_of(method, rows(), step=Step(step)).backward()
        assert bool(method.prototypes.grad.any())
        method.before_update(step)
        assert (method.prototypes.grad is not None) == moves


def test_the_projector_of_swav_is_the_published_one():
    """It has a bias before the batch norm, too (src/resnet50.py)."""
    first, norm, _, last = make(SwAV).projector.layers
    assert first.bias is not None
    assert last.bias is not None
    assert norm.affine


def queue_step(method, x, number, progress):
    method.loss(embedded(x), ViewWeights.uniform(VIEWS, BATCH), Step(number, progress))


def codes(method, x):
    return method.codes((normalize(x[: method.crops], dim=-1) @ method.prototypes.T).detach())


def test_swavs_queue_is_filled_from_its_start_on():
    method = make(SwAV, crops=2, queue_length=12, queue_start=0.5)
    queue_step(method, rows(seed=1), 4, 0.4)
    assert not method.queue.any()
    queue_step(method, rows(seed=2), 5, 0.5)
    torch.testing.assert_close(method.queue[:, :BATCH], normalize(rows(seed=2), dim=-1)[:2])
    assert not method.queue[:, BATCH:].any()


def test_swavs_queue_holds_the_newest_and_widens_the_codes_once_full():
    method = make(SwAV, crops=2, queue_length=12, queue_start=0.0)
    first, second, x = (normalize(rows(seed=seed), dim=-1) for seed in (1, 2, 3))
    queue_step(method, first, 0, 0.0)
    without = codes(method, x)
    queue_step(method, second, 1, 0.1)
    torch.testing.assert_close(method.queue, torch.cat([second[:2], first[:2]], 1)[:, :12])
    found = codes(method, x)
    everything = [sinkhorn(torch.cat([x[i], method.queue[i]]) @ method.prototypes.detach().T, 3, 0.05) for i in (0, 1)]
    torch.testing.assert_close(found, torch.stack(everything)[:, :BATCH])
    assert not torch.allclose(without, found)


def test_sinkhorn_is_that_of_the_released_code():
    """It first divides by the sum of all entries, then normalises over prototypes and images three times."""
    logits = normalize(rows(1)[0], dim=-1) @ normalize(rows(1, seed=3)[0], dim=-1).T
    q = torch.exp(logits / 0.05)
    q /= q.sum()
    for _ in range(3):
        q /= BATCH * q.sum(0)
        q /= BATCH * q.sum(1, keepdim=True)
    torch.testing.assert_close(sinkhorn(logits, 3, 0.05), q / q.sum(1, keepdim=True))


@pytest.mark.parametrize("cls", [MoCo, JCL], ids=lambda cls: cls.__name__)
def test_keys_are_pushed_in_training_only(cls):
    """MoCo enqueues all keys, image by image, and JCL the mean key of each image."""
    method, x, keys = make(cls), rows(), rows(GLOBALS, seed=9)
    loss_of(method, x, targets=keys)
    assert int(method.queue.pushed) == 0
    method.train().loss(embedded(x, targets=keys), ViewWeights.uniform(VIEWS, BATCH), Step())
    pushed = normalize(keys, dim=-1)
    pushed = pushed.mean(0) if cls is JCL else pushed.transpose(0, 1).reshape(-1, DIM)
    torch.testing.assert_close(method.queue.rows[: len(pushed)], pushed)
    assert int(method.queue.pushed) == len(pushed)


def test_the_mean_key_of_jcl_leaves_a_key_of_weight_0_out():
    method, keys = make(JCL, queries=1).train(), rows(4, seed=9)
    weights = torch.ones(4, BATCH, dtype=torch.float64)
    weights[3] = 0
    method.loss(embedded(rows(4), 4, keys), ViewWeights(weights), Step())
    torch.testing.assert_close(method.queue.rows[:BATCH], normalize(keys[1:3], dim=-1).mean(0))


@every_method
def test_embed_takes_views_of_two_sizes(cls):
    method = make(cls).float()
    views = [torch.randn(GLOBALS, BATCH, 1, 28, 28), torch.randn(2, BATCH, 1, 16, 16)]
    found = method.embed(views, Step())
    assert found.projected.shape == (VIEWS, BATCH, DIM)
    assert found.globals == GLOBALS
    torch.testing.assert_close(found.z.norm(dim=-1), torch.ones(VIEWS, BATCH))
    assert found.targets is None or found.targets.shape == (GLOBALS, BATCH, DIM)
    assert bool(torch.isfinite(method.loss(found, ViewWeights.uniform(VIEWS, BATCH), Step())))
