"""A training that diverges ends with the step at which it did, and leaves no checkpoint of what followed."""

import pytest
import torch

from uota.errors import UotaError
from uota.runs.run import Run
from uota.training.divergence import Divergence
from uota.training.pretrain import pretrain


def test_the_first_step_is_named_whatever_was_broken():
    found, whole = Divergence(), torch.ones(3)
    found.require_none()
    for step in range(8):
        found.watch(whole * (float("inf") if step in (5, 7) else 1), "embeddings", step)
        found.watch(whole.sum() * (float("nan") if step == 4 else 1), "loss", step)
        if step < 4:
            found.require_none()
    with pytest.raises(UotaError, match="NaN or infinite loss at step 4: the training has diverged"):
        found.require_none()


@pytest.mark.parametrize(("every", "kept"), [(1, 2), (100, None)])
def test_a_diverged_training_stops_and_no_checkpoint_has_nan(small, tmp_path, every, kept):
    """The rate is 0 in the first step and enormous in the next, so that the third one has NaN."""
    settings = small(epochs=None, steps=14, learning_rate=1e30, checkpoint_every=every)
    with pytest.raises(UotaError, match="at step 2: the training has diverged"):
        pretrain(settings, tmp_path / "run", bar=False, lines=False)
    run = Run(tmp_path / "run")
    assert run.checkpoint.exists() == (kept is not None)
    if kept is not None:
        state = run.state()
        assert state["global_step"] == kept
        assert all(bool(x.isfinite().all()) for x in state["state_dict"].values() if torch.is_tensor(x))
