import torch
from torch.nn.functional import normalize

from uota.evaluation.features import Features, top_k_accuracy
from uota.evaluation.knn import evaluate_knn, evaluate_knn_of_two


def clouds(count, seed):
    """Features around one direction per class, far enough from each other to be told apart by most, not by all."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(7, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 7, (count,), generator=random)
    return Features(centres[labels] + 1.8 * torch.randn(count, 16, generator=random), labels)


def vote(train, test, k):
    """Votes exp(cosine / 0.07) of the k nearest, in float64, image by image (Wu et al., 2018)."""
    rankings = []
    for row in normalize(test.x.double(), dim=1):
        cosine = normalize(train.x.double(), dim=1) @ row
        nearest = cosine.argsort(descending=True)[:k]
        votes = torch.zeros(7, dtype=torch.float64).index_add(0, train.labels[nearest], (cosine[nearest] / 0.07).exp())
        rankings.append(votes.argsort(descending=True, stable=True))
    return torch.stack(rankings)


def test_both_k_are_votes_of_that_many_neighbours():
    train, test = clouds(400, 1), clouds(300, 2)
    found = evaluate_knn_of_two(train, test)
    assert (found.k, found.many) == (20, 200)
    few, many = vote(train, test, 20), vote(train, test, 200)
    assert found.top1 == top_k_accuracy(few, test.labels, 1)
    assert found.top1_of_many == top_k_accuracy(many, test.labels, 1)
    assert found.top5_of_many == top_k_accuracy(many, test.labels, 5)
    assert 50 < found.top1 < found.top5 < 100
    assert found.top1 != found.top1_of_many


def test_fewer_images_than_neighbours_all_vote():
    train, test = clouds(50, 1), clouds(100, 2)
    found = evaluate_knn_of_two(train, test)
    assert (found.k, found.many) == (20, 50)
    assert found.top1_of_many == evaluate_knn(train, test, k=50).top1
