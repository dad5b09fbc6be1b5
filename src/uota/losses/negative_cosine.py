"""Negative cosine: the loss of BYOL (Grill et al., 2020, eq. 2, up to scale) and SimSiam (Chen & He, 2021, eq. 1)."""

from jaxtyping import Float
from torch import Tensor, stack
from torch.nn.functional import normalize

from uota.losses.pairs import Pairs
from uota.numerics import at_least_float32


def negative_cosine_terms(
    predictions: Float[Tensor, "views batch dim"], targets: Float[Tensor, "targets batch dim"], pairs: Pairs
) -> Float[Tensor, "pairs batch"]:
    """Negative cosine of the prediction and the target of each pair; no gradient reaches the targets."""
    p = normalize(at_least_float32(predictions), dim=-1)
    t = normalize(at_least_float32(targets.detach()), dim=-1)
    return stack([-(p[a] * t[b]).sum(-1) for a, b in zip(pairs.predictor, pairs.target, strict=True)])
