"""Schedules: pure functions of the step, so that a resumed run cannot differ."""

import math

from uota.settings.pretrain import Pretrain


def learning_rate(step: int, total: int, settings: Pretrain, arbitration_start: float = 0.0) -> float:
    """The learning rate of a step: linear warm-up, then either a cosine to `final_learning_rate` or `drops`.

    Each drop divides the rate by 10. From the start of arbitration on (the whole run, if that is 0) the peak is
    multiplied by `late_factor`. With `rate_per` epoch, all steps of an epoch have the rate of its first step; with
    epoch_end, that of the step after its last. The warm-up changes with every step in any case: by epoch, the first
    epoch would have a rate of 0.

    Args:
        step: number of steps done before this one.
        total: number of steps of the whole run, a multiple of its number of epochs.
        settings: of the run.
        arbitration_start: share of training after which views are weighed.
    """
    rates = settings.optimization
    top, final = rates.learning_rate, rates.final_learning_rate
    if step < rates.warmup_steps:
        return top * step / rates.warmup_steps
    epoch = total // rates.epochs
    if rates.rate_per != "step":
        step -= step % epoch
    if rates.rate_per == "epoch_end":
        step += epoch
    if step >= arbitration_start * total:
        top *= rates.late_factor
    if rates.drops:
        unit = 1 if rates.rate_per == "step" else epoch
        return top / 10 ** sum(step >= round(drop * total / unit) * unit for drop in rates.drops)
    done = (step - rates.warmup_steps) / max(total - rates.warmup_steps, 1)
    return final + (top - final) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
