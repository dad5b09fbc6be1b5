"""SwAV's swapped prediction (Caron et al., 2020, equation 2)."""

from jaxtyping import Float
from torch import Tensor, stack
from torch.nn.functional import log_softmax

from uota.losses.pairs import Pairs
from uota.numerics import at_least_float32


def swapped_prediction_terms(
    logits: Float[Tensor, "views batch prototypes"],
    codes: Float[Tensor, "crops batch prototypes"],
    pairs: Pairs,
    temperature: float = 0.1,
) -> Float[Tensor, "pairs batch"]:
    """Cross-entropy between the code of a global crop (the target) and another view's prediction of it.

    Args:
        logits: cosines of all views and prototypes.
        codes: soft assignments of the global crops, which are the first views; each sums to 1 and has no gradient.
        pairs: predictors are views, targets are crops.
        temperature: of the softmax of predictions.
    """
    predictions = log_softmax(at_least_float32(logits) / temperature, dim=-1)
    return stack([-(codes[t] * predictions[p]).sum(-1) for p, t in zip(pairs.predictor, pairs.target, strict=True)])
