"""Training steps of lightly's modules, as in its plain PyTorch examples, with a forward pass per view.

Two changes make both peers do the same work: the backbone is the same, and MoCo's loss is symmetric (in the example
only one of the two views is the query).
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.models.modules import (
    BarlowTwinsProjectionHead,
    BYOLPredictionHead,
    BYOLProjectionHead,
    MoCoProjectionHead,
    SimCLRProjectionHead,
    SimSiamPredictionHead,
    SimSiamProjectionHead,
    SwaVProjectionHead,
    SwaVPrototypes,
)
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from uota.encoders.encoder import Encoder

Loss = Callable[[list[Tensor]], Tensor]


def simclr(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`SimCLR` of examples/pytorch/simclr.py."""
    model, criterion = nn.Sequential(backbone, SimCLRProjectionHead(width, 2048, 128)), NTXentLoss(0.1)
    return model, lambda views: criterion(model(views[0]), model(views[1]))


def moco_v2(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`MoCo` of examples/pytorch/moco.py with a symmetric loss."""
    model = nn.Sequential(backbone, MoCoProjectionHead(width, 2048, 128))
    slow = deepcopy(model)
    deactivate_requires_grad(slow)
    criterion = NTXentLoss(0.2, memory_bank_size=(65536, 128))

    def loss(views: list[Tensor]) -> Tensor:
        update_momentum(model, slow, 0.999)
        queries = [model(view) for view in views]
        with torch.no_grad():
            keys = [slow(view) for view in views]
        return 0.5 * (criterion(queries[0], keys[1]) + criterion(queries[1], keys[0]))

    return model, loss


def byol(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`BYOL` of examples/pytorch/byol.py."""
    model, predictor = nn.Sequential(backbone, BYOLProjectionHead(width, 4096, 256)), BYOLPredictionHead(256, 4096, 256)
    slow, criterion = deepcopy(model), NegativeCosineSimilarity()
    deactivate_requires_grad(slow)

    def loss(views: list[Tensor]) -> Tensor:
        update_momentum(model, slow, 0.996)
        predictions = [predictor(model(view)) for view in views]
        with torch.no_grad():
            targets = [slow(view) for view in views]
        return 0.5 * (criterion(predictions[0], targets[1]) + criterion(predictions[1], targets[0]))

    return nn.ModuleList([model, predictor]), loss


def simsiam(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`SimSiam` of examples/pytorch/simsiam.py."""
    model, predictor = nn.Sequential(backbone, SimSiamProjectionHead(width, 2048, 2048)), SimSiamPredictionHead()
    criterion = NegativeCosineSimilarity()

    def loss(views: list[Tensor]) -> Tensor:
        z = [model(view) for view in views]
        p = [predictor(x) for x in z]
        return 0.5 * (criterion(z[0].detach(), p[1]) + criterion(z[1].detach(), p[0]))

    return nn.ModuleList([model, predictor]), loss


def barlow_twins(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`BarlowTwins` of examples/pytorch/barlowtwins.py."""
    model, criterion = nn.Sequential(backbone, BarlowTwinsProjectionHead(width, 2048, 2048)), BarlowTwinsLoss()
    return model, lambda views: criterion(model(views[0]), model(views[1]))


def swav(backbone: nn.Module, width: int) -> tuple[nn.Module, Loss]:
    """`SwaV` of examples/pytorch/swav.py."""
    model, prototypes = nn.Sequential(backbone, SwaVProjectionHead(width, 2048, 128)), SwaVPrototypes(128, 3000)
    criterion = SwaVLoss()

    def loss(views: list[Tensor]) -> Tensor:
        prototypes.normalize()
        scores = [prototypes(nn.functional.normalize(model(view), dim=1)) for view in views]
        return criterion(scores[:2], scores[2:])

    return nn.ModuleList([model, prototypes]), loss


STEPS = {f.__name__: f for f in (simclr, moco_v2, byol, simsiam, barlow_twins, swav)}


def lightly_step(name: str, backbone: str, views: list[Tensor]) -> Callable[[], None]:
    """Return a step on views of (batch, 3, size, size) each: forward, backward, optimiser."""
    torch.manual_seed(0)
    encoder = Encoder(backbone, 3, views[0].shape[-1])
    parameters, loss_of = STEPS[name](encoder, encoder.width)
    optimizer = torch.optim.SGD(parameters.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        loss_of(views).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
