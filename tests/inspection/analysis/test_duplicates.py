import numpy as np
import pytest

from uota.inspection.analysis.duplicates import MOST_BITS, close_pairs, exact_groups, hash_distances, near_groups


def test_equal_digests_form_groups():
    assert exact_groups([b"a", b"b", b"a", b"c", b"b", b"a"]) == [[0, 2, 5], [1, 4]]


@pytest.fixture
def bits():
    """Random hashes; of some there are copies in which up to 30 random bits are changed."""
    random = np.random.default_rng(0)
    unpacked = random.integers(0, 2, (200, 256), dtype=np.uint8)
    for copy in range(100):
        changed = random.choice(256, random.integers(0, 31), replace=False)
        unpacked[100 + copy] = unpacked[copy // 3]
        unpacked[100 + copy, changed] ^= 1
    return np.packbits(unpacked, axis=1)


def test_the_same_pairs_are_close_as_by_comparing_all(bits):
    unpacked = np.unpackbits(bits, axis=1).astype(int)
    distances = np.abs(unpacked[:, None] - unpacked[None]).sum(-1)
    expected = {(i, j) for i, j in np.argwhere(distances <= MOST_BITS).tolist() if i < j}
    found = np.concatenate([np.stack(pairs, axis=1) for pairs in close_pairs(bits)])
    assert set(map(tuple, np.sort(found, axis=1).tolist())) == expected
    assert len(expected) > 30
    np.testing.assert_array_equal(hash_distances(bits[:100], bits[100:]), distances[:100, 100:].diagonal())


def test_pairs_of_equal_hashes_but_other_colours_are_not_near():
    bits = np.zeros((3, 32), dtype=np.uint8)
    thumbnails = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    thumbnails[2] = thumbnails[0]
    assert near_groups(bits, thumbnails) == [[0, 2]]


def test_every_member_of_a_group_is_near_its_first():
    """Pictures that each differ by 10 bits from the one before are a chain, not copies."""
    unpacked = np.zeros((5, 256), dtype=np.uint8)
    for place in range(5):
        unpacked[place, : 10 * place] = 1
    thumbnails = np.zeros((5, 16, 16, 3), dtype=np.uint8)
    assert near_groups(np.packbits(unpacked, axis=1), thumbnails) == [[0, 1], [2, 3]]
    assert near_groups(np.packbits(unpacked[:1], axis=1), thumbnails[:1]) == []


def test_many_equal_hashes_form_one_group():
    assert near_groups(np.zeros((60, 32), dtype=np.uint8), np.zeros((60, 4, 4, 3), np.uint8)) == [[*range(60)]]
