"""Another remedy: RINCE, Chuang et al., *Robust Contrastive Learning against Noisy Views*, CVPR 2022."""

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from uota.losses import info_nce_terms, nt_xent_terms, ordered_pairs
from uota.methods import Embedded, MoCo, SimCLR
from uota.methods.embedded import unit

# Weight of the denominator, the paper's λ.
DENSITY = 0.01


def rince(
    positive: Float[Tensor, "pairs batch"], total: Float[Tensor, "pairs batch"], q: float
) -> Float[Tensor, "pairs batch"]:
    """Compute equation 5 of the paper; q → 0 gives InfoNCE, q = 1 the symmetric loss that tolerates wrong pairs.

    Args:
        positive: logits of the pairs.
        total: log of the sum of exponentials of the positive and all negatives.
        q: in (0, 1].
    """
    return ((q * (total + math.log(DENSITY))).exp() - (q * positive).exp()) / q


def robust_simclr(method: SimCLR, embedded: Embedded, q: float) -> Tensor:
    """Compute SimCLR's loss with RINCE in place of InfoNCE."""
    pairs = ordered_pairs(len(embedded.z), len(embedded.z))
    terms = nt_xent_terms(embedded.z, pairs, method.temperature)
    positive = (embedded.z[pairs.predictor] * embedded.z[pairs.target]).sum(-1) / method.temperature
    return rince(positive, terms + positive, q).mean()


def robust_moco(method: MoCo, embedded: Embedded, q: float) -> Tensor:
    """Compute MoCo's loss with RINCE in place of InfoNCE, and update the queue."""
    assert embedded.targets is not None
    keys = unit(embedded.targets)
    pairs = ordered_pairs(len(embedded.z), embedded.globals)
    terms = info_nce_terms(embedded.z, keys, method.queue.rows.clone(), pairs, method.temperature)
    method.queue.push(keys)
    positive = (embedded.z[pairs.predictor] * keys[pairs.target]).sum(-1) / method.temperature
    return rince(positive, terms + positive, q).mean()


ROBUST: dict[str, Callable[..., Tensor]] = {"simclr": robust_simclr, "moco_v2": robust_moco}
