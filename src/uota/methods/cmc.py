"""CMC: Tian et al., *Contrastive Multiview Coding*, ECCV 2020.

The lightness of a view must pick the colour of its image among the colours of other images, and the other way round.
Each has an encoder of its own; what is evaluated is both side by side.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.losses import all_pairs, nt_xent_terms, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, unit
from uota.nn.lab import LabEncoder


class CMC(nn.Module):
    """CMC with any number of views; with one, each image has two in the paper's sense, its lightness and its colour.

    Args:
        encoder: images to features of lightness and of colour, side by side.
        dim: width of each of the two linear projectors.
        temperature: of the softmax (0.07 in the paper).
    """

    def __init__(self, encoder: LabEncoder, dim: int = 128, temperature: float = 0.07) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = 2 * dim
        self.split = encoder.lightness.width
        self.lightness = nn.Linear(encoder.lightness.width, dim)
        self.colour = nn.Linear(encoder.colour.width, dim)
        self.temperature = temperature

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Encode all views; the projections of lightness and colour side by side, each on the unit sphere."""
        return embed(self.encoder, self._project, groups)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """InfoNCE (equation 2) both ways, every term times the weight of its anchor, or of both views.

        Where both views are weighed, views also weigh as negatives.
        """
        light, colour = embedded.projected.chunk(2, dim=-1)
        pairs = all_pairs(len(light), len(light))
        losses = []
        for anchors, others in ((light, colour), (colour, light)):
            terms = nt_xent_terms(anchors, pairs, self.temperature, weights if step.both else None, others)
            losses.append(weighted_mean(terms, pairs, weights, step.both))
        return torch.stack(losses).sum()

    def _project(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, "rows dim"]:
        light, colour = features[:, : self.split], features[:, self.split :]
        return torch.cat([unit(self.lightness(light)), unit(self.colour(colour))], dim=1)


CARD = Card(
    CMC,
    "CMC",
    "Tian et al., ECCV 2020, arXiv 1906.05849",
    2020,
    "the anchor channel's view",
    64.8,
    views="cmc",
    small={"dim": 64, "temperature": 0.2},
    encoder=LabEncoder,
)
