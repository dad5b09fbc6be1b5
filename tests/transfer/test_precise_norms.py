import torch
from torch import nn

from uota.encoders.sync_batchnorm import SyncBatchNorm
from uota.settings.evaluation import EncoderSpec
from uota.training.batches import GlobalBatches
from uota.transfer.module import Detection
from uota.transfer.precise_norms import batches_from, measure_moments
from uota.transfer.transfer import transfer


def test_moments_are_means_over_batches():
    """They are not running averages; each batch contributes its unbiased variance, as in batch norm."""
    first, second = nn.BatchNorm2d(3).double(), SyncBatchNorm(3).double()
    batches = [torch.randn(rows, 3, 5, 5).double() for rows in (2, 5, 3)]
    with torch.no_grad():
        maps = [first(batch) * 2 + 1 for batch in batches]  # this pass also updates the running moments
        measure_moments([first, second], lambda batch: second(first(batch) * 2 + 1), batches)
    assert (first.momentum, second.momentum) == (0.1, 0.1)
    for norm, inputs in ((first, batches), (second, maps)):
        rows = [each.transpose(0, 1).flatten(1) for each in inputs]
        torch.testing.assert_close(norm.running_mean, sum(each.mean(1) for each in rows) / 3)
        torch.testing.assert_close(norm.running_var, sum(each.var(1) for each in rows) / 3)


def test_a_transfer_is_evaluated_with_measured_moments(weights, short, tmp_path, monkeypatch):
    """Evaluation uses the checkpoint's weights, but none of its running moments."""
    seen = {}

    def test_step(module, batch, index):
        assert not any(each.training for each in module.modules())
        seen.update({name: each.clone() for name, each in module.state_dict().items()})

    monkeypatch.setattr(Detection, "test_step", test_step)
    transfer("detection", EncoderSpec(str(weights)), short(steps=3), str(tmp_path / "out"), bar=False)
    saved = torch.load(tmp_path / "out/checkpoint.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    moments = [name for name in saved if "running" in name]
    assert len(moments) == 2 * (4 + 2 * 3 + 12)  # box head, pyramid, encoder
    assert not any(torch.equal(saved[name], seen[name]) for name in moments)
    assert all(torch.equal(saved[name], seen[name]) for name in saved.keys() - moments)


def test_norms_in_evaluation_mode_do_not_change():
    norms = [nn.BatchNorm2d(2), nn.BatchNorm2d(2).eval()]
    norms[1].running_mean.fill_(3)
    network = nn.Sequential(*norms)
    measure_moments(norms, network, [torch.randn(4, 2, 3, 3) + 5])
    assert norms[0].running_mean.mean() > 4
    assert norms[1].running_mean.tolist() == [3, 3]
    assert not norms[1].training


def test_batches_are_those_with_which_training_would_have_continued():
    def by_steps(first, count, rank):
        return [next(iter(GlobalBatches(10, 4, 7, rank, 2, lambda s=s: s))) for s in range(first, first + count)]

    for rank in (0, 1):
        for first, count in ((5, 6), (4, 1), (2, 2), (0, 5)):
            assert batches_from(first, count, 10, 4, 7, rank, 2) == by_steps(first, count, rank)
