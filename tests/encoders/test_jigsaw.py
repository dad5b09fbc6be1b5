import torch

from uota.encoders.jigsaw import JigsawHead, pieces

BATCH = 40


def positions(size=255):
    """Views whose pixels hold their own position: row in the first channel, column in the second."""
    line = torch.arange(float(size))
    grid = torch.stack([line[:, None].expand(size, size), line.expand(size, size)])
    return grid.expand(2, BATCH, 2, size, size)


def test_pieces_are_cut_within_the_nine_cells():
    found = pieces(positions(), number=3)
    assert found.shape == (2, BATCH, 9, 2, 64, 64)  # as in the released code: crops of 64 from cells of 85
    corner = found[..., 0, 0]
    torch.testing.assert_close(found - corner[..., None, None], positions(64)[:, :, None].expand_as(found))
    cell, within = corner // 85, corner % 85
    assert (3 * cell[..., 0] + cell[..., 1]).sort(-1).values.unique(dim=1)[0, 0].tolist() == list(range(9))
    assert within.unique().tolist() == list(range(22))


def test_each_view_of_each_image_has_its_own_order_and_cuts():
    corner = pieces(positions(), number=3)[..., 0, 0].flatten(0, 1)
    assert len((corner // 85).unique(dim=0)) == 2 * BATCH
    assert not torch.equal(corner, pieces(positions(), number=4)[..., 0, 0].flatten(0, 1))


def test_pieces_depend_on_the_position_in_the_global_batch(monkeypatch):
    whole = pieces(positions(), number=3)
    monkeypatch.setattr("uota.encoders.jigsaw.share_of_rows", lambda x: (BATCH - 7, BATCH))
    torch.testing.assert_close(pieces(positions()[:, :7], number=3), whole[:, -7:])


def test_the_head_projects_each_piece_and_then_all_nine_in_order():
    torch.manual_seed(0)
    head, features = JigsawHead(5, 6, 4), torch.randn(2, 3, 9, 5)
    first, _, second = head.piece.layers
    rows = torch.relu(features @ first.weight.T + first.bias) @ second.weight.T + second.bias
    expected = rows.reshape(2, 3, 36) @ head.join.weight.T + head.join.bias
    torch.testing.assert_close(head(features), expected)
