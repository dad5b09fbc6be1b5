"""Before the encoder: of many candidate views keep those that likely show their image.

The paper approximates sampling from P, the views that keep the meaning, by weighing views from Q, the augmentations. An
arbiter that looks at thumbnails can do the sampling itself: it judges a view before it costs a forward pass, and the
loss that follows is nobody's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from uota.arbitration.arbiter import Arbiter
from uota.arbitration.result import Arbitration
from uota.arbitration.thumbnails import refuse_other_than_groups, thumbnails
from uota.collectives import share_of_rows

# Added to the probability of being no outlier, so that no view is impossible (uota.md, Before the encoder).
FLOOR = 1e-3


@dataclass(frozen=True)
class Sampled:
    """The views that were kept.

    Attributes:
        groups: them, one tensor per size.
        chosen: which of all candidates each is, rising within an image's views of a size.
        verdict: on all candidates.
    """

    groups: list[Float[Tensor, "_ batch channels _ _"]]
    chosen: Int64[Tensor, "views batch"]
    verdict: Arbitration

    @property
    def outlier_probability(self) -> Float[Tensor, "views batch"] | None:
        """Of the kept views; None where the arbiter could not tell yet."""
        known = self.verdict.outlier_probability
        return None if known is None else self.of(known)

    def of(self, x: Tensor) -> Tensor:
        """The kept views' part of what is known of all candidates: (candidates, batch, …) to (views, batch, …)."""
        return take(x, self.chosen)


class ViewSampler(nn.Module):
    """Keeps some of the candidate views of every image; three lines in anybody's training loop.

        sampler = ViewSampler(keep=[2, 6])
        views = sampler([large, small]).groups      # large (4, batch, 3, 224, 224) → (2, batch, …), small (12, …) → 6

    Per image and size it draws without replacement, with probabilities in proportion to 1 − P(outlier) by a learned
    arbiter on thumbnails (Gumbel top-k). While the arbiter cannot tell, that is drawing at random. In `eval()` mode it
    draws, and learns nothing.

    Args:
        keep: how many views of each size to keep.
        seed: of the arbiter's head and of the draws.

    On several ranks each gives its own images; the draws are those of one process with all images.
    """

    draws: Tensor

    def __init__(self, keep: Sequence[int], seed: int = 0) -> None:
        super().__init__()
        if not isinstance(keep, Sequence) or not keep or any(type(kept) is not int or kept < 1 for kept in keep):
            raise ValueError(f"keep is {keep}; it lists for each size of views how many to keep, at least 1: [2, 6]")
        self.keep = list(keep)
        self.seed = seed
        self.arbiter = Arbiter("learned", seed=seed)
        self.register_buffer("draws", torch.zeros((), dtype=torch.long))

    def __call__(self, candidates: list[Float[Tensor, "_ batch channels _ _"]]) -> Sampled:
        return super().__call__(candidates)

    @torch.no_grad()
    def forward(self, candidates: list[Float[Tensor, "_ batch channels _ _"]]) -> Sampled:
        """Choose.

        Args:
            candidates: views, one tensor per size, in the order of `keep`.

        Raises:
            ValueError: no list of views, other sizes than are to be kept, fewer candidates of a size, or NaN or
                infinite pixels.
        """
        refuse_other_than_groups(candidates)
        counts = [len(views) for views in candidates]
        if len(counts) != len(self.keep):
            raise ValueError(
                f"candidates have {len(counts)} sizes of view and keep has {len(self.keep)} numbers, {self.keep}; "
                "give one tensor for each"
            )
        if any(count < kept for count, kept in zip(counts, self.keep, strict=True)):
            raise ValueError(f"there are {counts} candidates and {self.keep} are to be kept; give at least as many")
        verdict = self.arbiter(thumbnails(candidates))
        keys = self._log_probability(verdict) + self._gumbel(verdict.weights)
        groups, chosen, first = [], [], 0
        for views, kept in zip(candidates, self.keep, strict=True):
            best = keys[first : first + len(views)].topk(kept, dim=0).indices.sort(dim=0).values
            groups.append(take(views, best))
            chosen.append(best + first)
            first += len(views)
        return Sampled(groups, torch.cat(chosen), verdict)

    def _log_probability(self, verdict: Arbitration) -> Tensor:
        if verdict.outlier_probability is None:
            return torch.zeros_like(verdict.weights)
        return (1 - verdict.outlier_probability + FLOOR).log()

    def _gumbel(self, like: Float[Tensor, "views batch"]) -> Float[Tensor, "views batch"]:
        """Noise of this rank's images, drawn as one process would draw it for all."""
        generator = torch.Generator().manual_seed(hash((self.seed, int(self.draws))) % 2**63)
        self.draws += int(self.training)
        views, batch = like.shape
        first, images = share_of_rows(like[0])
        uniform = torch.rand(views, images, generator=generator)[:, first : first + batch]
        return -(-uniform.clamp_min(torch.finfo(torch.float32).tiny).log()).log().to(like)


def take(x: Tensor, chosen: Int64[Tensor, "views batch"]) -> Tensor:
    """Rows of (candidates, batch, …) by an index per view and image."""
    return x[chosen, torch.arange(x.shape[1], device=x.device)]
