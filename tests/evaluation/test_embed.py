"""The table of `uota embed`, compared with the encoder and the arbiter of the run."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from uota.commands.cli import main
from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.evaluation import encoder_features
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

COUNT = 30


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A folder of pictures of 40 × 40 pixels in two classes, red and blue; two pictures are half of each colour."""
    folder = tmp_path_factory.mktemp("coloured")
    for number in range(COUNT):
        colours = [(200, 6 * number, 0), (0, 6 * number, 200)]
        image = Image.new("RGB", (40, 40), colours[number % 2])
        image.paste(colours[1 - number % 2], (0, 0, 20 if number < 2 else 4, 40))
        place = folder / ("red", "blue")[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        image.save(place)
    return folder


def a_run(folder, data, arbiter, **settings):
    few = {"views": "small", "epochs": 2, "batch_size": 12, "workers": 0, "threads": 1, "accelerator": "cpu"}
    return pretrain(
        Pretrain.from_flat(data=str(data), arbiter=arbiter, **few, **settings), folder, bar=False, lines=False
    ).folder


@pytest.fixture(scope="module")
def run(coloured, tmp_path_factory):
    return a_run(tmp_path_factory.mktemp("runs") / "learned", coloured, "learned")


def read(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_embeddings_that_are_not_finite_are_an_error(coloured, tmp_path, capsys):
    torch.manual_seed(0)
    state = Encoder("tiny", image_size=32).backbone.state_dict()
    state = {name: 1e30 * value if name.endswith("conv1.weight") else value for name, value in state.items()}
    torch.save(state, tmp_path / "huge.pth")
    command = ["embed", str(tmp_path / "huge.pth"), f"--data={coloured}", f"--out={tmp_path / 'table.csv'}"]
    assert main(command) == 2
    assert "are NaN, infinite or enormous" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()


def test_a_csv_file_has_a_row_for_each_image(run, coloured, tmp_path, capsys):
    assert main(["embed", str(run), f"--out={tmp_path / 'table.csv'}"]) == 0
    assert f"{COUNT} images are in" in capsys.readouterr().out
    rows = read(tmp_path / "table.csv")
    assert {row["image"] for row in rows} == {str(path) for path in coloured.glob("*/*.png")}
    found = load_encoder(EncoderSpec(str(run)))
    for split in ("train", "test"):
        source = open_source(str(coloured), split=split)
        of_split = [row for row in rows if row["split"] == split]
        expected = encoder_features(found.encoder, source, found.preset)
        width = expected.x.shape[1]
        written = [[float(row[f"embedding_{place}"]) for place in range(width)] for row in of_split]
        torch.testing.assert_close(torch.tensor(written), expected.x)
        assert [int(row["label"]) for row in of_split] == expected.labels.tolist()
        assert [row["class"] for row in of_split] == [source.classes[label] for label in expected.labels]
        weights = [float(row["mean_weight"]) for row in of_split]
        assert np.mean(weights) == pytest.approx(1, abs=1e-4)  # all images are in one batch, whose mean weight is 1
        assert all(0 <= float(row["outlier_probability"]) <= 1 for row in of_split)


def test_a_damaged_file_has_no_row(run, coloured, tmp_path, capsys):
    folder = shutil.copytree(coloured, tmp_path / "coloured")
    damaged = folder / "red" / "8.png"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert main(["embed", str(run), f"--data={folder}", f"--out={tmp_path / 'table.csv'}"]) == 0
    assert f"{COUNT - 1} images are in" in capsys.readouterr().out
    assert {row["image"] for row in read(tmp_path / "table.csv")} == {
        str(path) for path in folder.glob("*/*.png") if path != damaged
    }


def test_a_parquet_file_has_the_same_content(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for ending in ("csv", "parquet"):
        assert main(["embed", str(run), f"--out={tmp_path / 'table'}.{ending}"]) == 0
    rows, table = read(tmp_path / "table.csv"), parquet.read_table(tmp_path / "table.parquet").to_pylist()
    for row, other in zip(rows, table, strict=True):
        for name in ("image", "split", "class"):
            assert row[name] == other[name]
        assert int(row["label"]) == other["label"]
        for name in ("mean_weight", "outlier_probability"):
            assert float(row[name]) == pytest.approx(other[name], rel=1e-6)
        numbers = [float(value) for name, value in row.items() if name.startswith("embedding_")]
        np.testing.assert_allclose(numbers, other["embedding"], rtol=1e-6)


def test_the_seed_chooses_the_views(run, tmp_path):
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        assert main(["embed", str(run), f"--seed={seed}", f"--out={tmp_path / name}.csv"]) == 0
    a, b, c = ((tmp_path / f"{name}.csv").read_text() for name in "abc")
    assert a == b
    assert [row["embedding_0"] for row in read(tmp_path / "a.csv")] == [
        row["embedding_0"] for row in read(tmp_path / "c.csv")
    ]
    assert a != c


def test_unlabelled_pictures_are_written_once_and_have_no_verdict_without_an_arbiter(coloured, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted(coloured.glob("red/*.png")):
        (flat / path.name).write_bytes(path.read_bytes())
    run = a_run(tmp_path / "none", flat, "none")
    assert main(["embed", str(run), f"--out={tmp_path / 'table.csv'}"]) == 0
    rows = read(tmp_path / "table.csv")
    assert len({row["image"] for row in rows}) == len(rows) == COUNT // 2
    for row in rows:
        assert [row[name] for name in ("split", "label", "class", "mean_weight", "outlier_probability")] == [
            *("all", "", "", "", "")
        ]


def test_a_run_that_only_samples_is_scored_by_the_arbiter_of_its_sampler(coloured, tmp_path):
    run = a_run(tmp_path / "sampled", coloured, "none", candidates=2)
    assert main(["embed", str(run), f"--out={tmp_path / 'table.csv'}"]) == 0
    rows = read(tmp_path / "table.csv")
    assert np.mean([float(row["mean_weight"]) for row in rows]) == pytest.approx(1, abs=1e-4)
    assert all(0 <= float(row["outlier_probability"]) <= 1 for row in rows)


def test_mistakes_are_reported_in_one_sentence_and_leave_no_file(run, tmp_path, monkeypatch, capsys):
    for arguments, says in [
        ([str(run), f"--out={tmp_path / 'x.txt'}"], "neither a .parquet nor a .csv"),
        ([str(run), "--data=demo", f"--out={tmp_path / 'x.csv'}"], "images of 1 channel"),
        (["nowhere", f"--out={tmp_path / 'x.csv'}"], "nowhere is not a run; give the images with --data"),
    ]:
        assert main(["embed", *arguments]) == 2
        assert says in capsys.readouterr().err
    monkeypatch.setattr("uota.evaluation.embed.find_spec", lambda name: None)
    assert main(["embed", str(run), f"--out={tmp_path / 'x.parquet'}"]) == 2
    assert "uota[parquet]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
