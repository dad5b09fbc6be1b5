"""Batch norm over the batches of all ranks on any device; torch's own works on accelerators only."""

import torch
from torch import Tensor, nn

from uota.distributed import differentiable_sum, world_size
from uota.encoders.norms import replace_batch_norms
from uota.numerics import at_least_float32


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm with the moments of all ranks, which exchange two sums per channel, and gradients of these sums."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm needs (rows, channels, …); this is {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the moments of all ranks in training; in evaluation mode or on a single rank, as torch does."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        x = at_least_float32(input)
        own = x.new_tensor([input.numel() // input.shape[1]])
        # Ranks may hold different numbers of values, since the images of detection differ in size.
        sums, count = differentiable_sum(torch.cat([x.sum(axes), own])).split([input.shape[1], 1])
        mean = sums / count
        shape = (1, -1) + (1,) * (input.dim() - 2)
        variance = differentiable_sum((x - mean.view(shape)).square().sum(axes)) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
        x = (x - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            x = x * self.weight.view(shape) + self.bias.view(shape)
        return x.to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats:
            return
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(variance.to(self.running_var), momentum)


def with_sync_batch_norm(module: nn.Module) -> nn.Module:
    """Replace every plain batch norm of the module, in place, by one over all ranks with the same state."""
    return replace_batch_norms(module, _synchronise)


def _synchronise(norm: nn.modules.batchnorm._BatchNorm) -> SyncBatchNorm:
    new = SyncBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    new.load_state_dict(norm.state_dict())
    for name, parameter in norm.named_parameters():
        new.get_parameter(name).requires_grad_(parameter.requires_grad)
    return new.train(norm.training)
