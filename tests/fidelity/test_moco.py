"""MoCo compared with facebookresearch/moco: main_moco.py, moco/builder.py."""

import pytest
from tests.fidelity.driver import assert_same, batches, shortened, train
from tests.fidelity.momentum_contrast import EPOCHS, Released, cosine, first_is_right, small_method
from torch import nn

from uota.methods import JCL, METHODS, InfoMin, MoCo
from uota.recipes import recipe

VERSIONS = {
    "moco_v1_imagenet": (0.07, lambda epoch: 0.03 * (1 if epoch < 6 else 0.1 if epoch < 8 else 0.01)),
    "moco_v2_imagenet": (0.2, cosine),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_thirty_steps_equal_the_reference(name, tmp_path):
    temperature, rate = VERSIONS[name]
    method, data = small_method(MoCo, name), batches([(2, 12)])
    released, losses = Released(method), []
    recorder = train(method, shortened(name, epochs=EPOCHS), data, tmp_path)
    for step, views in enumerate(data):
        query = released.queries(views.by_size[0][0])
        released.move_key()
        key = released.keys(views.by_size[0][1])
        loss = first_is_right(released.logits(query, (query * key).sum(1), temperature))
        released.enqueue(key)
        released.update(loss, rate(step // 3))
        losses.append(float(loss.detach()))
    assert recorder.losses == pytest.approx(losses, rel=1e-9)
    assert_same(method, released.state())


@pytest.mark.parametrize("name", [*VERSIONS, "jcl_imagenet", "infomin_imagenet"])
def test_settings_that_a_short_run_does_not_use_are_as_published(name):
    settings = recipe(name)
    options = settings.method.options
    assert (
        settings.method.backbone,
        settings.optimization.batch_size,
        settings.runtime.devices,
        settings.optimization.epochs,
    ) == ("resnet50", 256, 8, 200)
    assert (options["hidden"], options["dim"]) == (None if "v1" in name else 2048, 128)
    assert (options["queue_length"], options["momentum"], options["ghost_batches"]) == (65536, 0.999, 8)
    assert settings.method.zero_init_last is False
    assert not METHODS[settings.method.name].sync_batch_norm
    assert settings.method.sync_batch_norm is None


@pytest.mark.parametrize(
    ("cls", "name"), [(MoCo, "moco_v2_imagenet"), (JCL, "jcl_imagenet"), (InfoMin, "infomin_imagenet")]
)
def test_heads_are_as_released(cls, name):
    """The trajectories do not test the layers of the head: two with biases, without batch norm."""
    first, rectifier, last = small_method(cls, name).projector.layers
    assert isinstance(rectifier, nn.ReLU)
    assert (type(first), type(last)) == (nn.Linear, nn.Linear)
    assert first.bias is not None
    assert last.bias is not None


def test_the_head_of_the_first_version_is_linear():
    head = small_method(MoCo, "moco_v1_imagenet").projector
    assert type(head) is nn.Linear
    assert head.bias is not None
