"""SwAV: Caron et al., *Unsupervised Learning of Visual Features by Contrasting Cluster Assignments*, NeurIPS 2020.

Every view predicts which prototypes the global crops of its image are assigned to. Sinkhorn's iterations spread the
assignments (codes) evenly over the prototypes, across all ranks; a queue of earlier embeddings may enlarge the batch
they are spread over. Prototypes, queue and loss are those of the released code (facebookresearch/swav: main_swav.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from uota.distributed import gather_rows, max_over_ranks, rank, sum_over_ranks, world_size
from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, ordered_pairs, swapped_prediction_terms
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed
from uota.numerics import at_least_float32


class SwAV(nn.Module):
    """SwAV with multi-crop; the first `crops` views are the global ones, whose codes are predicted.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        prototypes: number of prototypes (3000 in the paper).
        crops: number of global views.
        temperature: of the predictions.
        epsilon, iterations: regularisation and number of Sinkhorn's iterations.
        frozen_steps: number of first steps in which the prototypes are frozen (313 in the released code).
        queue_length: number of embeddings kept per global crop, of all ranks together; 0: no queue.
        queue_start: share of training from which the queue is filled; it is used once it is full.
        batch_norm: whether views share batch statistics (those of one size in the encoder, all in the projector) or
            each has its own.
    """

    queue: Tensor
    queued: Tensor

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 2048,
        dim: int = 128,
        prototypes: int = 3000,
        crops: int = 2,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        frozen_steps: int = 313,
        queue_length: int = 0,
        queue_start: float = 0.075,
        batch_norm: BatchNorm = "joint",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        # The bias before the batch norm is that of the published head; it changes no embedding.
        self.projector = MLP(encoder.width, hidden, dim, bias=True)
        self.prototypes = nn.Parameter(normalize(torch.empty(prototypes, dim).uniform_(-1, 1), dim=-1))
        self.crops = crops
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.frozen_steps = frozen_steps
        self.queue_start = queue_start
        self.batch_norm: BatchNorm = batch_norm
        self.register_buffer("queue", torch.zeros(crops, queue_length, dim))
        self.register_buffer("queued", torch.zeros((), dtype=torch.long))

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views; in training, first normalise the prototypes."""
        if self.training and step.begins:
            with torch.no_grad():  # outside the graph, so that their gradient is not projected on the sphere
                self.prototypes.copy_(normalize(self.prototypes, dim=-1))
        return embed(self.encoder, self.projector, views, batch_norm=self.batch_norm)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Swapped prediction, each term times the weight of its predicting view, or of both views."""
        z = embedded.z
        logits = linear(z, self.prototypes)
        codes = self.codes(logits[: self.crops].detach())
        if self.training and step.progress >= self.queue_start:
            self._enqueue(z[: self.crops].detach())
        pairs = ordered_pairs(len(logits), self.crops)
        terms = swapped_prediction_terms(logits, codes, pairs, self.temperature)
        return weights.mean(terms, pairs)

    def before_update(self, number: int) -> None:
        """Freeze the prototypes during the first steps: without a gradient neither decay nor momentum moves them."""
        if number < self.frozen_steps:
            self.prototypes.grad = None

    @torch.no_grad()
    def codes(self, logits: Float[Tensor, "crops batch prototypes"]) -> Float[Tensor, "crops batch prototypes"]:
        """Assign the global crops evenly to the prototypes, together with the queue once it is full.

        Until then its rows have no mass, since the device would have to be waited for to know whether it is full.
        """
        batch, length = logits.shape[1], self.queue.shape[1]
        if length:
            mine = linear(self.queue[:, rank() :: world_size()], self.prototypes)  # each row counts once, on one rank
            logits = torch.cat([logits, torch.where(self.queued >= length, mine, -torch.inf)], dim=1)
        spread = [sinkhorn(at_least_float32(crop), self.iterations, self.epsilon) for crop in logits]
        return torch.stack(spread)[:, :batch]

    def _enqueue(self, z: Float[Tensor, "crops batch dim"]) -> None:
        """Add the embeddings of all ranks; each rank keeps all of them, and so does a checkpoint."""
        length = self.queue.shape[1]
        if length:
            new = gather_rows(z.transpose(0, 1)).rows.transpose(0, 1)
            self.queue.copy_(torch.cat([new, self.queue], dim=1)[:, :length])
            self.queued += new.shape[1]


def sinkhorn(
    logits: Float[Tensor, "batch prototypes"], iterations: int, epsilon: float
) -> Float[Tensor, "batch prototypes"]:
    """Codes that use all prototypes equally over the images of all ranks, whatever the share of each (section 3.1)."""
    codes = ((logits - max_over_ranks(logits.max())) / epsilon).exp()
    for _ in range(iterations):
        codes = codes / sum_over_ranks(codes.sum(0)).clamp_min(torch.finfo(codes.dtype).tiny)
        codes = codes / codes.sum(1, keepdim=True).clamp_min(torch.finfo(codes.dtype).tiny)
    return codes


# Epsilon: with the paper's 0.05 and batches of 128, seeds 1 and 2 of the demo ended below an untrained encoder; 0.02
# was better than 0.03.
CARD = Card(
    build=SwAV,
    title="SwAV",
    paper="Caron et al., NeurIPS 2020, arXiv 2006.09882",
    year=2020,
    weighs="the predicting view",
    top1=72.7,
    small={"hidden": 256, "dim": 64, "prototypes": 100, "frozen_steps": 30, "epsilon": 0.02},
)
