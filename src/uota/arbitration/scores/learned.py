"""An arbiter with eyes of its own: the contrast on a small head that learns to tell, one step in every call."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from uota.arbitration.result import Scores
from uota.arbitration.scores.contrast import Cosines, contrast_scores, cosines, refuse_nonpositive
from uota.collectives import mean_over_ranks, part_of_mean
from uota.precision import at_least_float32

HIDDEN, OUTPUT = 256, 64
# Features are shrunk to this: float32 has no squares of much larger ones, and the first norm takes their scale away.
LARGEST = 1e9


class LearnedContrast(nn.Module):
    """The contrast of uota.md's `LearnedContrast`: a head on detached features, trained with InfoNCE as it goes.

    View j of image i must pick its own image's centre (j left out) among the centres of all images of all ranks; its
    logit is the score. The head is made at the first call, for whatever width the features have. In training mode each
    call is one step of its own AdamW, whatever the caller's grad mode or autocast; in eval mode nothing is learned.
    Head and optimiser live in the state dict. Outside a call the head's parameters ask for no gradient, so that
    the caller's optimiser and DistributedDataParallel leave them alone.

    Args:
        temperature: of the InfoNCE and of the contrast.
        learning_rate, weight_decay: AdamW's.
        seed: of the head's initial weights, the same on every rank.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        refuse_nonpositive(temperature=temperature, learning_rate=learning_rate)
        self.temperature = temperature
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = seed
        self.head: nn.Sequential | None = None
        self.optimizer: torch.optim.AdamW | None = None
        self.register_load_state_dict_pre_hook(_make_head_before_loading)

    def __call__(self, features: Float[Tensor, "views batch dim"]) -> Scores:
        return super().__call__(features)

    def forward(self, features: Float[Tensor, "views batch dim"]) -> Scores:
        """Scores by the head as it was before this call's step."""
        features = at_least_float32(features.detach())
        if self.head is None:
            self._make_head(features)
        assert self.head is not None
        if features.shape[-1] != self.width:
            raise ValueError(
                f"the arbiter learned on features of width {self.width} and was given width {features.shape[-1]}; "
                "use one arbiter per kind of feature"
            )
        features = features / (features.abs().amax(-1, keepdim=True) / LARGEST).clamp_min(1)
        features = features.to(self.head.get_parameter("0.weight"))
        with torch.inference_mode(False), torch.autocast(features.device.type, enabled=False):
            found = self._learn(features) if self.training else self._look(features)
        return contrast_scores(found, self.temperature)

    @torch.no_grad()
    def embed(self, features: Float[Tensor, "views batch dim"]) -> Float[Tensor, "views batch out"]:
        """Unit vectors by the head as it is, after its first call."""
        assert self.head is not None
        return normalize(self.head(at_least_float32(features).to(self.head.get_parameter("0.weight"))), dim=-1)

    @property
    def width(self) -> int:
        """Width of the features that the head was made for."""
        assert self.head is not None
        return int(self.head.get_parameter("0.weight").shape[0])

    def _look(self, features: Tensor) -> Cosines:
        assert self.head is not None
        with torch.no_grad():
            return cosines(normalize(self.head(features.clone()), dim=-1))

    def _learn(self, features: Tensor) -> Cosines:
        assert self.head is not None
        assert self.optimizer is not None
        with _trainable(self.head) as parameters:
            found = cosines(normalize(self.head(features.clone()), dim=-1))
            if found.images.shape[-1] > 1:
                loss = info_nce(found, self.temperature)
                gradients = mean_over_ranks(*torch.autograd.grad(loss, parameters))
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        return Cosines(*(x.detach() for x in found))

    def _make_head(self, like: Tensor) -> None:
        width = like.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            head = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, HIDDEN),
                nn.LayerNorm(HIDDEN),
                nn.GELU(),
                nn.Linear(HIDDEN, OUTPUT),
            )
        self.head = head.to(like).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )

    def get_extra_state(self) -> dict[str, Any]:
        return {} if self.optimizer is None else self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        if state:
            assert self.optimizer is not None
            self.optimizer.load_state_dict(state)


def info_nce(cosines: Cosines, temperature: float) -> Float[Tensor, ""]:
    """Mean cross-entropy of picking the own centre among all: van den Oord et al., 2018, equation 4; of several ranks,
    this one's part of it (`part_of_mean`)."""
    own, images, home = cosines
    local = torch.arange(own.shape[1], device=own.device)
    logits = images.index_put((torch.arange(len(own), device=own.device)[:, None], local, home), own)
    return part_of_mean(cross_entropy(logits.flatten(0, 1) / temperature, home.repeat(len(own)), reduction="none"))


@contextmanager
def _trainable(head: nn.Module) -> Iterator[list[nn.Parameter]]:
    """The head's parameters, asking for gradients inside the block only."""
    head.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield list(head.parameters())
    finally:
        head.requires_grad_(False)


def _make_head_before_loading(module: LearnedContrast, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A head is as wide as the features it first met; one that is loaded, as wide as the one that was saved."""
    weight = state.get(f"{prefix}head.0.weight")
    if weight is not None and (module.head is None or module.width != len(weight)):
        module._make_head(weight)
