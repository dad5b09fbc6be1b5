"""The order of the scored images, the most unusual first."""

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from uota.inspection.table import ViewTable


def rank_images(table: ViewTable, by_probability: bool = True) -> Int64[ndarray, " images"]:
    """Return the places of the images in the table, that of the most unusual view first.

    Images are ordered by their worst view: by its outlier probability, and if that is the same, by its score. Views
    that show nothing do not count.

    Args:
        table: the scored views.
        by_probability: False orders by the score alone, which suits tables in which no outliers were found.
    """
    verdict, counted = table.verdicts[table.judge], ~table.shows_nothing.numpy()
    score = np.where(counted, verdict.scores.detach().cpu().double().numpy(), np.inf)
    probability = np.where(counted & by_probability, table.outlier_probability.cpu().double().numpy(), -1)
    return np.lexsort((score.min(0), -probability.max(0)))
