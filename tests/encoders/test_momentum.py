import pytest
import torch
import torch.distributed as dist
from tests.processes import run_on_ranks
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.momentum import MomentumCopy
from uota.encoders.sync_batchnorm import with_sync_batch_norm


def make(ghost_batches=1):
    torch.manual_seed(0)
    encoder, projector = Encoder("tiny", 1, 28), nn.Linear(128, 4)
    return encoder, projector, MomentumCopy(encoder, projector, ghost_batches)


def test_updates_equal_those_computed_by_hand():
    encoder, projector, copy = make()
    start = projector.weight.detach().clone()
    with torch.no_grad():
        projector.weight.add_(1)
        encoder.backbone.stem[0].weight.mul_(3)
    before = copy.encoder.backbone.stem[0].weight.clone()
    for _ in range(2):
        copy.follow(encoder, projector, 0.9)
    torch.testing.assert_close(copy.projector.weight, start + 1 - 0.81)
    torch.testing.assert_close(copy.encoder.backbone.stem[0].weight, before * (0.81 + 0.19 * 3))


def test_it_requires_no_gradient_and_passes_none_on():
    encoder, _, copy = make()
    assert not any(p.requires_grad for p in copy.parameters())
    assert not copy(torch.randn(2, 4, 1, 16, 16)).requires_grad
    assert all(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize("ghost_batches", [1, 2])
def test_ghost_batches_have_separate_batch_statistics(ghost_batches):
    encoder, projector, copy = make(ghost_batches)
    views = torch.randn(2, 6, 1, 16, 16)
    found = copy(views)
    for part in range(ghost_batches):
        alone = views[:, part::ghost_batches].flatten(0, 1)
        expected = projector(encoder(alone)).unflatten(0, (2, 6 // ghost_batches))
        torch.testing.assert_close(found[:, part::ghost_batches], expected.detach())
    assert ghost_batches == 1 or not torch.allclose(found, make()[2](views))


def test_features_and_early_maps_are_reassembled_from_ghost_batches():
    _, _, copy = make(2)
    views = torch.randn(2, 6, 1, 16, 16)
    found = copy.eval().encode(views)
    features, early = copy.encoder.with_early_map(views.flatten(0, 1))
    torch.testing.assert_close(found.features, features.unflatten(0, (2, 6)).detach())
    expected = nn.functional.adaptive_avg_pool2d(early, 4)
    torch.testing.assert_close(found.early, expected.unflatten(0, (2, 6)).detach())


IMAGES = {0: slice(0, 3), 1: slice(3, 7)}  # the seven images, split over two ranks


def seven():
    return torch.randn(2, 7, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def encode_on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    own, over_all = make(2)[2], with_sync_batch_norm(make(2)[2])
    torch.manual_seed(rank)
    views = seven()[:, IMAGES[rank]]
    torch.save([copy.encode(views) for copy in (own, over_all)], f"{folder}/{rank}")
    torch.save(own.state_dict(), f"{folder}/state{rank}")
    dist.destroy_process_group()


def test_devices_with_local_statistics_exchange_images_at_random(tmp_path):
    """As in MoCo, a device encodes as many images as it holds, drawn by the first rank's permutation of all."""
    run_on_ranks(encode_on_a_rank, str(tmp_path))
    found = [torch.load(tmp_path / str(rank), weights_only=False) for rank in IMAGES]
    rows = torch.cat([seven()[:, images].flatten(0, 1) for images in IMAGES.values()])
    torch.manual_seed(0)
    order = torch.randperm(14)
    expected = [torch.empty(14, *part.shape[2:]) for part in found[0][0]]
    for rank, places in enumerate((order[:6], order[6:])):
        alone = make()[2]
        for whole, part in zip(expected, alone.encode(rows[places][None]), strict=True):
            whole[places] = part[0]
        torch.testing.assert_close(torch.load(tmp_path / f"state{rank}"), alone.state_dict())
    for rank, mine in enumerate((slice(0, 6), slice(6, 14))):
        for part, whole in zip(found[rank][0], expected, strict=True):
            torch.testing.assert_close(part.flatten(0, 1), whole[mine])
    # With statistics over all ranks, ghost batches equal those of a single process.
    one = make(2)[2].encode(seven())
    for rank, images in IMAGES.items():
        torch.testing.assert_close(found[rank][1].projected, one.projected[:, images], atol=1e-4, rtol=1e-4)
