"""InfoMin compared with HobbitLong/PyContrast: learning/contrast_trainer.py, networks/util.py, memory/mem_moco.py."""

import math
from copy import deepcopy

import pytest
import torch
from tests.fidelity.driver import assert_same, batches, shortened, train
from tests.fidelity.momentum_contrast import EPOCHS, Released, first_is_right, small_method
from torch.nn.functional import normalize

from uota.encoders.jigsaw import pieces
from uota.methods import InfoMin

NAME, TEMPERATURE = "infomin_imagenet", 0.15


def rate(epoch):
    """Return the learning rate; epochs count from 1, and the cosine ends at a thousandth."""
    return 0.00003 + (0.03 - 0.00003) * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2


def test_thirty_steps_equal_the_reference(tmp_path):
    method, data = small_method(InfoMin, NAME), batches([(2, 12), (1, 12)])
    released, losses = Released(method), []
    recorder = train(method, shortened(NAME, epochs=EPOCHS), data, tmp_path)
    for step, views in enumerate(data):
        (query_view, key_view), (jigsaw_view,) = views.by_size
        key = released.keys(key_view)
        query = released.queries(query_view)
        jigsaw = jigsaws(released.query, pieces(jigsaw_view[None], step)[0])
        branches = [first_is_right(released.logits(each, (each * key).sum(1), TEMPERATURE)) for each in (query, jigsaw)]
        loss = 0.5 * branches[0] + 0.5 * branches[1]
        released.enqueue(key)
        released.update(loss, rate(step // 3 + 1))
        before = deepcopy(released)
        released.move_key()  # after the step; ours updates it before the next step, with the same keys
        losses.append(float(loss.detach()))
    assert recorder.losses == pytest.approx(losses, rel=1e-9)
    assert_same(method, before.state())


def jigsaws(networks, cut):
    """Encode and project each piece, and apply a linear layer to the nine of an image."""
    head = networks["jigsaw_head"]
    rows = head.piece(networks["encoder"](cut.flatten(0, 1)))
    return normalize(head.join(torch.cat(list(rows.unflatten(0, (len(cut), 9)).unbind(1)), 1)), dim=1)
