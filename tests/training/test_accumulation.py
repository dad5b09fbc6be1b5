"""A batch embedded in parts gives the loss and the gradients of the whole batch, and changes every state once."""

import pytest
import torch
from tests.training.stepping import ARBITERS, IMAGES, training_of
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.methods import METHODS, SimCLR, Step, embed
from uota.training.accumulation import check_parts, embed_in_parts


def exact(method, parts, arbiter="none"):
    """A training in 64 bits without batch statistics, which depend on the other images of a part."""
    torch.manual_seed(0)
    made = training_of(method, optimizer="momentum")
    if arbiter != "none":
        made.judge_by(**ARBITERS[arbiter])
    made.module.settings = made.module.settings.replace_flat(accumulate=parts)
    made.module.method.double()
    made.views = made.views.each(lambda x: x.double() if x.is_floating_point() else x)
    for norm in made.module.modules():
        if isinstance(norm, _BatchNorm):
            norm.eval()
    return made


def outcome(method, parts, arbiter="none"):
    """Loss, weights, gradients and what two steps leave behind."""
    made, found = exact(method, parts, arbiter), {}
    for number in range(2):
        made.module.on_train_batch_start(made.views, 0)
        output = made.module.training_step(made.views, 0)
        output["loss"].backward()
        found |= {f"{number} {name}": x.grad for name, x in made.module.method.named_parameters()}
        found |= {f"{number} {name}": output[name] for name in ("loss", "weights", "embeddings", "features")}
        found = {name: None if x is None else x.detach().clone() for name, x in found.items()}
        made.optimizer.step()
        made.optimizer.zero_grad()
        made.trainer.global_step += 1
    return found | {name: x for name, x in made.module.state_dict().items() if isinstance(x, torch.Tensor)}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            assert_close(found[name], value, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("method", METHODS)
def test_parts_equal_the_whole_batch(method):
    assert_equal(outcome(method, 5), outcome(method, 1))  # parts of two and of three images


@pytest.mark.parametrize("arbiter", ["learned", "learned on features", "paper", "sampler"])
def test_arbiters_see_the_whole_batch(arbiter):
    assert_equal(outcome("byol", 3, arbiter), outcome("byol", 1, arbiter))


def test_running_statistics_are_updated_once_for_each_part():
    made = training_of("moco_v2")
    made.module.settings = made.module.settings.replace_flat(accumulate=3)
    made.step()
    counts = {name: int(x) for name, x in made.module.method.named_buffers() if name.endswith("num_batches_tracked")}
    sizes, ghosts = len(made.views.by_size), 2  # the key encoder sees global views only, in ghost batches
    assert set(counts.values()) == {3 * sizes, 3 * ghosts}
    norms = [x for x in made.module.modules() if isinstance(x, _BatchNorm)]
    assert all(norm.track_running_stats for norm in norms)


class Noisy(nn.Module):
    """A method that draws at random, and notes what it returns."""

    def __init__(self):
        super().__init__()
        self.encoder, self.dim = Encoder("tiny"), 8
        self.projector = nn.Sequential(nn.Linear(128, 8), nn.Dropout(0.5))
        self.seen = []

    def embed(self, views, step):
        made = embed(self.encoder.eval(), self.projector, views)
        self.seen.append((step.part, made.projected.detach(), step.labels))
        return made

    def loss(self, embedded, weights, step):
        return embedded.projected.float().square().sum()


def views():
    return [torch.randn(2, 5, 3, 16, 16, generator=torch.Generator().manual_seed(1))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_part_is_embedded_again_as_it_was(dtype):
    method = Noisy()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        embedded = embed_in_parts(method, views(), Step(labels=torch.arange(5)), 2, 7)
    method.loss(embedded, None, Step()).backward()  # outside autocast, as in a training
    first, again = method.seen[:2], method.seen[2:]
    assert [part.again for part, *_ in method.seen] == [False, False, True, True]
    for (part, made, labels), (other, remade, _) in zip(first, again, strict=True):
        assert part.start == other.start
        assert labels.tolist() == list(range(5))[part.start :][: len(labels)]
        assert made.dtype == dtype
        assert_close(remade, made, rtol=0, atol=0)
    assert not torch.equal(first[0][1][:, :2] == 0, first[1][1][:, :2] == 0)
    assert method.encoder.backbone.stem[0].weight.grad.abs().sum() > 0


def test_no_graph_is_kept_of_the_parts():
    """What a loss keeps for its backward pass are embeddings, and nothing of an encoder."""
    kept = []

    def pack(x):
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        embed_in_parts(SimCLR(Encoder("tiny"), 32, 8), views(), Step(), 2, 0)
    assert not kept


class Inseparable(SimCLR):
    def embed(self, views, step):
        made = super().embed(views, step)
        return vars(made) | {"projected": made.projected.mean(1)}


def test_what_cannot_be_put_together_is_refused():
    with pytest.raises(UotaError, match=r"Inseparable cannot be trained with accumulate: .* a dict, not an Embedded"):
        embed_in_parts(Inseparable(Encoder("tiny"), 32, 8), views(), Step(), 2, 0)


def test_more_parts_than_images_are_refused():
    check_parts(IMAGES, IMAGES)
    with pytest.raises(UotaError, match="accumulate is 13, and a step has 12 images"):
        check_parts(IMAGES + 1, IMAGES)
