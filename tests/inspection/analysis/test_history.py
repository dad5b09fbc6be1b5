import json

import pytest

from uota.errors import UotaError
from uota.inspection.analysis.history import read_history
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain


def test_logs_of_all_resumptions_are_merged(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(Pretrain.from_flat(seed=4).as_dict()))
    first, second = (tmp_path / f"logs/version_{number}" for number in (2, 10))
    for folder in (first, second):
        folder.mkdir(parents=True)
    (first / "metrics.csv").write_text("epoch,ess,loss,step,step_loss\n0,,,0,5\n0,0.9,5,1,\n1,0.8,4,3,\n")
    (second / "metrics.csv").write_text("epoch,loss,step\n1,3.5,3\n2,3,5\n")
    history = read_history(Run(tmp_path))
    assert history.curves == {"loss": [(1, 5), (2, 3.5), (3, 3)], "ess": [(1, 0.9), (2, 0.8)]}
    assert "seed 4" in history.about


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UotaError, match=r"no settings\.json"):
        read_history(Run(tmp_path))
