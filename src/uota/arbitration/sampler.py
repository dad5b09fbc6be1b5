"""View sampler: keep, of many candidate views, those that likely show their image, before they are encoded.

The UOTA paper (Wang et al., NeurIPS 2021, section 3) approximates sampling from P, the views that keep the meaning, by
weighting views drawn from Q, the augmentations. An arbiter on thumbnails can do the sampling itself: it scores a view
before that costs a forward pass, and it works with any loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from uota.arbitration.arbiter import Arbiter
from uota.arbitration.inputs import check_seed, check_views_by_size
from uota.arbitration.result import Arbitration
from uota.arbitration.state import (
    Lock,
    Recall,
    cast_at_least_float32,
    in_backward,
    may_be_repeated,
    never_compiled,
    own_modes,
)
from uota.arbitration.thumbnails import thumbnails_and_total
from uota.distributed import share_of_rows
from uota.numerics import seed_of

# Added to the probability of not being an outlier, so that every view can be drawn.
FLOOR = 1e-3


@dataclass(frozen=True, repr=False, eq=False)
class Sampled:
    """Views that a sampler has kept.

    Attributes:
        by_size: the views, one tensor per size.
        chosen: index of each among all candidates, increasing within an image's views of one size.
        verdict: result of arbitration for all candidates.
    """

    by_size: list[Float[Tensor, "_ batch channels _ _"]]
    chosen: Int64[Tensor, "views batch"]
    verdict: Arbitration

    @property
    def outlier_probability(self) -> Float[Tensor, "views batch"] | None:
        """Outlier probability of the kept views; None if the arbiter has no estimate yet."""
        known = self.verdict.outlier_probability
        return None if known is None else self.of(known)

    def of(self, x: Tensor) -> Tensor:
        """Select the kept views from a tensor of all candidates: (candidates, batch, …) to (views, batch, …)."""
        return take(x, self.chosen)

    def __repr__(self) -> str:
        shapes = ", ".join(" × ".join(str(size) for size in views.shape) for views in self.by_size)
        return f"Sampled({len(self.chosen)} of {len(self.verdict.weights)} views: {shapes}; verdict={self.verdict!r})"


class ViewSampler(nn.Module):
    """Module that keeps some of the candidate views of every image; two lines in any training loop.

        sampler = ViewSampler(keep=[2, 6])
        views = sampler([large, small]).by_size      # large (4, batch, 3, 224, 224) → (2, batch, …), small (12, …) → 6

    For each image and size it draws without replacement, with probabilities proportional to 1 − P(outlier) as estimated
    by a learned arbiter on thumbnails (Gumbel top-k). While the arbiter cannot tell, the draws are uniform. In `eval()`
    mode the sampler draws, but its arbiter does not learn. When gradient checkpointing repeats a call in the backward
    pass, the same views are chosen again.

    On several ranks each passes its own images; the draws are those of one process with all images.

    Args:
        keep: number of views of each size to keep.
        seed: seed of the arbiter's head and of the draws.
    """

    draws: Tensor

    def __init__(self, keep: Sequence[int], seed: int = 0) -> None:
        super().__init__()
        if not isinstance(keep, Sequence) or not keep or any(type(kept) is not int or kept < 1 for kept in keep):
            raise ValueError(f"keep is {keep}; give for each size of view how many to keep, at least 1: [2, 6]")
        self.keep = list(keep)
        self.seed = check_seed(seed)
        self.arbiter = Arbiter("learned", seed=seed)
        with torch.inference_mode(False):
            self.register_buffer("draws", torch.zeros((), dtype=torch.long))
        self._drawn: int | None = None  # `draws` on the host, which spares waiting for the device
        self._lock = Lock()
        self._recall = Recall()
        self.register_load_state_dict_post_hook(_forget_count)

    def __call__(
        self, candidates: list[Float[Tensor, "_ batch channels _ _"]], *, check_finite: bool = True
    ) -> Sampled:
        return super().__call__(candidates, check_finite=check_finite)

    @never_compiled("a view sampler draws and learns in each call; compile what is around it")
    def forward(self, candidates: list[Float[Tensor, "_ batch channels _ _"]], *, check_finite: bool = True) -> Sampled:
        """Choose the views to keep.

        Args:
            candidates: views, one tensor per size, in the order of `keep`.
            check_finite: require finite pixels, which waits for the device.

        Raises:
            ValueError: `candidates` is not a list of float tensors of views, does not match `keep`, has fewer
                candidates of a size than are to be kept, or has NaN or infinite pixels.
        """
        checked = check_views_by_size(candidates)
        counts = [len(views) for views in checked]
        if len(counts) != len(self.keep):
            raise ValueError(
                f"candidates have {len(counts)} sizes of view, and keep has {len(self.keep)} numbers, {self.keep}; "
                "give one tensor for each"
            )
        if any(count < kept for count, kept in zip(counts, self.keep, strict=True)):
            raise ValueError(f"there are {counts} candidates and {self.keep} are to be kept; give at least as many")
        seen, total = thumbnails_and_total(checked, check_finite)
        sampled = self._recall(seen, total, lambda: self._choose(seen, counts), may_be_repeated())
        parts = zip(checked, sampled.chosen.split(self.keep), firsts(counts), strict=True)
        with torch.no_grad():
            return replace(sampled, by_size=[take(views, chosen - first) for views, chosen, first in parts])

    def _choose(self, seen: Float[Tensor, "views batch dim"], counts: list[int]) -> Sampled:
        """Choose candidates by their thumbnails; the result has no pixels yet."""
        verdict = self.arbiter(seen, check_finite=False)
        with own_modes(seen.device):
            keys = (self._log_probability(verdict) + self._gumbel(verdict.weights)).split(counts)
            chosen = [
                part.topk(kept, dim=0).indices.sort(dim=0).values + first
                for part, kept, first in zip(keys, self.keep, firsts(counts), strict=True)
            ]
            return Sampled([], torch.cat(chosen), verdict)

    def _log_probability(self, verdict: Arbitration) -> Tensor:
        if verdict.outlier_probability is None:
            return torch.zeros_like(verdict.weights)
        return (1 - verdict.outlier_probability + FLOOR).log()

    def _gumbel(self, like: Float[Tensor, "views batch"]) -> Float[Tensor, "views batch"]:
        """Draw Gumbel noise for this rank's images, the same as one process would draw for all."""
        with self._lock:
            generator = torch.Generator().manual_seed(seed_of(self.seed, self._next_draw()))
        views, batch = like.shape
        first, images = share_of_rows(like[0])
        uniform = torch.rand(views, images, generator=generator, dtype=torch.float32, device="cpu")[
            :, first : first + batch
        ]
        gumbel = -(-uniform.clamp_min(torch.finfo(torch.float32).tiny).log()).log()
        return gumbel.to(like.device, like.dtype, non_blocking=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ViewSampler":
        """Move or cast, except for the integer that counts draws."""
        with torch.inference_mode(False):
            super()._apply(cast_at_least_float32(fn), recurse)
        return self

    def _next_draw(self) -> int:
        """Return the number of this draw, and count it in training mode."""
        if self.draws.is_meta:
            raise ValueError(
                "the sampler is on the meta device, where it has no values; make a new one and load its state"
            )
        if self.draws.is_inference():
            self.draws = self.draws.clone()
        number = int(self.draws) if self._drawn is None else self._drawn
        counts = self.training and not in_backward()
        if counts:
            self.draws += 1
        self._drawn = number + counts
        return number


def _forget_count(module: ViewSampler, _: object) -> None:
    """After loading, read the number of draws again."""
    module._drawn = None


def firsts(counts: list[int]) -> list[int]:
    """Index of each size's first candidate among all."""
    return [sum(counts[:size]) for size in range(len(counts))]


def take(x: Tensor, chosen: Int64[Tensor, "views batch"]) -> Tensor:
    """Select from (candidates, batch, …) by an index per view and image."""
    return x[chosen, torch.arange(x.shape[1], device=x.device)]
