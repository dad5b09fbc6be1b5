"""Embeddings of members as tensors, from whatever people keep them in; nothing is copied that need not be."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from uota.console import printable
from uota.errors import UotaError
from uota.membership.inputs.arrow import is_arrow, rows_of_arrow
from uota.membership.inputs.frames import is_frame, is_series, rows_of_frame, rows_of_series
from uota.membership.inputs.names import check_length
from uota.membership.inputs.rows import stack
from uota.membership.projection import Features

# Rows that are checked at once.
ROWS = 2**16
# Name of embeddings that are given without one.
EMBEDDING = "embedding"
SHAPE = "give one row of numbers for each member"


def as_features(embeddings: Any) -> Features:
    """Return embeddings as finite tensors (members, dim) of half or single precision, by kind.

    Args:
        embeddings: rows of numbers, or a mapping of several kinds of them by name.

    Raises:
        UotaError: they are not rows of numbers, are not finite, or are not of equally many members.
    """
    if not isinstance(embeddings, Mapping):
        return {EMBEDDING: _checked(as_vectors(embeddings), "embeddings")}
    if not embeddings:
        raise UotaError(f"the mapping of embeddings is empty; {SHAPE}")
    features = {
        str(name): _checked(as_vectors(each), f"embeddings {printable(str(name))}") for name, each in embeddings.items()
    }
    (first, members), *others = ((name, len(each)) for name, each in features.items())
    for name, rows in others:
        if rows != members:
            raise UotaError(
                f"embeddings {printable(first)} have {members} rows and {printable(name)} {rows}; give equally many"
            )
    return features


def as_vectors(given: Any) -> Float[Tensor, "members dim"]:
    """Return rows of numbers as a tensor; half and single precision are kept, and anything else becomes single.

    Raises:
        UotaError: they are not rows of numbers.
    """
    if isinstance(given, Tensor):
        return _of_tensor(given)
    if is_arrow(given):
        return of_array(rows_of_arrow(given))
    if is_frame(given):
        return of_array(rows_of_frame(given))
    if is_series(given):
        return of_array(rows_of_series(given))
    if hasattr(given, "tocsr"):
        raise UotaError("embeddings are a sparse matrix; give a dense one, such as its TruncatedSVD")
    if not isinstance(given, ndarray) and hasattr(given, "__array__"):
        given = np.asarray(given)
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise UotaError("embeddings are an array with masked entries; leave those rows out")
    return of_array(given if isinstance(given, ndarray) and given.dtype != object else stack(given))


def of_array(array: ndarray) -> Float[Tensor, "members dim"]:
    """Return an array as a tensor, which shares its memory if its type allows it."""
    _check_shape(array.ndim, array.shape)
    if array.dtype.kind not in "fiub":
        raise UotaError(f"embeddings are of the type {array.dtype}; give numbers")
    single = array.dtype if array.dtype in (np.float16, np.float32) else np.dtype(np.float32)
    with np.errstate(over="ignore"):  # what is beyond single precision becomes infinite, which is reported
        array = array.astype(single.newbyteorder("="), copy=False)
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():  # nothing writes to the tensor
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _of_tensor(tensor: Tensor) -> Tensor:
    _check_shape(tensor.ndim, tuple(tensor.shape))
    if tensor.layout != torch.strided:
        raise UotaError("embeddings are a sparse tensor; give a dense one")
    if tensor.is_complex():
        raise UotaError(f"embeddings are of the type {tensor.dtype}; give real numbers")
    tensor = tensor.detach().cpu()
    return tensor if tensor.dtype in (torch.float16, torch.float32) else tensor.float()


def _check_shape(dimensions: int, shape: tuple[int, ...]) -> None:
    if dimensions != 2:
        raise UotaError(f"embeddings have {dimensions} dimension(s) {shape}; {SHAPE}")


def _checked(vectors: Tensor, what: str) -> Tensor:
    if not len(vectors) or not vectors.shape[1]:
        raise UotaError(f"{what} have {len(vectors)} rows of {vectors.shape[1]} numbers; {SHAPE}")
    for start in range(0, len(vectors), ROWS):
        finite = torch.isfinite(vectors[start : start + ROWS]).all(1)
        if not bool(finite.all()):
            row = start + int((~finite).int().argmax())
            raise UotaError(
                f"row {row} of {what} has missing, NaN or infinite entries, or such that are too large for single "
                "precision; leave such rows out, groups and all"
            )
    return vectors


def check_lengths(features: Features, groups: int) -> None:
    """Check that there is a group for each member.

    Raises:
        UotaError: there are more or fewer.
    """
    check_length("groups", groups, len(next(iter(features.values()))))
