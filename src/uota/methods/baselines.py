"""The two baselines of every comparison: an untrained encoder, and one trained with labels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.losses import ViewWeights
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project
from uota.numerics import at_least_float32


class Untrained(nn.Module):
    """A method that leaves its encoder as it was initialised.

    Args:
        encoder: images to features.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.dim = encoder.width
        self.nothing = nn.Parameter(torch.zeros(()))  # an optimiser needs at least one parameter

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Compute the features of all views."""
        self.encoder.eval()  # so that the statistics of batch norm do not change either
        return embed(self.encoder, nn.Identity(), views)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Return 0, with a gradient of 0."""
        return 0 * self.nothing


class Supervised(nn.Module):
    """A linear classifier on the encoder's features of every view.

    Args:
        encoder: images to features.
        classes: number of classes; `uota pretrain` takes that of the data unless it is given.
    """

    def __init__(self, encoder: Encoder, classes: int = 1000) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = encoder.width
        self.classifier = nn.Linear(encoder.width, classes)

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Compute the features of all views, which are also their embeddings."""
        return embed(self.encoder, nn.Identity(), views)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Cross-entropy, each term times the weight of its view."""
        if step.labels is None:
            raise UotaError("supervised needs labels; give a folder with one sub-folder per class")
        logits = at_least_float32(project(self.classifier, embedded.features))
        labels = step.labels.expand(len(logits), -1)
        # Images without a label have -1 and contribute nothing.
        terms = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=-1)
        return weights.mean_of_rows(terms.view(labels.shape), range(len(labels)))


RANDOM = Card(build=Untrained, title="random", weighs="–", trains=False)
SUPERVISED = Card(
    build=Supervised,
    title="supervised",
    weighs="the view",
    views="supervised",
    needs_labels=True,
    sync_batch_norm=False,
)
