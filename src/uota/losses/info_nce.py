"""InfoNCE against a queue (van den Oord et al., 2018; He et al., 2020, equation 1)."""

from jaxtyping import Float
from torch import Tensor, einsum, logaddexp, stack
from torch.nn.functional import linear

from uota.losses.pairs import Pairs
from uota.numerics import rows_at


def info_nce_terms(
    queries: Float[Tensor, "views batch dim"],
    keys: Float[Tensor, "targets batch dim"],
    negatives: Float[Tensor, "queue dim"],
    pairs: Pairs,
    temperature: float,
) -> Float[Tensor, "pairs batch"]:
    """Cross-entropy of picking the key among itself and the negatives.

    Args:
        queries, keys: on the unit sphere; keys are the targets.
        negatives: embeddings of other images.
        pairs: predictors are queries, targets are keys.
        temperature: of the softmax.
    """
    asking = sorted(set(pairs.predictor))  # no other views, since each has as many logits as the queue is long
    away = (linear(rows_at(queries, asking), negatives) / temperature).logsumexp(-1)
    away = rows_at(away, [asking.index(p) for p in pairs.predictor])
    cosines = [(queries[p] * keys[t]).sum(-1) for p, t in zip(pairs.predictor, pairs.target, strict=True)]
    positive = stack(cosines) / temperature
    return logaddexp(positive, away) - positive


def joint_contrastive_terms(
    queries: Float[Tensor, "views batch dim"],
    keys: Float[Tensor, "targets batch dim"],
    shares: Float[Tensor, "views targets batch"],
    negatives: Float[Tensor, "queue dim"],
    temperature: float,
    strength: float,
) -> Float[Tensor, "views batch"]:
    """Upper bound of the InfoNCE expected over infinitely many Gaussian keys (Cai et al., 2020, equation 8).

    The mean μ and covariance Σ of a query's keys are only needed along the query, as q·μ and qᵀΣq.

    Args:
        queries, keys: on the unit sphere; keys are the targets.
        shares: of each key in the moments of each query; they sum to 1 over targets.
        negatives: embeddings of other images.
        temperature: of the softmax.
        strength: λ, the factor of the covariance.
    """
    along = einsum("vbd,tbd->vtb", queries, keys)
    mean = (shares * along).sum(1)
    variance = (shares * (along - mean[:, None]).square()).sum(1)
    positive = mean / temperature
    away = (linear(queries, negatives) / temperature).logsumexp(-1)
    return logaddexp(positive + strength * variance / (2 * temperature**2), away) - positive
