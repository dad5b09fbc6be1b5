"""The two groups whose centres are most similar to each of many vectors.

Of up to `EXACT` groups all are compared. Of more, an index of FAISS (Johnson et al., *Billion-scale similarity search
with GPUs*, 2017) compares short codes: the centres lie in cells of about `CELL`, each is coded by 4 bits for every four
dimensions (André et al., *Cache locality is not enough*, 2015), the codes of the `PROBED` nearest cells are compared,
and the `SHORTLIST` most similar are compared exactly. So the time for a vector is bounded, however many groups there
are, and up to `CELL` · `PROBED` groups all are looked at.
"""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from uota.membership.in_blocks import in_blocks
from uota.membership.projection import ROWS, Vectors, row_blocks

logger = logging.getLogger(__name__)

# Most groups that are all compared.
EXACT = 4096
CELL, PROBED, SHORTLIST = 1024, 64, 64
# Dimensions that a code of 4 bits stands for.
CODED = 4
# Vectors that cells, for each, and codes are fitted to.
TRAINED, CODEBOOK = 64, 2**14
# Similarities that are held at once.
HELD = 2**24


@dataclass(frozen=True)
class Similar:
    """The two most similar others of each group, or of each member.

    Attributes:
        similarity: descending; 0 where there is no other.
        number: their numbers; -1 where there is none.
    """

    similarity: Float[Tensor, "queries 2"]
    number: Int64[Tensor, "queries 2"]


def most_similar(
    queries: Vectors,
    centres: Float[Tensor, "groups dim"],
    own: Int64[Tensor, " chosen"],
    chosen: Int64[Tensor, " chosen"] | None = None,
) -> Similar:
    """Return the two groups that each query is most similar to, by the product with their centres, other than its own.

    Args:
        queries: vectors of any length.
        centres: of the groups, of any length; that of the own group plays no part.
        own: number of each chosen query's own group.
        chosen: the queries to look at; None: all.
    """
    search = search_among(centres)
    chosen = torch.arange(len(queries)) if chosen is None else chosen
    similarity, number = in_blocks(
        len(chosen), search.rows, lambda block: search.two_best(queries[chosen[block]], own[block])
    )
    exists = similarity.isfinite()
    return Similar(similarity.where(exists, 0), number.where(exists, -1))


def search_among(centres: Float[Tensor, "groups dim"]) -> "Products | Index":
    """Return a search among all centres, or above `EXACT` by an index, if FAISS is there."""
    compares_all = len(centres) <= EXACT or not has_faiss(len(centres))
    return Products(centres) if compares_all else Index(centres, refined=True)


def has_faiss(vectors: int) -> bool:
    """Whether FAISS is there; if not, print that all vectors are compared."""
    found = find_spec("faiss") is not None
    if not found:
        logger.warning(
            f"all of {vectors} vectors are compared, as there is no FAISS; "
            "to make that several times faster: pip install 'uota[index]'"
        )
    return found


class Products:
    """Comparison with all centres.

    Args:
        centres: of the groups.
    """

    def __init__(self, centres: Float[Tensor, "groups dim"]) -> None:
        self.centres, self.rows = centres, max(1, HELD // len(centres))

    def two_best(self, queries: Float[Tensor, "queries dim"], own: Int64[Tensor, " queries"]) -> tuple[Tensor, Tensor]:
        """Return products with the two most similar centres other than the own, and their numbers; −inf: no other."""
        products = (queries @ self.centres.T).scatter_(1, own[:, None], -torch.inf)
        best = products.max(1)
        second = products.scatter_(1, best.indices[:, None], -torch.inf).max(1)
        return torch.stack([best.values, second.values], 1), torch.stack([best.indices, second.indices], 1)


class Index:
    """Comparison with a shortlist, found by FAISS.

    Args:
        vectors: more than a few.
        refined: whether a copy of them is kept, by which a shortlist is compared exactly.
    """

    def __init__(self, vectors: Vectors, refined: bool) -> None:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        self.rows, self.dtype = ROWS, vectors.dtype
        cells, random = -(-len(vectors) // CELL), torch.Generator().manual_seed(0)
        sample = _padded(vectors[torch.randperm(len(vectors), generator=random)[: max(TRAINED * cells, CODEBOOK)]])
        kind = f"IVF{cells},PQ{sample.shape[1] // CODED}x4fs" + refined * ",RFlat"
        index: Any = faiss.index_factory(sample.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        index.train(sample)
        for rows in row_blocks(len(vectors)):
            index.add(_padded(vectors[rows]))
        faiss.extract_index_ivf(index.base_index if refined else index).nprobe = PROBED
        self.index = index

    def shortlist(self, queries: Float[Tensor, "queries dim"], count: int) -> Int64[Tensor, "queries count"]:
        """Return the numbers of the vectors whose codes are most similar, best first; −1 where there are too few."""
        return torch.from_numpy(self.index.search(_padded(queries), count)[1])

    def two_best(self, queries: Float[Tensor, "queries dim"], own: Int64[Tensor, " queries"]) -> tuple[Tensor, Tensor]:
        """Return products with the two most similar centres other than the own, and their numbers; −inf: no other."""
        self.index.k_factor = SHORTLIST / 3
        products, number = map(torch.from_numpy, self.index.search(_padded(queries), 3))
        best = products.masked_fill((number == own[:, None]) | (number < 0), -torch.inf).topk(2, 1)
        return best.values.to(self.dtype), number.gather(1, best.indices)


def _padded(x: Float[Tensor, "rows dim"]) -> Any:
    """Return vectors as an array whose dimensions can be coded."""
    return pad(x.float(), (0, -x.shape[1] % CODED)).numpy()
