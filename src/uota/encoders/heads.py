"""The projectors and predictors of methods: multi-layer perceptrons on the features of an encoder."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them, and batch norm where a paper has it.

    Args:
        widths: of the input, of each hidden layer and of the output.
        batch_norm: whether each hidden layer is normalised, before its ReLU.
        last_norm: what normalises the output; None: nothing.
        bias: whether linear layers have biases; None: those that no norm follows, as a norm subtracts the bias again.
    """

    def __init__(
        self, *widths: int, batch_norm: bool = True, last_norm: nn.Module | None = None, bias: bool | None = None
    ) -> None:
        super().__init__()
        norms = [nn.BatchNorm1d(width) if batch_norm else None for width in widths[1:-1]]
        layers: list[nn.Module] = []
        for (inputs, outputs), norm in zip(pairwise(widths), [*norms, last_norm], strict=True):
            layers.append(nn.Linear(inputs, outputs, bias=norm is None if bias is None else bias))
            layers += [nn.ReLU()] if norm is None else [norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return self.layers(x)
