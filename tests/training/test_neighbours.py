"""kNN accuracy during training, compared with leave-one-out classification by scikit-learn."""

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier

from uota.training.neighbours import IMAGES, Neighbours


def clustered(images, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (images,), generator=generator)
    return torch.randn(4, 8, generator=generator)[labels] + torch.randn(images, 8, generator=generator), labels


def by_scikit_learn(features, labels):
    x, y = features.double().numpy(), labels.numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    right = 0
    for image in range(len(x)):
        others = np.arange(len(x)) != image
        knn = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
        right += knn.fit(x[others], y[others]).predict(x[[image]])[0] == y[image]
    return 100 * right / len(x)


def test_accuracy_is_that_of_leave_one_out_classification():
    features, labels = clustered(150)
    neighbours = Neighbours()
    for batch in zip(features.split(40), labels.split(40), strict=True):
        neighbours.add(*batch)
    expected = by_scikit_learn(features, labels)
    assert 50 < expected < 95
    assert abs(neighbours.top1() - expected) < 1e-4


def test_only_the_latest_images_count():
    features, labels = clustered(IMAGES)
    both = Neighbours()
    both.add(torch.randn(600, 8), torch.randint(4, (600,)))
    both.add(features, labels)
    latest = Neighbours()
    latest.add(features, labels)
    assert both.top1() == latest.top1()


def test_too_few_images_have_no_accuracy():
    neighbours = Neighbours()
    assert neighbours.top1() is None
    neighbours.add(*clustered(20))
    assert neighbours.top1() is None
