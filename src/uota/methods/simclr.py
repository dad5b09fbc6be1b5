"""SimCLR: Chen et al., *A Simple Framework for Contrastive Learning of Visual Representations*, ICML 2020.

Every view must pick each other view of its image among the views of all other images. The method is generalised from
two views to any number, with a term for each ordered pair of an image's views. The head and the scale of the loss are
those of the released code (google-research/simclr: model_util.py, objective.py).
"""

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, nt_xent_terms, ordered_pairs
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed


class SimCLR(nn.Module):
    """SimCLR with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        temperature: of the softmax (0.1 in the paper at batch 4096).
        batch_norm: whether views share batch statistics or each has its own.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 2048,
        dim: int = 128,
        temperature: float = 0.1,
        batch_norm: BatchNorm = "joint",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = projection_head(encoder.width, hidden, dim)
        self.temperature = temperature
        self.batch_norm: BatchNorm = batch_norm

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, views, batch_norm=self.batch_norm)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """NT-Xent, each term times the weight of its anchor; or of both views, and negatives then weigh too.

        It is the mean over pairs of views of the sum of both directions: twice the paper's equation, as in its code.
        """
        pairs = ordered_pairs(len(embedded.z), len(embedded.z))
        terms = nt_xent_terms(embedded.z, pairs, self.temperature, weights.negatives())
        return 2 * weights.mean(terms, pairs)


def projection_head(width: int, hidden: int, dim: int) -> MLP:
    """A head of two layers with batch norm, the last without a shift, with weights drawn from N(0, 0.01²)."""
    last = nn.BatchNorm1d(dim)
    head = MLP(width, hidden, dim, last_norm=last)
    for layer in head.layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
    last.bias.requires_grad_(False)
    return head


CARD = Card(
    build=SimCLR,
    title="SimCLR",
    paper="Chen et al., ICML 2020, arXiv 2002.05709",
    year=2020,
    weighs="the anchor view",
    top1=69.3,
    views="simclr",
    small={"hidden": 256, "dim": 64, "temperature": 0.2},
)
