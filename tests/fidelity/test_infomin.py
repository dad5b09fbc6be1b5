"""Step for step with HobbitLong/PyContrast: learning/contrast_trainer.py, networks/util.py, memory/mem_moco.py."""

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
    """Its epochs count from 1, and its cosine ends at a thousandth."""
    return 0.00003 + (0.03 - 0.00003) * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2


def test_thirty_steps(tmp_path):
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
        released.move_key()  # after the step, where ours moves it before the next: what it encodes is the same
        losses.append(float(loss.detach()))
    assert recorder.losses == pytest.approx(losses, rel=1e-9)
    assert_same(method, before.state())


def jigsaws(networks, cut):
    """Each piece encoded and projected, and a linear layer over the nine of an image."""
    head = networks["jigsaw_head"]
    rows = head.piece(networks["encoder"](cut.flatten(0, 1)))
    return normalize(head.join(torch.cat(list(rows.unflatten(0, (len(cut), 9)).unbind(1)), 1)), dim=1)
