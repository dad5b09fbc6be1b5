from base64 import b64decode

import numpy as np
import pytest

from uota.pages.packing import packed


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 255], "u1"), ([0, 256], "u2"), ([70_000], "u4"), ([True, False], "u1"), ([0.25, -3.5], "f4"), ([], "f4")],
)
def test_numbers_keep_their_value_in_the_smallest_type(values, dtype):
    found = packed(np.array(values))
    assert found["dtype"] == dtype
    np.testing.assert_array_equal(np.frombuffer(b64decode(found["data"]), "<" + dtype), values)
