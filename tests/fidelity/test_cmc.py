"""CMC's recipe compared with the released code, reimplemented here in plain torch.

Tian et al., ECCV 2020; HobbitLong/CMC: train_CMC.py, NCE/NCEAverage.py, NCE/NCECriterion.py, util.py.
"""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from tests.fidelity import driver
from torch.nn.functional import linear

from uota.methods.build import build_method
from uota.views.presets import IMAGENET_MEAN, IMAGENET_STD

IMAGES, NEGATIVES, EPOCHS = 40, 12, 6
STEPS_OF_EPOCH = driver.STEPS // EPOCHS


@pytest.fixture(scope="module")
def data():
    """Return batches in which each image occurs once per epoch."""
    made = driver.batches([(1, 16)])
    return [replace(views, index=views.index % IMAGES) for views in made]


def settings(backbone="tiny"):
    chosen = driver.shortened("cmc_imagenet", epochs=EPOCHS, backbone=backbone)
    return chosen.replace_flat(method_options=chosen.method.options | {"images": IMAGES, "negatives": NEGATIVES})


def draws():
    """Return the negatives of every step."""
    random = torch.Generator().manual_seed(3)
    return [torch.randint(IMAGES, (driver.BATCH, NEGATIVES), generator=random) for _ in range(driver.STEPS)]


def lab(images):
    """Convert to CIE L*a*b* under D65 by the matrix of IEC 61966-2-1, scaled to -1 … 1 by the constants of the code."""
    mean, deviation = (torch.tensor(each, dtype=images.dtype) for each in (IMAGENET_MEAN, IMAGENET_STD))
    rgb = (images * deviation[:, None, None] + mean[:, None, None]).clamp(0, 1)
    linear_rgb = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = torch.einsum("xc,nchw->nxhw", torch.tensor(matrix, dtype=rgb.dtype), linear_rgb)
    xyz = xyz / torch.tensor([0.95047, 1.0, 1.08883], dtype=rgb.dtype)[:, None, None]
    f = torch.where(xyz > (6 / 29) ** 3, xyz ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(1)
    mean = torch.tensor([50.0, (-86.183 + 98.233) / 2, (-107.857 + 94.478) / 2], dtype=rgb.dtype)
    deviation = torch.tensor([50.0, (86.183 + 98.233) / 2, (107.857 + 94.478) / 2], dtype=rgb.dtype)
    values = torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
    return (values - mean[:, None, None]) / deviation[:, None, None]


class Reference:
    """Model, memories, criterion and optimiser of the released code."""

    def __init__(self, method):
        self.nets = [deepcopy(method.encoder.lightness).double(), deepcopy(method.encoder.colour).double()]
        self.heads = [deepcopy(method.lightness).double(), deepcopy(method.colour).double()]
        self.memories = [method.contrast.light.rows.double(), method.contrast.colour.rows.double()]
        self.constants = [None, None]
        parameters = [p for part in self.nets + self.heads for p in part.parameters()]
        self.sgd = torch.optim.SGD(parameters, lr=0.03, momentum=0.9, weight_decay=1e-4)

    def criterion(self, out):
        """Compute NCECriterion with m noise samples of probability 1 / n each."""
        m, noise = out.shape[1] - 1, 1 / IMAGES
        positive, negative = out[:, 0], out[:, 1:]
        log_d1 = (positive / (positive + m * noise + 1e-7)).log()
        log_d0 = (m * noise / (negative + m * noise + 1e-7)).log()
        return -(log_d1.sum() + log_d0.sum()) / len(out)

    def step(self, epoch, images, index, drawn):
        dropped = sum(epoch > drop for drop in (3, 4, 5))  # of 6 epochs, as 120, 160 and 200 of 240
        self.sgd.param_groups[0]["lr"] = 0.03 * 0.1**dropped
        pixels = lab(images)
        halves = [pixels[:, :1], pixels[:, 1:]]
        features = [linear(net(half), head.weight, head.bias) for net, half, head in self.parts(halves)]
        features = [feature / feature.pow(2).sum(1, keepdim=True).sqrt() for feature in features]
        which = torch.cat([index[:, None], drawn], dim=1)
        loss = 0.0
        for own, other in ((0, 1), (1, 0)):  # lightness against stored colours, and colour against stored lightness
            out = torch.bmm(self.memories[other][which], features[own][:, :, None]).squeeze(2).div(0.07).exp()
            if self.constants[other] is None:
                self.constants[other] = float(out.detach().mean()) * IMAGES
            loss = loss + self.criterion(out / self.constants[other])
        self.remember(index, features)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return float(loss.detach())

    def parts(self, halves):
        return zip(self.nets, halves, self.heads, strict=True)

    @torch.no_grad()
    def remember(self, index, features):
        for memory, feature in zip(self.memories, features, strict=True):
            moved = 0.5 * memory[index] + 0.5 * feature
            memory[index] = moved / moved.pow(2).sum(1, keepdim=True).sqrt()

    def state(self):
        named = zip(("lightness", "colour"), ("light", "colour"), self.nets, self.heads, self.memories, strict=True)
        state = {}
        for (name, memory_name, net, head, memory), constant in zip(named, self.constants, strict=True):
            state |= {f"encoder.{name}.{key}": value for key, value in net.state_dict().items()}
            state |= {f"{name}.{key}": value for key, value in head.state_dict().items()}
            state |= {f"contrast.{memory_name}.rows": memory}
            state |= {f"contrast.{memory_name}.constant": torch.tensor(constant, dtype=torch.float64)}
        return {key: value.detach() for key, value in state.items() if value.is_floating_point()}


def test_thirty_steps_equal_the_released_code(data, tmp_path, monkeypatch):
    ours = build_method(settings())
    theirs, negatives = Reference(ours), draws()
    monkeypatch.setattr("uota.methods.cmc.draw", lambda images, shape, device: negatives.pop(0))
    recorded = driver.train(ours, settings(), data, tmp_path)
    losses = [
        theirs.step(1 + step // STEPS_OF_EPOCH, views.by_size[0][0], views.index, drawn)
        for step, (views, drawn) in enumerate(zip(data, draws(), strict=True))
    ]
    assert len({rates[0] for rates in recorded.rates}) == 4
    torch.testing.assert_close(recorded.losses, losses, rtol=1e-9, atol=0)
    driver.assert_same(ours, theirs.state())


def test_networks_are_initialised_as_in_the_released_code():
    """Norms have scale 1; memories are uniform, with rows of length 1 on average."""
    method = build_method(settings("resnet18"))  # timm initialises its last norms with 0
    norms = [part for part in method.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all()) for norm in norms)
    rows = method.contrast.light.rows
    assert float(rows.abs().max()) <= (3 / rows.shape[1]) ** 0.5
    assert float(rows.norm(dim=1).mean()) == pytest.approx(1, abs=0.02)
    assert not torch.equal(rows, method.contrast.colour.rows)
