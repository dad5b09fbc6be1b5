"""Methods of others that find wrong members from embeddings and groups; of each result, higher is more suspicious.

Where a method takes class probabilities, they are of members that do not count in the centre of their own group, or of
classifiers that have not seen them.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.special import betaln
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from torch import Tensor
from torch.nn.functional import normalize

NEIGHBOURS, TEMPERATURES = 10, (0.05, 0.1, 0.3)
# A classifier is trained only for so few groups that each fold has members of all.
MOST_CLASSES = 100
# Steps of expectation and maximisation.
STEPS = 200
Suspicion = Float[Tensor, " members"]


def suspicions(z: Float[Tensor, "members dim"], group: Int64[Tensor, " members"]) -> dict[str, Suspicion]:
    """Return what each method makes of unit vectors and groups, by its name."""
    own, cosines = _cosines(z, group)
    found = {
        "cosine to the centre": -own,
        "margin to the nearest centre": -(own - _others(cosines, group).max(1).values),
        "kNN agreement": -_agreement(z, group),
        "PRISM": -prism(cosines, group),
        "Beta-SOD": beta_mixture(own),
    }
    for t in TEMPERATURES:
        found |= cleanlab(f"softmax {t:g}", (cosines / t).softmax(1), group)
    found |= cleanlab("kNN", _votes(z, group), group)
    if int(group.max()) < MOST_CLASSES and int(group.bincount().min()) >= 5:
        found |= cleanlab("classifier", _classified(z, group), group)
    return found


def prism(cosines: Float[Tensor, "members groups"], group: Int64[Tensor, " members"]) -> Float[Tensor, " members"]:
    """Return the probability of each member to be clean.

    Source: Liu et al., *Noise-resistant deep metric learning with ranking-based instance selection* (CVPR 2021), eq. 2:
    the softmax over the groups of the similarity to the centres in memory; here, over all members.
    """
    return cosines.softmax(1)[_rows(group), group]


def beta_mixture(own: Float[Tensor, " members"]) -> Float[Tensor, " members"]:
    """Return the posterior probability of the component of lower similarity.

    Source: *Beta distribution learning for … noisy similarity pairs* (Beta-SOD, arXiv 2509.08926): a mixture of two
    Beta distributions of the similarities, fitted by expectation and maximisation with moments.
    """
    x = ((own.double().numpy() + 1) / 2).clip(1e-4, 1 - 1e-4)
    low = x < np.median(x)
    weight = np.stack([low, ~low]).astype(float) * 0.8 + 0.1
    for _ in range(STEPS):
        mass = weight.sum(1, keepdims=True)
        mean = (weight * x).sum(1, keepdims=True) / mass
        variance = (weight * (x - mean) ** 2).sum(1, keepdims=True) / mass + 1e-8
        total = np.maximum(mean * (1 - mean) / variance - 1, 1e-2)
        a, b = mean * total, (1 - mean) * total
        log = np.log(mass / mass.sum()) + (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)
        weight = np.exp(log - np.logaddexp(*log))
    return torch.from_numpy(weight[int(mean[0, 0] > mean[1, 0])] - 1e-6 * x)


def cleanlab(name: str, probabilities: Float[Tensor, "members groups"], group: Tensor) -> dict[str, Suspicion]:
    """Return cleanlab's label quality, and its ranked issues by confident learning before all other members."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels, p = group.numpy(), probabilities.double().numpy()
    p = p / p.sum(1, keepdims=True)
    found = {}
    for score in ("self_confidence", "normalized_margin"):
        found[f"cleanlab {score}, {name}"] = -torch.from_numpy(get_label_quality_scores(labels, p, method=score))
    issues = find_label_issues(labels, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    first = found[f"cleanlab self_confidence, {name}"].clone()
    first[torch.from_numpy(np.asarray(issues, dtype=np.int64))] += 2
    return found | {f"cleanlab find_label_issues, {name}": first}


def _cosines(z: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosines to the mean of the other members of the own group, and to the means of all groups."""
    totals = z.new_zeros(int(group.max()) + 1, z.shape[1]).index_add_(0, group, z)
    own = (z * normalize(totals[group] - z, dim=-1)).sum(-1)
    cosines = z @ normalize(totals, dim=-1).T
    cosines[_rows(group), group] = own
    return own, cosines


def _others(cosines: Tensor, group: Tensor) -> Tensor:
    return cosines.scatter(1, group[:, None], -torch.inf)


def _rows(group: Tensor) -> Tensor:
    return torch.arange(len(group))


def _votes(z: Tensor, group: Tensor) -> Tensor:
    near = (z @ z.T).fill_diagonal_(-torch.inf).topk(NEIGHBOURS).indices
    votes = z.new_zeros(len(z), int(group.max()) + 1)
    return votes.scatter_add_(1, group[near], torch.full(near.shape, 1 / NEIGHBOURS))


def _agreement(z: Tensor, group: Tensor) -> Tensor:
    """Return the share of the nearest members, as many as the group has others and ten at most, of the own group."""
    cosines = (z @ z.T).fill_diagonal_(-torch.inf)
    near = cosines.topk(NEIGHBOURS)
    wanted = (group.bincount()[group] - 1).clamp(1, NEIGHBOURS)
    counted = torch.arange(NEIGHBOURS) < wanted[:, None]
    return ((group[near.indices] == group[:, None]) & counted).sum(1) / wanted


def _classified(z: Tensor, group: Tensor) -> Tensor:
    model = LogisticRegression(C=10.0, max_iter=300)
    return torch.from_numpy(cross_val_predict(model, z.numpy(), group.numpy(), cv=5, method="predict_proba"))
