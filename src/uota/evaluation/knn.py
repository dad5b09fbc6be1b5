"""k-nearest-neighbour evaluation: cosine similarity, votes weighted by exp(similarity / T), as lightly computes it
(Wu et al., 2018, section 3.4)."""

from dataclasses import dataclass

import torch
from lightly.utils.benchmarking.knn import knn_predict
from torch.nn.functional import normalize

from uota.evaluation.features import Features, top_k_accuracy

BATCH = 1024
FEW, MANY = 20, 200


@dataclass(frozen=True)
class Knn:
    """Accuracies in per cent for k neighbours."""

    top1: float
    top5: float
    k: int


@dataclass(frozen=True)
class KnnOfTwo:
    """Accuracies in per cent for few neighbours and for many: the two k that papers report."""

    top1: float
    top5: float
    k: int
    top1_of_many: float
    top5_of_many: float
    many: int


def evaluate_knn(train: Features, test: Features, k: int = FEW, temperature: float = 0.07) -> Knn:
    """Vote of the k nearest training features for every test feature."""
    bank = normalize(train.x, dim=1).T.contiguous()
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    k = min(k, bank.shape[1])
    queries = normalize(test.x, dim=1).split(BATCH)
    ranking = torch.cat([knn_predict(query, bank, train.labels, classes, k, temperature) for query in queries])
    return Knn(top_k_accuracy(ranking, test.labels, 1), top_k_accuracy(ranking, test.labels, 5), k)


def evaluate_knn_of_two(train: Features, test: Features) -> KnnOfTwo:
    """With 20 and with 200 neighbours, or all where there are fewer."""
    few, many = (evaluate_knn(train, test, k) for k in (FEW, MANY))
    return KnnOfTwo(few.top1, few.top5, few.k, many.top1, many.top5, many.k)
