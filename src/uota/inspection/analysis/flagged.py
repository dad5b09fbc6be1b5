"""Which views are flagged as outliers, and how many must be before anything is said about them."""

from jaxtyping import Bool, Float
from torch import Tensor

# Views with a larger outlier probability are flagged.
FLAGGED = 0.5
# Of fewer flagged views, no cause is claimed and no advice is given.
MIN_FLAGGED = 20


def flagged_views(
    probability: Float[Tensor, "views images"], counted: Bool[Tensor, "views images"]
) -> Bool[Tensor, "views images"]:
    """Return which of the counted views are flagged; a view without a probability (NaN) is not."""
    return (probability > FLAGGED) & counted
