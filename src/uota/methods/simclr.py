"""SimCLR: Chen et al., *A Simple Framework for Contrastive Learning of Visual Representations*, ICML 2020.

Every view must pick each other view of its image among the views of all other images. Generalised from two views to
any number: a term per ordered pair of an image's views.
"""

from jaxtyping import Float
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor, nn

from uota.losses import nt_xent_terms, ordered_pairs, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed
from uota.nn.encoder import Encoder


class SimCLR(nn.Module):
    """SimCLR with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        temperature: of the softmax (0.1 in the paper at batch 4096).
    """

    def __init__(self, encoder: Encoder, hidden: int = 2048, dim: int = 128, temperature: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = SimCLRProjectionHead(encoder.width, hidden, dim)
        self.temperature = temperature

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, groups)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """NT-Xent, every term times the weight of its anchor; or of both views, which then also weigh as negatives."""
        pairs = ordered_pairs(len(embedded.z), len(embedded.z))
        terms = nt_xent_terms(embedded.z, pairs, self.temperature, weights if step.both else None)
        return weighted_mean(terms, pairs, weights, step.both)


CARD = Card(
    SimCLR,
    "SimCLR",
    "Chen et al., ICML 2020, arXiv 2002.05709",
    2020,
    "the anchor view",
    69.3,
    views="simclr",
    small={"hidden": 256, "dim": 64, "temperature": 0.2},
)
