"""Schedules: pure functions of the step, so that a resumed run cannot differ."""

import math

from uota.config import Pretrain


def learning_rate(step: int, total: int, settings: Pretrain, arbitration_start: float = 0.0) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to `final_learning_rate`, or a tenth after each of `drops`.

    Times `late_factor` from the step at which arbitration starts (the whole run, if it starts at 0).
    """
    top, final = settings.learning_rate, settings.final_learning_rate
    if step < settings.warmup_steps:
        return top * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(total - settings.warmup_steps, 1)
    if step >= arbitration_start * total:
        top *= settings.late_factor
    if settings.drops:
        return top / 10 ** sum(step >= drop * total for drop in settings.drops)
    return final + (top - final) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
