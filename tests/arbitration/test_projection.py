import torch
from torch.nn.functional import normalize

from uota.arbitration.projection import Projection, fit_projection


def parts(images=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    things = torch.randn(images, 6, generator=generator)
    wide = torch.cat([things, torch.zeros(images, 2)], 1) + 5
    return [
        wide + 0.5 * torch.randn(4, images, 8, generator=generator),
        things + torch.randn(4, images, 6, generator=generator),
    ]


def test_parts_are_centred_and_weigh_the_same():
    made = parts()
    z = fit_projection(made, 0)(made)
    centred = [normalize(part - part.mean((0, 1)), dim=-1) for part in made]
    torch.testing.assert_close(z, torch.cat(centred, -1) / 2**0.5, rtol=1e-4, atol=1e-5)


def test_a_head_starts_from_the_identity():
    made = parts()
    means = [part.mean((0, 1)) for part in made]
    torch.testing.assert_close(Projection(means, 16)(made), Projection(means)(made))


def test_a_trained_head_brings_the_views_of_an_image_together():
    made, unseen = parts(), parts(seed=1)
    before, after = fit_projection(made, 0), fit_projection(made, 60)

    def margin(projection):
        z = projection(unseen)
        cosines = torch.einsum("vid,wjd->vwij", z, z)
        own = cosines.diagonal(dim1=2, dim2=3).mean()
        return float(own - cosines.mean())

    assert margin(after) > margin(before) + 0.01
    assert not any(parameter.requires_grad for parameter in after.parameters())


def test_the_same_seed_gives_the_same_head_and_leaves_the_global_seed_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second, other = (fit_projection(parts(), 3, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.head[0].weight, other.head[0].weight)
