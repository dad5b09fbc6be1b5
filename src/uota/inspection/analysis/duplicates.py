"""Groups of duplicates: pictures with the same pixels, and pictures that look the same."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from uota.inspection.analysis.picture_measures import relative_difference

# Largest number of differing bits of 256, and largest difference of thumbnails, between near duplicates.
MOST_BITS, MOST_DIFFERENCE = 15, 0.15
# Pairs compared at a time.
PAIRS = 2**16


def exact_groups(digests: Sequence[bytes]) -> list[list[int]]:
    """Return the places of equal digests, in groups of two or more, by the first of each."""
    groups: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        groups.setdefault(digest, []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def near_groups(
    bits: UInt8[np.ndarray, "pictures 32"], thumbnails: UInt8[np.ndarray, "pictures side side 3"]
) -> list[list[int]]:
    """Return the places of pictures that look the same, in groups of two or more.

    Pairs with at most `MOST_BITS` differing bits are confirmed by their thumbnails, since the hash ignores colour. All
    in a group look like its first.

    Args:
        bits: packed perceptual hashes of 256 bits.
        thumbnails: the pictures, small.
    """
    found = [
        np.stack([first, second])[:, relative_difference(thumbnails[first], thumbnails[second]) <= MOST_DIFFERENCE]
        for first, second in close_pairs(bits)
    ]
    if not found:
        return []
    first, second = np.concatenate(found, axis=1)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    return _stars(coo_array((np.ones(2 * len(first)), both), shape=(len(bits), len(bits))).tocsr())


def _stars(graph: csr_array) -> list[list[int]]:
    """Group each node, in order, with its neighbours that are in no group yet.

    In a connected component, in contrast, a long chain of small differences ends in something else.
    """
    grouped, groups = np.zeros(graph.shape[0], dtype=bool), []
    for node in np.flatnonzero(np.diff(graph.indptr)).tolist():
        near = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        near = np.sort(near[~grouped[near]])
        if not grouped[node] and len(near):
            groups.append([node, *near.tolist()])
            grouped[groups[-1]] = True
    return groups


def close_pairs(bits: UInt8[np.ndarray, "pictures 32"]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs of hashes with at most `MOST_BITS` (15) differing bits, some more than once.

    By the pigeonhole principle, such hashes agree in one of their 16 words of 16 bits at least (multi-index hashing,
    Norouzi et al. 2012), so that only hashes that share a word are compared.
    """
    for word in np.ascontiguousarray(bits).view(np.uint16).T:
        order = np.argsort(word, kind="stable")
        for pair in _pairs_in_runs(word[order]):
            first, second = order[pair]
            close = hash_distances(bits[first], bits[second]) <= MOST_BITS
            yield first[close], second[close]


def hash_distances(first: UInt8[np.ndarray, "pairs 32"], second: UInt8[np.ndarray, "_pairs 32"]) -> NDArray[np.int64]:
    """Return the numbers of differing bits of hashes, pair by pair."""
    return np.unpackbits(first ^ second, axis=1).sum(1, dtype=np.int64)


def _pairs_in_runs(values: NDArray[np.uint16]) -> Iterator[Int64[np.ndarray, "2 pairs"]]:
    """Yield the places of all pairs of equal values in a sorted array, at most `PAIRS` at a time."""
    first = np.arange(len(values))
    for offset in range(1, len(values)):
        first = first[first < len(values) - offset]
        first = first[values[first] == values[first + offset]]
        if not len(first):
            return
        for start in range(0, len(first), PAIRS):
            part = first[start : start + PAIRS]
            yield np.stack([part, part + offset])
