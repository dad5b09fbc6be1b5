"""Learned score: the contrast on a small head that is trained on detached features, one step in every call."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import is_
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from uota.arbitration.inputs import check_seed
from uota.arbitration.result import Scores
from uota.arbitration.scores.contrast import Cosines, contrast_scores, cosines, require_positive
from uota.arbitration.state import Compiled, Lock, cast_at_least_float32, in_backward, own_modes
from uota.distributed import mean_over_ranks, part_of_mean
from uota.numerics import at_least_float32, wide

HIDDEN, OUTPUT = 256, 64
# AdamW's running means for each parameter.
MOMENTS = ("exp_avg", "exp_avg_sq")
# Features are scaled down to this, as squares of much larger ones overflow; the first norm removes the scale anyway.
LARGEST = 1e9


class LearnedContrast(nn.Module):
    """Contrast score of a small head's outputs; the head is trained with InfoNCE on detached features.

    View j of image i must pick its own image's centre (j left out) among the centres of all images of all ranks; the
    score is its logit. The head is built in the first call, for the width of the features. In training mode each call
    is one step of AdamW, whatever the caller's grad mode or autocast. The head is not trained in eval mode, nor inside
    a backward pass, where gradient checkpointing repeats calls. Head and optimiser are part of the state dict; they
    follow the features to their device and stay in float32 or float64. Outside a call the head's parameters do not
    require gradients, so that the caller's optimiser and DistributedDataParallel ignore them.

    Args:
        temperature: temperature of InfoNCE and of the contrast.
        learning_rate, weight_decay: settings of AdamW.
        seed: seed of the head's initial weights, which are the same on every rank.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_positive(temperature=temperature, learning_rate=learning_rate)
        self.temperature = temperature
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = check_seed(seed)
        self.head: nn.Sequential | None = None
        self.optimizer: torch.optim.AdamW | None = None
        self._lock = Lock()
        self._objective: Callable[..., tuple[Cosines, Tensor]] = objective
        self.register_load_state_dict_pre_hook(_fit_head_to_state)
        self.register_load_state_dict_post_hook(_keep_training_the_head)

    def __call__(self, features: Float[Tensor, "views batch dim"]) -> Scores:
        return super().__call__(features)

    def forward(self, features: Float[Tensor, "views batch dim"]) -> Scores:
        """Score views by the head as it was before the training step of this call.

        Raises:
            ValueError: features have another width than before, or the head's parameters have been replaced.
        """
        with own_modes(features.device):
            return self.judge(self.compare(features))

    def compare(self, features: Float[Tensor, "views batch dim"]) -> Cosines:
        """Compare the head's outputs and, in training mode, train it: the part of a call that has a state."""
        with own_modes(features.device):
            features = at_least_float32(features.detach())
            features = features / (features.abs().amax(-1, keepdim=True) / LARGEST).clamp_min(1)
            with self._lock:
                return self._compare(features)

    def judge(self, cosines: Cosines) -> Scores:
        """Score views by their cosines: the part of a call that has no state."""
        return contrast_scores(cosines, self.temperature)

    def compile(self, **options: Any) -> None:
        """Compile the head's loss, in place; the optimiser's step stays outside.

        Args:
            options: of `torch.compile`.
        """
        self._objective = Compiled(objective, options)

    @torch.no_grad()
    def embed(self, features: Float[Tensor, "views batch dim"]) -> Float[Tensor, "views batch out"]:
        """Embed features as unit vectors, without training the head.

        Raises:
            ValueError: the arbiter has not been called yet, so that it has no head.
        """
        if self.head is None:
            raise ValueError("the arbiter has no head before its first call; call it with a batch first")
        return normalize(self.head(at_least_float32(features).to(self.head.get_parameter("0.weight"))), dim=-1)

    @property
    def width(self) -> int | None:
        """Width of the features that the head was made for; None before the first call."""
        return None if self.head is None else int(self.head.get_parameter("0.weight").shape[0])

    def _compare(self, features: Tensor) -> Cosines:
        if self.head is None:
            self._make_head(features.shape[-1], features)
        head, parameters = self._ready(features)
        if features.shape[-1] != self.width:
            raise ValueError(
                f"the arbiter learned on features of width {self.width} and was given width {features.shape[-1]}; "
                "use one arbiter per kind of feature"
            )
        features = features.to(parameters[0])
        if self.training and not in_backward():
            return self._learn(head, parameters, features)
        return cosines(normalize(head(features), dim=-1))

    def _learn(self, head: nn.Sequential, parameters: list[nn.Parameter], features: Tensor) -> Cosines:
        assert self.optimizer is not None
        with _trainable(parameters):
            found, loss = self._objective(head, features, self.temperature)
            if found.images.shape[-1] > 1:
                gradients = mean_over_ranks(*torch.autograd.grad(loss, parameters))
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        return Cosines(*(x.detach() for x in found))

    def _ready(self, features: Tensor) -> tuple[nn.Sequential, list[nn.Parameter]]:
        """Return the head and its parameters on the features' device, repaired after casts and copies."""
        assert self.head is not None
        parameters = list(self.head.parameters())
        if not self._trains(parameters):
            raise ValueError(
                "the parameters of the arbiter's head have been replaced, as FullyShardedDataParallel and "
                "torch.func.functional_call do; wrap the model with ignored_modules=[arbiter] (fully_shard: "
                "ignored_params), or keep the arbiter outside the model"
            )
        first = parameters[0]
        if first.is_meta:
            raise ValueError(
                "the arbiter is on the meta device, where its head has no values; make a new Arbiter and load its state"
            )
        if any(parameter.is_inference() for parameter in parameters):
            self._renew_parameters()
        if first.device != features.device or first.dtype != wide(first.dtype):
            self.to(features.device, wide(first.dtype))
        assert self.optimizer is not None
        parameters = self.optimizer.param_groups[0]["params"]
        if not self._moments_fit(parameters[0]):
            self._make_optimizer(self.get_extra_state())
        return self.head, parameters

    def _trains(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are the very parameters that the optimiser trains."""
        trained = self.optimizer.param_groups[0]["params"] if self.optimizer is not None else []
        return len(parameters) == len(trained) and all(map(is_, parameters, trained))

    def _moments_fit(self, parameter: nn.Parameter) -> bool:
        """Whether the optimiser's running means, if any, match the dtype and device of this parameter."""
        assert self.optimizer is not None
        moment = self.optimizer.state[parameter].get("exp_avg") if parameter in self.optimizer.state else None
        if moment is None:
            return True
        return moment.dtype == parameter.dtype and moment.device == parameter.device and not moment.is_inference()

    def _make_head(self, width: int, like: Tensor) -> None:
        with torch.inference_mode(False):
            head = new_head(width, self.seed).to(like.device, wide(like.dtype))
        self.head = head.requires_grad_(False)
        self._make_optimizer({})

    def _make_optimizer(self, state: dict[str, Any]) -> None:
        """Build an optimiser for the head's current parameters, with a copy of another optimiser's state."""
        assert self.head is not None
        with torch.inference_mode(False):
            optimizer = torch.optim.AdamW(self.head.parameters(), self.learning_rate, weight_decay=self.weight_decay)
            if state:
                optimizer.load_state_dict(_copied(state))
        self.optimizer = optimizer

    def _renew_parameters(self) -> None:
        """Replace parameters made in inference mode, which cannot be trained, by ordinary ones."""
        assert self.head is not None
        for module in self.head:
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(parameter.clone(), requires_grad=False))
        self._make_optimizer(self.get_extra_state())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "LearnedContrast":
        """Move or cast the head, but not below float32, and its optimiser with it."""
        with self._lock, torch.inference_mode(False):
            own = self.head is not None and self._trains(list(self.head.parameters()))
            super()._apply(cast_at_least_float32(fn), recurse)
            if own:
                self._make_optimizer(self.get_extra_state())
        return self

    def get_extra_state(self) -> dict[str, Any]:
        return {} if self.optimizer is None else self.optimizer.state_dict()

    def set_extra_state(self, state: Any) -> None:
        if state:
            _check_optimizer_state(state, self.head)
            self._make_optimizer(state)


def new_head(width: int, seed: int) -> nn.Sequential:
    """Build a head with PyTorch's default initial weights, without touching the global random state."""
    where: dict[str, Any] = {"device": "meta", "dtype": torch.float32}
    head = nn.Sequential(
        nn.LayerNorm(width, **where),
        nn.Linear(width, HIDDEN, **where),
        nn.LayerNorm(HIDDEN, **where),
        nn.GELU(),
        nn.Linear(HIDDEN, OUTPUT, **where),
    ).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in head:
        if isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
        elif isinstance(layer, nn.Linear):  # as nn.Linear.reset_parameters
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return head


def objective(
    head: nn.Sequential, features: Float[Tensor, "views batch dim"], temperature: float
) -> tuple[Cosines, Float[Tensor, ""]]:
    """Compare the head's outputs, and compute the loss that the head is trained with."""
    found = cosines(normalize(head(features), dim=-1))
    return found, info_nce(found, temperature)


def info_nce(cosines: Cosines, temperature: float) -> Float[Tensor, ""]:
    """Mean cross-entropy of picking a view's own centre among all (van den Oord et al., 2018, equation 4).

    On several ranks this is the rank's part of it (`part_of_mean`).
    """
    own, images, home = cosines
    local = torch.arange(own.shape[1], device=own.device)
    logits = images.index_put((torch.arange(len(own), device=own.device)[:, None], local, home), own)
    return part_of_mean(cross_entropy(logits.flatten(0, 1) / temperature, home.repeat(len(own)), reduction="none"))


@contextmanager
def _trainable(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Let the head's parameters require gradients inside the block only."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


def _fit_head_to_state(module: LearnedContrast, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before a state dict is loaded, give the module a head of the saved width, or none if none was saved.

    The width of a head is that of the features in its first call.

    Raises:
        ValueError: what was saved as a head is not one.
    """
    names = [name for name in state if name.startswith(f"{prefix}head.")]
    if not names:
        if state.get(f"{prefix}_extra_state") == {}:
            module.head, module.optimizer = None, None
        return
    for name in names:
        if reason := _no_parameter(state[name]):
            raise ValueError(f"{name} {reason}; the file is damaged or not of an arbiter, load another")
    weight = state.get(f"{prefix}head.0.weight")
    if weight is not None and module.width != len(weight):
        module._make_head(len(weight), weight)


def _no_parameter(value: object) -> str | None:
    """Say why a value in a state dict cannot be a parameter of the head; None if it can."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return f"is a {value.dtype if isinstance(value, Tensor) else type(value).__name__}, not a tensor of floats"
    if value.dim() not in (1, 2) or value.numel() == 0:
        return f"is of shape {tuple(value.shape)}"
    if value.is_meta:
        return "is on the meta device, where tensors have no values"
    return None if bool(torch.isfinite(value).all()) else "has NaN or infinite entries"


def _check_optimizer_state(state: Any, head: nn.Sequential | None) -> None:
    """Require that an optimiser's state belongs to this head.

    Raises:
        ValueError: there is no head, or its parameters differ.
    """
    shapes = [parameter.shape for parameter in head.parameters()] if head is not None else []
    try:
        (group,) = state["param_groups"]
        moments = [(shapes[number], each[name].shape) for number, each in state["state"].items() for name in MOMENTS]
        fits = len(group["params"]) == len(shapes) > 0 and all(wanted == found for wanted, found in moments)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            "the state of the arbiter's optimiser does not fit its head; "
            "load the whole state dict of one arbiter, its head.* entries included"
        )


def _copied(state: Any) -> Any:
    """Copy a nested state, tensors included, so that two optimisers never update the same ones."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return state


def _keep_training_the_head(module: LearnedContrast, _: Any) -> None:
    """After loading, train the parameters that the head has now, as `load_state_dict(assign=True)` replaces them."""
    if module.head is None or module.optimizer is None:
        return
    parameters = list(module.head.parameters())
    # A wrapper that has taken parameters away leaves another number of them.
    if len(parameters) == len(module.optimizer.param_groups[0]["params"]) and not module._trains(parameters):
        module.head.requires_grad_(False)
        module._make_optimizer(module.get_extra_state())
