import pytest
import torch

from uota.errors import UotaError
from uota.evaluation.finetune import evaluate_finetune
from uota.settings.evaluation import Finetune

SHORT = {
    "epochs": 5,
    "batch_size": 16,
    "learning_rate": 0.1,
    "head_learning_rate": 1.0,
    "workers": 0,
    "accelerator": "cpu",
}


def test_the_whole_network_is_trained_on_a_subset_chosen_by_the_seed(subject):
    given, settings = subject(), Finetune(labels="10%", **SHORT)
    before = {key: tensor.clone() for key, tensor in given.encoder.state_dict().items()}
    found = evaluate_finetune(given, settings, bar=False)
    after = given.encoder.state_dict()
    assert (found.images, found.labels, found.top5) == (8, "10%", 100.0)
    for key in ("backbone.stem.0.weight", "backbone.stages.3.bn2.running_mean"):
        assert not torch.equal(before[key], after[key])
    again, other = subject(), subject()
    assert evaluate_finetune(again, settings, bar=False) == found
    assert torch.equal(again.encoder.backbone.stem[0].weight, after["backbone.stem.0.weight"])
    evaluate_finetune(other, Finetune(labels="10%", **SHORT, seed=1), bar=False)
    assert not torch.equal(other.encoder.backbone.stem[0].weight, after["backbone.stem.0.weight"])


def test_crops_may_become_numbers_on_the_device(subject):
    """The device is the CPU here; `test_device_views` shows that it is left the rest."""
    encoders = []
    for where in ("cpu", "device"):
        given = subject()
        evaluate_finetune(given, Finetune(labels="10%", **SHORT, views_on=where), bar=False)
        encoders.append(given.encoder.state_dict())
    for name, values in encoders[0].items():
        torch.testing.assert_close(encoders[1][name], values, atol=1e-3, rtol=1e-3)


def test_accuracy_with_all_labels_is_above_chance(subject):
    found = evaluate_finetune(subject(), Finetune(labels="100%", **SHORT | {"epochs": 10}), bar=False)
    assert found.images == 64
    assert found.top1 > 50


def test_default_learning_rates_are_those_of_swav():
    assert Finetune(labels="1%").rates() == (0.02, 5.0)
    assert Finetune(labels="10%", learning_rate=0.3).rates() == (0.3, 0.2)
    with pytest.raises(UotaError, match="drops"):
        Finetune(drops=[1.5])
