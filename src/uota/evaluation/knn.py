"""k-nearest-neighbour evaluation by cosine similarity, with votes weighted by exp(similarity / T).

Wu et al., *Unsupervised Feature Learning via Non-Parametric Instance Discrimination*, 2018, section 3.4.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.evaluation.features import TOP, Features, top_k_accuracy
from uota.training.neighbours import TEMPERATURE, cast_votes

BATCH = 1024
FEW, MANY = 20, 200


@dataclass(frozen=True)
class Knn:
    """Accuracies in per cent with k neighbours."""

    top1: float
    top5: float
    k: int


@dataclass(frozen=True)
class KnnOfTwo:
    """Accuracies in per cent with few and with many neighbours, the two values of k that papers report."""

    top1: float
    top5: float
    k: int
    top1_of_many: float
    top5_of_many: float
    many: int


def evaluate_knn(train: Features, test: Features, k: int = FEW, temperature: float = TEMPERATURE) -> Knn:
    """Classify every test feature by a vote of the k nearest training features.

    Labels without a vote are not in the ranking, so that they are never counted as correct.
    """
    bank = normalize(train.x, dim=1).T.contiguous()
    values, labels = train.labels.unique(return_inverse=True)
    k = min(k, len(labels))
    ranking = torch.cat(
        [
            _ranked(cast_votes(queries @ bank, labels, len(values), k, temperature), values)
            for queries in normalize(test.x, dim=1).split(BATCH)
        ]
    )
    return Knn(top_k_accuracy(ranking, test.labels, 1), top_k_accuracy(ranking, test.labels, TOP), k)


def evaluate_knn_of_two(train: Features, test: Features) -> KnnOfTwo:
    """Evaluate with 20 and with 200 neighbours, or with all training features if there are fewer."""
    few, many = (evaluate_knn(train, test, k) for k in (FEW, MANY))
    return KnnOfTwo(few.top1, few.top5, few.k, many.top1, many.top5, many.k)


def _ranked(
    votes: Float[Tensor, "queries classes"], values: Int64[Tensor, " classes"]
) -> Int64[Tensor, "queries _ranks"]:
    """Rank labels by their votes, the smaller label first in a tie; -1 stands for labels without a vote."""
    order = votes.argsort(dim=1, descending=True, stable=True)[:, :TOP]
    return values[order].masked_fill(votes.gather(1, order) == 0, -1)
