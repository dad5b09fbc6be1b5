import torch
import torch.distributed as dist
from tests.processes import run_on_ranks
from torch import nn

from uota.encoders.sync_batchnorm import with_sync_batch_norm

SHAPES = [(2, 3, 4, 4), (1, 3, 6, 2)]


def rows(x):
    return x.transpose(0, 1).flatten(1).T


def images():
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in SHAPES]


def on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    norm = with_sync_batch_norm(nn.BatchNorm2d(3)).double()
    x = images()[rank].requires_grad_()
    out = norm(x)
    out.pow(3).sum().backward()
    torch.save([rows(out.detach()), rows(x.grad), norm.running_mean, norm.running_var], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_with_images_of_different_sizes_are_normalised_as_one(tmp_path):
    run_on_ranks(on_a_rank, str(tmp_path))
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    norm = nn.BatchNorm1d(3).double()
    x = torch.cat([rows(each) for each in images()]).requires_grad_()
    out = norm(x)
    out.pow(3).sum().backward()
    for place, whole in enumerate((out.detach(), x.grad)):
        torch.testing.assert_close(torch.cat([part[place] for part in both]), whole)
    for part in both:
        torch.testing.assert_close(part[2], norm.running_mean)
        torch.testing.assert_close(part[3], norm.running_var)


def test_frozen_parameters_stay_frozen():
    norm = nn.BatchNorm1d(3)
    norm.bias.requires_grad_(False)
    made = with_sync_batch_norm(nn.Sequential(norm))[0]
    assert made.weight.requires_grad
    assert not made.bias.requires_grad
