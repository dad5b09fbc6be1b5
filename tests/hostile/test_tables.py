"""Tables are printed whatever the runs contain, and their cells cannot run anything in the programs that read them."""

import csv
import json
import os
import re
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image
from tests.hostile.conftest import fill

from uota.arbitration import Arbitration
from uota.commands.cli import main
from uota.comparison import FORMATS, as_csv, as_html, as_latex, as_markdown, as_text, compare
from uota.console import printable
from uota.data import open_groups
from uota.data.memory import TensorSource
from uota.errors import UotaError
from uota.inspection.export import write_table
from uota.inspection.table import ViewTable
from uota.io.csv_files import csv_text, write_csv
from uota.membership.api import judge
from uota.membership.inputs.pictures import file_members
from uota.settings.pretrain import Pretrain
from uota.views import PRESETS, ViewPipeline

HUGE = 10**400
KEYS = st.text(max_size=5) | st.sampled_from(
    ["top1", "top5", "ap", "AP50", "boxes", "settings", "data", "encoder", "seed"]
)


@pytest.fixture
def make_run(tmp_path):
    """Write the folder of a run as `pretrain` and `evaluate` do."""

    def make(name, results=None, **settings):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        decided = Pretrain.from_flat(**{"method": "swav", "arbiter": "none", "epochs": 4, "views": "scenes"} | settings)
        (folder / "settings.json").write_text(json.dumps(decided.as_dict()))
        torch.save({"epoch": 4, "global_step": 8, "state_dict": {"a": torch.zeros(1)}}, folder / "checkpoint.ckpt")
        for file, result in (results or {}).items():
            (folder / file).write_text(json.dumps({"data": "demo", "settings": {}} | result))
        return folder

    return make


@pytest.fixture
def fine(make_run):
    return make_run("fine", {"linear.json": {"top1": 60.0}})


# --- unreadable files

RESULTS = {
    "nested deeply": "[" * 100_000,
    "figures nested deeply": '{"boxes":' * 100_000 + "1" + "}" * 100_000,
    "figures nested by hundreds": '{"ap":' * 900 + "1" + "}" * 900,
    "cut": '{"top1": ',
    "empty": "",
    "UTF-16": '{"top1": 50}'.encode("utf-16"),
    "bytes": b"\xff\x00",
    "of 5,000 digits": '{"top1": ' + 5000 * "9" + "}",
    "of another version": '{"accuracy": {"first": 0.5}}',
    "null": "null",
    "a list": "[50.0]",
    "top1 of 1e300": '{"top1": 1e300}',
    "top1 of 1e999": '{"top1": 1e999}',
    "top1 of 10^400": '{"top1": ' + str(HUGE) + "}",
    "top1 of NaN": '{"top1": NaN}',
    "top1 of -1": '{"top1": -1}',
    "top1 of 100.5": '{"top1": 100.5}',
    "top1 of text": '{"top1": "=1+1"}',
    "top1 of a list": '{"top1": [50]}',
    "top1 of true": '{"top1": true}',
    "a good top1 and a broken top5": '{"top1": 50, "top5": "many"}',
    "a broken precision": '{"boxes": {"ap": 1e300}}',
}


def put(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("content", RESULTS.values(), ids=RESULTS.keys())
def test_a_result_that_cannot_be_read_is_named_in_its_row(fine, make_run, content):
    broken = make_run("broken", {"linear.json": {"top1": 50.0}}, seed=1)
    put(broken, "knn.json", content)
    found = compare([fine, broken])
    assert re.search(r"SwAV .*broken/knn.json cannot be read .* 2 +55.0", as_text(found))
    (note,) = found.notes
    assert "knn.json cannot be read and is left out: " in note
    assert len(note) < 600


def test_compare_reports_an_unreadable_result(fine, capsys):
    put(fine, "knn.json", RESULTS["nested deeply"])
    assert main(["compare", str(fine)]) == 0
    said = capsys.readouterr()
    assert "fine/knn.json cannot be read" in said.out
    assert "knn.json cannot be read and is left out: it is nested too deeply" in said.err


def test_other_json_files_are_not_results(fine, capsys):
    put(fine, "own.json", '{"hello": 1}')
    assert main(["compare", str(fine)]) == 0
    assert capsys.readouterr().err == ""


def pipe(file):
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def link_to(target):
    def make(file):
        file.unlink(missing_ok=True)
        file.symlink_to(target)

    return make


def folder(file):
    file.unlink(missing_ok=True)
    file.mkdir()


def huge(file):
    with file.open("wb") as sparse:
        sparse.truncate(2**40)


ODD = {"a pipe": pipe, "a link to a pipe": lambda file: (pipe(file.parent / "p"), link_to("p")(file)),
       "a device": link_to("/dev/zero"), "a folder": folder, "a tebibyte": huge}  # fmt: skip


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_a_result_that_is_a_special_file_is_not_read(fine, make):
    make(fine / "knn.json")
    assert "fine/knn.json cannot be read" in as_text(compare([fine]))


SETTINGS = {
    "nested deeply": "[" * 100_000,
    "cut": '{"method": ',
    "empty": "",
    "UTF-16": "{}".encode("utf-16"),
    "null": "null",
    "a list": "[1]",
    "unknown fields": '{"method": "swav", "colour": 3}',
    "a method of a list": '{"method": ["swav"]}',
    "a seed of text": '{"method": "swav", "seed": "one"}',
    "epochs of null": '{"method": "swav", "epochs": null}',
    "control characters": '{"\\u001b[31mcolour": "\\n\\n"}',
}


def assert_row(folders, name, form="text"):
    """Assert that the broken folder has a row, and that the figures of the other runs are there."""
    shown = FORMATS[form](compare(folders))
    assert "cannot be read" in shown
    assert name in shown.replace("\\_", "_")
    assert "60.0" in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    return shown


@pytest.mark.parametrize("content", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_run_with_broken_settings_has_a_row_with_the_reason(fine, make_run, content):
    broken = make_run("broken")
    put(broken, "settings.json", content)
    assert_row([fine, broken], "broken")


@pytest.mark.parametrize("kind", ["nested deeply", "control characters"])
def test_compare_reports_unreadable_settings(fine, make_run, kind, capsys):
    broken = make_run("broken")
    put(broken, "settings.json", SETTINGS[kind])
    assert main(["compare", str(broken), str(fine)]) == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "left out: " in said.err
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_settings_that_are_a_special_file_are_not_read(fine, make_run, make):
    broken = make_run("broken")
    make(broken / "settings.json")
    assert_row([fine, broken], "broken")


def test_absurd_numbers_of_epochs_still_give_a_row(fine, make_run):
    endless = make_run("endless")
    put(endless, "settings.json", '{"method": "swav", "epochs": ' + str(HUGE) + "}")
    assert "60.0" in as_text(compare([fine, endless]))


CHECKPOINTS = {
    "text": b"no checkpoint",
    "empty": b"",
    "a list": [1, 2],
    "an epoch of text": {"epoch": "four", "global_step": 1, "state_dict": {"a": torch.zeros(1)}},
    "an epoch of a tensor": {"epoch": torch.zeros(3), "global_step": 1, "state_dict": {"a": torch.zeros(1)}},
    "no epoch": {"state_dict": {}},
    "an infinite epoch": {"epoch": float("inf"), "global_step": 1, "state_dict": {"a": torch.zeros(1)}},
}


@pytest.mark.parametrize("content", CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_a_run_with_a_broken_checkpoint_has_a_row_with_the_reason(fine, make_run, content):
    broken = make_run("broken", {"linear.json": {"top1": 70.0}})
    file = broken / "checkpoint.ckpt"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    assert_row([fine, broken], "broken")


@pytest.mark.parametrize("form", FORMATS)
def test_every_output_format_has_a_row_for_a_broken_run(form, fine, make_run):
    broken = make_run("bro_ken")
    put(broken, "settings.json", "{")
    assert_row([fine, broken], "bro_ken", form)
    rows = compare([broken, fine]).records()
    assert [row["linear top-1"] for row in rows] == [60.0, None]
    assert rows[1]["method"] == str(broken)
    assert "cannot be read" in rows[1]["settings"]


FOLDERS = {"nowhere": "nowhere", "control characters": "a\nb\x1b[31m", "5,000 characters": "n" * 5000, "a NUL": "a\0b",
           "a file": "file", "a link to itself": "loop", "an empty folder": "empty"}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS.values(), ids=FOLDERS.keys())
def test_paths_that_are_not_folders_have_a_row_or_a_clear_error(name, fine, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    there = tmp_path / name
    assert_row([there, fine], "")
    with pytest.raises(UotaError):
        compare([there])


@pytest.mark.parametrize("form", FORMATS)
def test_only_broken_runs_end_in_a_clear_error(form, make_run, capsys):
    folders = [make_run(f"broken{number}") for number in range(3)]
    for broken in folders:
        put(broken, "settings.json", "[" * 10_000)
    assert main(["compare", *map(str, folders), f"--to={form}"]) == 2
    said = capsys.readouterr()
    assert all(str(broken) in said.err for broken in folders)
    assert "Traceback" not in said.err


def test_odd_settings_of_results_are_shortened(fine, make_run):
    odd = {"deep": [[[["x" * 5000]]]], "data": "\0", "coco": "y" * 5000, "k": HUGE}
    other = make_run("other", {"linear.json": {"top1": 50.0, "settings": odd}}, seed=1)
    twin = make_run("twin", {"linear.json": {"top1": 40.0, "settings": odd | {"deep": [[[["x" * 5001]]]]}}}, seed=2)
    found = compare([fine, other, twin])
    assert len(set(found.columns)) == 3
    assert max(map(len, found.columns)) < 320
    assert {found.records()[0][column] for column in found.columns} == {60.0, 50.0, 40.0}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.just(HUGE) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(result=JUNK, settings=JUNK, form=st.sampled_from(sorted(FORMATS)))
def test_random_nonsense_in_one_run_leaves_the_others_compared(result, settings, form, tmp_path_factory):
    place = tmp_path_factory.mktemp("any")
    for name, (settings_of, result_of) in {
        "fine": ({"method": "byol", "epochs": 12}, {"top1": 60.0}),
        "any": (settings, result),
        "other": ({"method": "swav", "seed": 1, "epochs": 12}, result),
    }.items():
        (place / name).mkdir()
        (place / name / "settings.json").write_text(json.dumps(settings_of))
        (place / name / "linear.json").write_text(json.dumps(result_of))
    found = compare([place / name for name in ("fine", "any", "other")])
    assert "60.0" in FORMATS[form](found)
    assert len(found.lines) >= 2 or found.notes


# --- cells

FORMULAS = ["=1+1", "=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\x0b=1", "-", "=", "'=1", "=\u202e1"]
TEXTS = [
    *FORMULAS,
    'a"b',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\x1b[31mred",
    "caf\u00e9 \u732b",
    "",
    " ",
    "1e5",
    "\ud800",
    "\udcff",
]


def as_read(text):
    """Return a cell as a reader of the file gets it: printable, with an apostrophe before a formula."""
    shown = printable(text)
    return "'" + shown if text[:1] in ("=", "+", "-", "@", "\t", "\r") else shown


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_csv_file_is_read_back_and_has_no_formulas(text, tmp_path):
    rows = [["name", text], [text, 1], [None, -1.5], ["last", True]]
    write_csv(tmp_path / "table.csv", rows)
    written = (tmp_path / "table.csv").read_bytes()
    assert written.decode() == csv_text(rows)
    assert written.count(b"\n") == 4
    assert b"\r" not in written
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert read == [["name", as_read(text)], [as_read(text), "1"], ["", "-1.5"], ["last", "True"]]
    assert not any(cell[:1] in ("=", "+", "@", "\t", "\r") for row in read for cell in row)


@pytest.fixture(scope="module")
def table():
    """Make a table of views of four images; one has no label, another a label without a class name."""
    preset = PRESETS["small"]
    images = TensorSource(
        "made", torch.zeros(4, 3, 40, 40, dtype=torch.uint8), torch.tensor([0, -1, 1, 7]), ["=1+1", "@b\x1b"]
    )
    views = ViewPipeline(preset)(images, [(0, index) for index in range(4)])
    ones = torch.ones(views.views, 4)
    said = Arbitration(ones, -ones, ones, 1.0, ones / 2, 0.5)
    verdicts = {"learned": said, "two_groups": said, "mahalanobis": said}
    embeddings = torch.zeros(views.views, 4, 2)
    nothing = torch.zeros(views.views, 4, dtype=torch.bool)
    return ViewTable(images, preset, torch.arange(4), views.parameters, embeddings, verdicts, "learned", None, nothing)


def test_the_table_of_views_leaves_unknown_labels_empty(table, tmp_path):
    write_table(table, tmp_path / "views.csv")
    with (tmp_path / "views.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert [rows[str(image)]["label"] for image in range(4)] == ["0", "", "1", "7"]
    assert [rows[str(image)]["class"] for image in range(4)] == ["'=1+1", "", "'@b\\x1b", ""]


def test_the_table_of_views_is_the_same_as_parquet(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(table, tmp_path / "views.parquet")
    rows = {row["image"]: row for row in parquet.read_table(tmp_path / "views.parquet").to_pylist()}
    assert [rows[str(image)]["label"] for image in range(4)] == [0, None, 1, 7]
    assert [rows[str(image)]["class"] for image in range(4)] == ["=1+1", None, "@b\\x1b", None]


@pytest.mark.parametrize("name", ["=1+1", "@x", "-a", "+b", "a\tb", "a\nb"], ids=ascii)
def test_the_list_of_files_has_no_formulas(name, tmp_path):
    for group in (name, "plain", "third"):
        (tmp_path / "things" / group).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / "things" / group / f"{number}.png")
    groups = open_groups(tmp_path / "things", "all")
    random = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    judge(file_members(groups, {"output": random}, groups.name)).save(tmp_path / "list.csv")
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["group"] for row in rows} == {as_read(name), "plain", "third"}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Write the table of `uota embed` of a run on folders whose names are formulas."""
    place = tmp_path_factory.mktemp("embedded")
    fill(place / "data", [f"{kind}/{number}.png" for kind in ("=1+1", "@b") for number in range(6)])
    few = "--epochs=1 --batch_size=8 --workers=0 --threads=1 --accelerator=cpu --arbiter=none --views=small"
    run = [f"--data={place / 'data'}", f"--out={place / 'run'}", "--method=random"]
    assert main(["pretrain", *run, *few.split()]) == 0
    assert main(["embed", str(place / "run"), f"--out={place / 'table.csv'}"]) == 0
    return place / "table.csv"


def test_the_table_of_images_has_no_formulas_but_numbers(embedded):
    with embedded.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {"'=1+1", "'@b"}
    assert all(np.isfinite(float(row["embedding_0"])) for row in rows)
    assert b"\r" not in embedded.read_bytes()


def test_the_table_of_images_leaves_unknown_labels_empty(embedded, monkeypatch):
    import uota.evaluation.embed as embedding

    opened = embedding.open_images

    def some_without(*arguments):
        source = opened(*arguments)
        source.labels = source.labels.clone()
        source.labels[0] = -1
        return source

    monkeypatch.setattr(embedding, "open_images", some_without)
    out = embedded.with_name("some.csv")
    assert main(["embed", str(embedded.with_name("run")), f"--out={out}"]) == 0
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == {"", "0", "1"}
    assert all((row["label"] == "") == (row["class"] == "") for row in rows)


NAMES = [*FORMULAS, r"a|b", r"a\|b", r"a\\|b", "`code`", "*bold*", "_low_", "[x](http://a.b)", "![i](x.png)",
         "<script>alert(1)</script>", "<b>", "&lt;", "&", "a\nb", "\x1b[31mred", "~~no~~", "$x$", "www.x.org",
         "http://x.org", "a@b.org", "50%", "#1", "x_1^2", "{a}", "~", "\\", r"\input{/etc/passwd}", "a--b---c", "''q``",
         "?`!`", ",,", '"q"', "[0]", "*", "caf\u00e9 \u732b", "±×–", "a\\\nb", "%\n\\end{tabular}"]  # fmt: skip


@pytest.fixture
def named(tmp_path):
    """Make a table of third-party weights of this name, and of the result of a file of this name."""

    def make(name):
        (tmp_path / "weights").mkdir()
        content = {"encoder": name, "data": "demo", "top1": 60.0, "settings": {}}
        (tmp_path / "weights" / "linear.json").write_text(json.dumps(content))
        return compare([tmp_path / "weights"])

    return make


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_markdown_table_shows_the_text(name, named):
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(as_markdown(named(name)))
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 6
    assert all(child.type in ("text", "text_special") for cell in cells for child in cell.children)
    assert "".join(child.content for child in cells[0].children) == printable(name).strip()
    assert cells[-1].content == "60.0"


LATEX = {"textbackslash{}": "\\", "textasciitilde{}": "~", "textasciicircum{}": "^", "symbol{34}": '"'}


def typeset(latex):
    """Return what TeX shows for a cell, which may consist of text and these commands only."""
    tokens = re.compile(
        r"\\(?P<command>textbackslash\{\}|textasciitilde\{\}|textasciicircum\{\}|symbol\{34\})|\\(?P<escaped>[&%$#_{}])"
        r"|\$(?P<maths>[<>|]|\\pm|\\times)\$|\{(?P<grouped>[*\[\]])\}|(?P<nothing>\{\})|(?P<dash>--)"
        r"|(?P<plain>[^\\{}$&#^_~%<>|\"\[\]*\n])"
    )
    shown, place = "", 0
    while place < len(latex):
        found = tokens.match(latex, place)
        assert found, latex[place:]
        kind, text = found.lastgroup, found[found.lastgroup]
        maths = {"\\pm": "±", "\\times": "×"}
        shown += {"command": LATEX.get(text, ""), "maths": maths.get(text, text), "nothing": "", "dash": "–"}.get(
            kind, text
        )
        place = found.end()
    return shown


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_latex_table_shows_the_text(name, named):
    lines = as_latex(named(name)).splitlines()
    assert lines[0].startswith("% ")
    assert lines[1:] == [r"\begin{tabular}{llrrrr}", r"\toprule", lines[3], r"\midrule", lines[5], r"\bottomrule",
                         r"\end{tabular}"]  # fmt: skip
    cells = lines[5].removesuffix(r" \\").split(" & ")
    if " & " not in name:
        assert len(cells) == 6
    assert typeset(cells[0]) == printable(name)
    assert not re.search(r"''|``|,,|[?!]`|(?<!-)--(?!-)" if "–" not in name else r"''", cells[0])


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.cells, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_html_csv_and_text_show_the_text(name, named):
    found = named(name)
    parser = Cells()
    parser.feed(as_html(found))
    assert parser.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert parser.cells[6].strip() == printable(name)
    rows = list(csv.DictReader(StringIO(as_csv(found))))
    assert (rows[0]["method"], float(rows[0]["linear top-1"])) == (as_read(name), 60.0)
    shown = as_text(found).splitlines()
    assert len(shown) == 4
    assert shown[2].startswith(printable(name).rstrip())


def test_a_wide_table_is_printed_completely(fine, make_run):
    for number in range(60):
        result = {"top1": 50.0, "settings": {"note": f"{number} " + "x" * 400}}
        (fine / f"linear-{number}.json").write_text(json.dumps({"data": "demo"} | result))
    shown = as_text(compare([fine]))
    assert all(f"linear-{number} top-1" in shown for number in range(60))
    assert "…" not in shown
