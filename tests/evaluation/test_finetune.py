import pytest
import torch

from uota.errors import UotaError
from uota.evaluation.classifier import Sgd
from uota.evaluation.finetune import evaluate_finetune
from uota.protocols import Finetune

SHORT = {
    "epochs": 5,
    "batch_size": 16,
    "learning_rate": 0.1,
    "head_learning_rate": 1.0,
    "workers": 0,
    "accelerator": "cpu",
}


@pytest.mark.parametrize(("labels", "images"), [("10%", 8), ("100%", 64)])
def test_the_whole_network_learns(labels, images, subject):
    given = subject()
    before = {key: tensor.clone() for key, tensor in given.encoder.state_dict().items()}
    found = evaluate_finetune(given, Finetune(labels=labels, smallest_crop=0.5, **SHORT), bar=False)
    after = given.encoder.state_dict()
    assert (found.images, found.labels, found.top5) == (images, labels, 100.0)
    for key in ("backbone.stem.0.weight", "backbone.stages.3.bn2.running_mean"):
        assert not torch.equal(before[key], after[key])
    assert found.top1 > (50 if labels == "100%" else 0)
    assert evaluate_finetune(subject(), Finetune(labels=labels, smallest_crop=0.5, **SHORT), bar=False) == found


def test_rates_are_swavs_and_drop_twice():
    assert Finetune(labels="1%").rates() == (0.02, 5.0)
    assert Finetune(labels="10%", learning_rate=0.3).rates() == (0.3, 0.2)
    sgd = Sgd(100, 0.2, 0.01, 0.0, 0.9, (0.6, 0.8), 0)
    assert [round(sgd.decay(step), 6) for step in (0, 59, 60, 79, 80, 99)] == [1, 1, 0.2, 0.2, 0.04, 0.04]
    with pytest.raises(UotaError, match="drops"):
        Finetune(drops=[1.5])
