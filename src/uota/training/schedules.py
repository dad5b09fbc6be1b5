"""Schedules: pure functions of the step, so that a resumed run cannot differ."""

import math

from uota.config import Pretrain


def learning_rate(step: int, total: int, settings: Pretrain, arbitration_start: float = 0.0) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to `final_learning_rate`, or a tenth after each of `drops`.

    Times `late_factor` from the step at which arbitration starts (the whole run, if it starts at 0). With `rate_per`
    epoch, an epoch has the rate of its first step throughout; with epoch_end, that of the step after its last. The
    warm-up moves every step in any case: by epoch, nothing would be learned in the first.

    Args:
        step: done before this one, of `total`.
        total: of the whole run, a multiple of the number of epochs.
        settings: of the run.
        arbitration_start: share of training.
    """
    top, final = settings.learning_rate, settings.final_learning_rate
    if step < settings.warmup_steps:
        return top * step / settings.warmup_steps
    epoch = total // settings.epochs
    if settings.rate_per != "step":
        step -= step % epoch
    if settings.rate_per == "epoch_end":
        step += epoch
    if step >= arbitration_start * total:
        top *= settings.late_factor
    if settings.drops:
        unit = 1 if settings.rate_per == "step" else epoch
        return top / 10 ** sum(step >= round(drop * total / unit) * unit for drop in settings.drops)
    done = (step - settings.warmup_steps) / max(total - settings.warmup_steps, 1)
    return final + (top - final) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
