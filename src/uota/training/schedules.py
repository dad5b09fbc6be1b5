"""Schedules: pure functions of the step, so that a resumed run cannot differ."""

import math

from uota.settings.pretrain import OptimizationSettings, Pretrain


def learning_rate(
    step: int, total: int, settings: Pretrain, arbitration_start: float = 0.0, epoch_steps: int = 1
) -> float:
    """The learning rate of a step: linear warm-up, then either a cosine to `final_learning_rate` or `drops`.

    Each drop divides the rate by 10. From the start of arbitration on (the whole run, if that is 0) the peak is
    multiplied by `late_factor`. With `rate_per` epoch, all steps of an epoch have the rate of its first step; with
    epoch_end, that of the step after its last. The warm-up changes with every step in any case: by epoch, the first
    epoch would have a rate of 0.

    An epoch is a pass over the images, of which the last one of a run may end early. By epoch, each drop is moved to
    the nearest start of an epoch, but not to the first step.

    Args:
        step: number of steps done before this one.
        total: number of steps of the whole run.
        settings: of the run.
        arbitration_start: share of training after which views are weighed.
        epoch_steps: number of steps of an epoch; only `rate_per` epoch and epoch_end depend on it.
    """
    rates = settings.optimization
    top, final = rates.peak, rates.final_learning_rate
    warmup = warmup_steps(rates, total)
    if step < warmup:
        return top * step / warmup
    unit = 1 if rates.rate_per == "step" else epoch_steps
    step -= step % unit
    if rates.rate_per == "epoch_end":
        step += unit
    if step >= arbitration_start * total:
        top *= rates.late_factor
    if rates.drops:
        return top / 10 ** sum(step >= max(round(drop * total / unit), 1) * unit for drop in rates.drops)
    done = (step - warmup) / max(total - warmup, 1)
    return final + (top - final) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2


def warmup_steps(rates: OptimizationSettings, total: int) -> int:
    """Number of steps of the warm-up: `warmup_steps`, or else the share `warmup` of all steps."""
    return round(rates.warmup * total) if rates.warmup_steps is None else rates.warmup_steps
