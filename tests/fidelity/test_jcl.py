"""JCL compared with caiqi/Joint-Contrastive-Learning: main_moco.py, moco_unlimit_key_default.py, main_pretrain.sh."""

import pytest
import torch
from tests.fidelity.driver import BATCH, assert_same, batches, shortened, train
from tests.fidelity.momentum_contrast import DIM, EPOCHS, Released, cosine, first_is_right, small_method

from uota.methods import JCL
from uota.recipes import recipe

NAME, TEMPERATURE, KEYS = "jcl_imagenet", 0.2, 4


def test_thirty_steps_equal_the_reference(tmp_path):
    assert recipe(NAME).method.options["ramp"] == recipe(NAME).optimization.epochs  # λ changes once per epoch
    method, data = small_method(JCL, NAME, ramp=EPOCHS), batches([(1 + KEYS, 12)])
    released, losses = Released(method), []
    recorder = train(method, shortened(NAME, epochs=EPOCHS), data, tmp_path)
    for step, views in enumerate(data):
        epoch = step // 3
        query = released.queries(views.by_size[0][0])
        released.move_key()
        # All keys of half of the images share statistics: every other image in rows (image, key).
        keys = torch.empty(KEYS, BATCH, DIM, dtype=torch.float64)
        for half in (0, 1):
            keys[:, half::2] = keys_of(released, views.by_size[0][1:, half::2])
        mean = keys.mean(0)
        apart = (keys - mean).permute(1, 0, 2)  # image, key, dim
        covariance = apart.transpose(1, 2) @ apart / KEYS * 2.0 * (epoch + 1) / EPOCHS / TEMPERATURE
        towards = (covariance @ query[..., None])[..., 0]
        positive = (query * (mean + 0.5 * towards)).sum(1)
        loss = first_is_right(released.logits(query, positive, TEMPERATURE))
        loss = loss + 0.5 * (query * towards).sum(1).mean() / TEMPERATURE
        released.enqueue(mean)
        released.update(loss, cosine(epoch))
        losses.append(float(loss.detach()))
    assert recorder.losses == pytest.approx(losses, rel=1e-9)
    assert_same(method, released.state())


@torch.no_grad()
def keys_of(released, views):
    rows = released.key["projector"](released.key["encoder"](views.flatten(0, 1)))
    return torch.nn.functional.normalize(rows, dim=1).unflatten(0, views.shape[:2])
