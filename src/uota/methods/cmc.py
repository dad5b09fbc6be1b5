"""CMC: Tian et al., *Contrastive Multiview Coding*, ECCV 2020.

The lightness of a view must pick the colour of its image among the colours of other images, and vice versa. Each has
its own encoder; what is evaluated is the concatenation of both. The other images are drawn from memories of all images,
as published, or are those of the batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.lab import LabEncoder
from uota.encoders.memory import MemoryBank, draw
from uota.errors import UotaError
from uota.losses import ViewWeights, all_pairs, nce_terms, nt_xent_terms
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, unit

Rows = Float[Tensor, "views batch dim"]


class CMC(nn.Module):
    """CMC with any number of views; with one, an image has the two views of the paper, its lightness and its colour.

    Args:
        encoder: images to concatenated features of lightness and of colour.
        dim: width of each of the two linear projectors.
        temperature: 0.07 in the paper.
        negatives: number drawn for each image from memories of all images (16,384 in the released code); None: the
            other images of the batch, by InfoNCE.
        images: number of all images, which memories need; `uota pretrain` counts them.
        momentum: share of an image's old embedding that remains in the memory.
    """

    def __init__(
        self,
        encoder: LabEncoder,
        dim: int = 128,
        temperature: float = 0.07,
        negatives: int | None = None,
        images: int | None = None,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = 2 * dim
        self.split = encoder.lightness.width
        self.lightness = nn.Linear(encoder.lightness.width, dim)
        self.colour = nn.Linear(encoder.colour.width, dim)
        self.contrast: nn.Module
        if negatives is None:
            self.contrast = AmongBatch(temperature)
        elif negatives < 1 or images is None:
            raise UotaError(
                f"negatives is {negatives} and images is {images}; draw at least 1, and say how many images there are"
            )
        else:
            light, colour = (MemoryBank(images, dim, momentum, temperature) for _ in range(2))
            self.contrast = AmongMemories(light, colour, negatives)

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode all views; the projections of lightness and colour, each on the unit sphere, are concatenated."""
        return embed(self.encoder, self._project, views)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Sum of two losses: lightness picks its colour, and colour picks its lightness."""
        light, colour = embedded.projected.chunk(2, dim=-1)
        return self.contrast(light, colour, weights, step)

    def _project(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, "rows dim"]:
        light, colour = features[:, : self.split], features[:, self.split :]
        return torch.cat([unit(self.lightness(light)), unit(self.colour(colour))], dim=1)


class AmongBatch(nn.Module):
    """InfoNCE (equation 2) in both directions; the negatives are the other images of the batch of all ranks.

    Args:
        temperature: of the softmax.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, light: Rows, colour: Rows, weights: ViewWeights, step: Step) -> Tensor:
        """The loss, each term times the weight of its anchor; or of both views, and negatives then weigh too."""
        pairs = all_pairs(len(light), len(light))
        losses = []
        for anchors, others in ((light, colour), (colour, light)):
            terms = nt_xent_terms(anchors, pairs, self.temperature, weights.negatives(), others)
            losses.append(weights.mean(terms, pairs))
        return torch.stack(losses).sum()


class AmongMemories(nn.Module):
    """Noise-contrastive estimation (appendix) in both directions; the negatives are drawn from memories of all images.

    An image has one embedding in each memory, which follows the mean of its views.

    Args:
        light, colour: the two memories.
        negatives: number drawn for each image.
    """

    def __init__(self, light: MemoryBank, colour: MemoryBank, negatives: int) -> None:
        super().__init__()
        self.light, self.colour = light, colour
        self.negatives = negatives

    def forward(self, light: Rows, colour: Rows, weights: ViewWeights, step: Step) -> Tensor:
        """The loss, each term times the weight of its view."""
        if step.index is None:
            raise UotaError("cmc keeps a memory of every image and does not know which these are; give Step(index=…)")
        images = len(self.light.rows)
        drawn = draw(images, (len(step.index), self.negatives), step.index.device)
        among = torch.cat([step.index[:, None], drawn], dim=1)
        terms = [
            nce_terms(found[..., 0], found[..., 1:], images)
            for found in (self.colour.probabilities(light, among), self.light.probabilities(colour, among))
        ]
        if self.training:
            self.light.update(step.index, light.mean(0))
            self.colour.update(step.index, colour.mean(0))
        return weights.mean_of_rows(torch.stack(terms).sum(0), range(len(light)))


CARD = Card(
    build=CMC,
    title="CMC",
    paper="Tian et al., ECCV 2020, arXiv 1906.05849",
    year=2020,
    weighs="the anchor channel's view",
    top1=64.8,
    views="cmc",
    small={"dim": 64, "temperature": 0.2},
    encoder=LabEncoder,
    memory="negatives",
    sync_batch_norm=False,
)
