import torch

from uota.inspection.analysis.ranking import rank_images


def test_images_are_ranked_by_their_worst_view_that_shows_something(table_of, parameters):
    random = torch.Generator().manual_seed(0)
    probability = torch.rand(6, 400, generator=random).double()
    table = table_of(probability, parameters)
    assert rank_images(table).tolist() == probability.max(0).values.argsort(descending=True).tolist()
    table.shows_nothing[:, 7] = True
    table.shows_nothing[2] = True
    counted = probability.masked_fill(table.shows_nothing, -1)
    ranking = rank_images(table).tolist()
    assert ranking == counted.max(0).values.argsort(descending=True).tolist()
    assert ranking[-1] == 7


def test_scores_break_ties_of_probabilities_and_rank_alone_if_nothing_was_found(table_of, parameters):
    table = table_of(torch.ones(6, 400).double(), parameters)
    scores = torch.rand(6, 400, generator=torch.Generator().manual_seed(1)).double()
    object.__setattr__(table.verdicts["learned"], "scores", scores)
    expected = scores.min(0).values.argsort().tolist()
    assert rank_images(table).tolist() == rank_images(table, by_probability=False).tolist() == expected
