"""The frozen eyes of a run's arbiter, as a module."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.arbitration.projection import HIDDEN, Projection
from uota.encoders.eyes import FrozenFeatures
from uota.training.arbiter_choice import ArbiterChoice


class FrozenEyes(nn.Module):
    """Features of views for an arbiter: those of some depths of a frozen encoder, projected.

    The means and the head of the projection are saved with a module's state, the encoder is not.

    Args:
        frozen: the encoder.
        choice: what the arbiter is; None: `fit` will say so before the first step.
    """

    def __init__(self, frozen: FrozenFeatures, choice: ArbiterChoice | None = None) -> None:
        super().__init__()
        self.frozen = frozen
        self.parts: list[str] = []
        self.projection: Projection | None = None
        if choice is not None:
            self.fit(choice)

    def fit(self, choice: ArbiterChoice, state: Mapping[str, Tensor] | None = None) -> None:
        """Take over what was chosen, and the state of the projection; None: it will be loaded along with this module's.

        Args:
            choice: depths and head.
            state: state of the projection.
        """
        self.parts = list(choice.parts)
        projection = Projection([torch.zeros(width) for width in choice.widths], HIDDEN if choice.head_steps else None)
        if state is not None:
            projection.load_state_dict(state)
        self.projection = projection.requires_grad_(False)

    @torch.no_grad()
    def forward(self, by_size: list[Float[Tensor, "_ batch channels _ _"]]) -> Float[Tensor, "views batch dim"]:
        """Compute the features of all views."""
        if self.projection is None:
            raise RuntimeError("the eyes are not fitted to any views; call uota.training.trial.fit_eyes first")
        seen = self.frozen(by_size)
        return self.projection([seen[part] for part in self.parts])
