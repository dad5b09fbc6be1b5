"""What the package knows of a method besides its algorithm."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.methods.embedded import Embedded, Step


class Method(Protocol):
    """What training asks of a method, which is also an `nn.Module`. Nothing is inherited."""

    encoder: nn.Module
    dim: int

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        ...

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """The weighted loss of a batch."""
        ...


@dataclass(frozen=True)
class Card:
    """A row of `uota methods`.

    Attributes:
        build: the method's class.
        title, paper, year: as a person would cite it.
        weighs: what the weights act on.
        top1: published linear top-1 on ImageNet, per cent, in the UOTA paper's table; None: not in it.
        views: preset of views for large images, the paper's.
        small_views: preset of small views by channels, where those for any method do not do.
        options: of `build`, where they differ from its defaults.
        small: options for views of up to 64 pixels; the paper's are for ImageNet.
        encoder: makes the encoder from a backbone's name, the number of channels and the size of the largest view.
        needs_labels: it learns from labels.
        memory: name of the option that turns on a memory of every image, for which the method must know their number;
            "": it has none.
        sync_batch_norm: published with batch statistics over all devices, not with those of each.
    """

    build: Callable[..., Any]
    title: str
    paper: str = ""
    year: int | None = None
    weighs: str = "the predicting view"
    top1: float | None = None
    views: str = "swav"
    options: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    small_views: dict[int, str] = field(default_factory=dict)
    encoder: Callable[[str, int, int], nn.Module] = Encoder
    needs_labels: bool = False
    memory: str = ""
    sync_batch_norm: bool = True

    def remembers(self, options: dict[str, Any]) -> bool:
        """Whether the method with these options keeps a memory of every image."""
        return options.get(self.memory) is not None
