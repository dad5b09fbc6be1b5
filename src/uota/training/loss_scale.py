"""What half precision needs besides Lightning's scaler of the loss."""

import pytorch_lightning as pl
from torch.amp import GradScaler
from torch.optim import Optimizer

from uota.errors import UotaError
from uota.training.divergence import READ_EVERY
from uota.training.module import Pretraining

# Where the loss is not even multiplied, a gradient that overflows is above 65,504 itself.
LEAST_SCALE = 1.0


class LossScale(pl.Callback):
    """Watches the scale of the loss; without a scaler it does nothing.

    A step whose gradients overflow changes no weights and halves the scale. It counts as a step, since rates are
    functions of the step, and its embeddings enter queues and memories like any other's, as they are finite. If
    gradients overflow again and again, no step trains, while loss and embeddings stay finite.
    """

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """Read the scale every `READ_EVERY` steps, which waits for the device.

        Raises:
            UotaError: gradients overflow whatever the scale.
        """
        scaler = _scaler_of(trainer)
        if scaler is not None and trainer.global_step % READ_EVERY == 0 and scaler.get_scale() < LEAST_SCALE:
            raise UotaError(
                f"gradients overflow half precision at step {trainer.global_step}, at any scale of the loss: the "
                "training has diverged; lower learning_rate, or use precision bf16; earlier checkpoints are intact"
            )

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer) -> None:
        """Divide the gradients by the scale before a method changes them, where a fused optimiser would do so later."""
        scaler = _scaler_of(trainer)
        is_late = getattr(optimizer, "_step_supports_amp_scaling", False)
        if scaler is not None and is_late and isinstance(module, Pretraining) and module.changes_gradients:
            scaler.unscale_(optimizer)


def _scaler_of(trainer: pl.Trainer) -> GradScaler | None:
    return getattr(trainer.precision_plugin, "scaler", None)
