"""The formats of the table, and the command that prints them."""

import csv
from html.parser import HTMLParser
from io import StringIO

import pytest

from uota.commands.cli import main
from uota.comparison import FORMATS, as_csv, as_html, as_latex, as_markdown, as_text, compare

LEARNED = "67.7 ± 3.8 (+5.7 ± 3.8, p 0.023)"


@pytest.fixture
def found(seeds, make_run):
    """A comparison of three rows, the last without figures."""
    return compare([*seeds(), make_run("byol", method="byol", batch_size=64)])


def test_lines_of_text_are_not_wrapped(found):
    lines = as_text(found).splitlines()
    assert LEARNED in lines[3]
    assert lines[4].split() == ["BYOL", "byol", "4", "64", "1", "–", "–"]


def test_markdown_has_a_column_for_each_heading(found):
    head, sides, *rows = as_markdown(found).split("\n\n")[0].splitlines()
    assert head == "| method | runs | epochs | batch | seeds | linear top-1 | linear top-5 |"
    assert sides.count("---") == 7
    assert rows[1].startswith(
        f"| SwAV + learned on features | learned-0, learned-1, learned-2 | 4 | 128 | 3 | {LEARNED} |"
    )
    assert rows[2].endswith("| – | – |")


def test_csv_is_read_back_as_numbers(found):
    rows = list(csv.DictReader(StringIO(as_csv(found))))
    assert float(rows[1]["linear top-1 gain"]) == 5.6667
    assert rows[1]["seeds"] == "0 1 2"
    assert len(rows[1]["runs"].split()) == 3
    assert (rows[2]["linear top-1"], rows[2]["linear top-1 gain"]) == ("–", "")


def test_latex_is_a_tabular(found):
    lines = as_latex(found).splitlines()
    assert lines[1] == r"\begin{tabular}{llrrrrr}"
    assert r"67.7 $\pm$ 3.8 (+5.7 $\pm$ 3.8, p 0.023)" in lines[6]
    assert lines[7] == r"BYOL & byol & 4 & 64 & 1 & -- & -- \\"


def test_latex_escapes_special_characters(make_run):
    run = make_run("a", results={"finetune_10%.json": {"top1": 50.0}})
    assert r"finetune\_10\% top-1" in as_latex(compare([run]))


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows = []

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data):
        if self.rows and data.strip():
            self.rows[-1].append(data)


def test_html_has_the_same_cells_and_escapes_special_characters(make_run):
    run = make_run("a", method="my.Own", results={"<linear>.json": {"top1": 50.0}})
    parser = Cells()
    parser.feed(as_html(compare([run])))
    assert parser.rows[0][-1] == "<linear> top-1"
    assert parser.rows[1] == ["Own", "a", "4", "128", "1", "50.0"]
    assert "<linear>" not in as_html(compare([run]))


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_prints_every_format_on_stdout_and_notes_on_stderr(form, seeds, tmp_path, capsys):
    runs = [str(run) for run in seeds()]
    assert main(["compare", *runs, str(tmp_path / "nowhere"), f"--to={form}"]) == 0
    said = capsys.readouterr()
    assert said.out.rstrip("\n") == FORMATS[form](compare([*map(type(tmp_path), runs), tmp_path / "nowhere"])).rstrip(
        "\n"
    )
    assert "uota: left out:" in said.err


def test_nothing_to_compare_is_reported_with_exit_status_2(tmp_path, capsys):
    assert main(["compare", str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
