"""The protocol of a method, and the card that describes it to the package."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.losses import ViewWeights
from uota.methods.embedded import Embedded, Step


@runtime_checkable
class Method(Protocol):
    """A method as training sees it: an `nn.Module` with these members, which need not be inherited."""

    @property
    def encoder(self) -> nn.Module:
        """Images to features; the part that is evaluated."""
        ...

    @property
    def dim(self) -> int:
        """Width of the projections."""
        ...

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views, of which there is one tensor per size."""
        ...

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Compute the weighted loss of a batch."""
        ...


@runtime_checkable
class BeforeUpdate(Protocol):
    """A method that changes gradients before the optimiser takes its step."""

    def before_update(self, number: int) -> None:
        """Change gradients, such as drop those of what is frozen at first.

        Args:
            number: of steps done before this one.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Card:
    """A row of `uota methods`.

    Attributes:
        build: the method's class.
        title, paper, year: for citation.
        weighs: what the weights act on, for the table of methods.
        top1: linear top-1 on ImageNet in per cent as the UOTA paper's table gives it; None: it is not in the table.
        views: preset of views for large images, the paper's.
        small_views: preset of small views by channels, where the general ones do not fit the method.
        options: of `build` that differ from its defaults.
        small: options for views of up to 96 pixels; the paper's are for ImageNet.
        encoder: makes the encoder from a backbone's name, the number of channels and the size of the largest view.
        needs_labels: whether it learns from labels.
        memory: name of the option that turns on a memory of every image, for which the method must know their number;
            "": it has none.
        sync_batch_norm: whether it was published with batch statistics over all devices instead of those of each.
        trains: whether it trains the encoder at all.
    """

    build: Callable[..., Method]
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
    trains: bool = True

    @property
    def takes_weights(self) -> bool:
        """Whether the encoder is a single plain network, which may start from given weights."""
        return self.encoder is Encoder and self.trains

    def remembers(self, options: dict[str, Any]) -> bool:
        """Whether the method with these options keeps a memory of every image."""
        return options.get(self.memory) is not None
