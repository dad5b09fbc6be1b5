"""A queue of earlier batches' embeddings, which serve as negatives (MoCo, He et al. 2020, section 3.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from uota.distributed import gather_rows


class Queue(nn.Module):
    """The newest `length` embeddings of all ranks, the same on every rank; random directions until it is full.

    Args:
        length: number of embeddings in the queue.
        dim: dimension of an embedding.
    """

    rows: Tensor
    pushed: Tensor

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(length, dim), dim=-1))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "views batch dim"]) -> None:
        """Replace the oldest embeddings by the keys of all ranks, in batches of any size."""
        length = len(self.rows)
        new = gather_rows(keys.detach().transpose(0, 1)).rows.flatten(0, 1)[-length:]
        places = (self.pushed + torch.arange(len(new), device=new.device)) % length
        self.rows[places] = new.to(self.rows)
        self.pushed += len(new)
