import torch

from uota.data import TensorSource
from uota.inspection.analysis.quality import PROBLEMS, find_flaws
from uota.inspection.page.quality import quality_data


def test_rows_are_grouped_by_problem_and_refer_to_their_pictures():
    pixels = torch.randint(0, 256, (5, 3, 40, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[4] = pixels[1]
    pixels[2] = 200
    data = quality_data(find_flaws(TensorSource("made", pixels), bar=False))
    problems = {problem["key"]: problem for problem in data["problems"]}
    assert list(problems) == list(PROBLEMS)
    assert problems["exact_duplicate"]["rows"] == [["1", 2.0, 0, 0], ["4", 2.0, 0, 2]]
    assert problems["empty"]["rows"] == [["2", 0.0, None, 1]]
    assert (problems["exact_duplicate"]["pictures"], problems["exact_duplicate"]["groups"]) == (2, 1)
    assert data["images"][0] == data["images"][2] != data["images"][1]
    assert data["checked"] == 5
