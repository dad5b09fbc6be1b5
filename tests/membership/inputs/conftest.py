"""Rows of a table, in every format."""

import numpy as np
import pytest

GROUPS, OF_EACH, DIM = 6, 4, 5


@pytest.fixture(scope="session")
def rows():
    """Vectors, groups and names of members; the names and groups would be formulas, or are not ASCII."""
    number = np.repeat(np.arange(GROUPS), OF_EACH)
    vectors = np.random.default_rng(0).normal(size=(len(number), DIM)).astype(np.float32)
    return vectors, [f"=group{each}" for each in number], [f"é {each}.png" for each in range(len(number))]
