import numpy as np

from uota.inspection.analysis.resampling import RESAMPLES, resampled_images


def test_resampled_images_are_drawn_with_replacement():
    drawn = resampled_images(50, 0)
    assert drawn.shape == (RESAMPLES, 50)
    assert (drawn.sum(1) == 50).all()
    # Of a multinomial distribution with equal probabilities: variance 1 - 1/n.
    np.testing.assert_allclose(drawn.var(), 1 - 1 / 50, rtol=0.05)
