"""Lists of moves: what a person writes is read, damage is named."""

import csv
import re

import pytest

from uota.errors import UotaError
from uota.membership.move_lists import Move, MoveList, Row, read_list, write_undo


def listed(tmp_path, text):
    path = tmp_path / "moves.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_an_undo_file_has_both_paths_of_each_move(tmp_path):
    moves = [Move("a/x.png", "b/x (2).png"), Move("=a/\n.png", "../t-set-aside/=a/\n.png", "../t-set-aside")]
    write_undo(tmp_path / "undo.csv", moves)
    rows = list(csv.reader((tmp_path / "undo.csv").read_text().splitlines()))
    assert rows[1:] == [["b/x (2).png", "a/x.png", ""], ["../t-set-aside/=a/\\n.png", "'=a/\\n.png", "../t-set-aside"]]
    read = read_list(tmp_path / "undo.csv")
    assert read.exact
    assert [Move(row.to, row.file, row.made) for row in read.rows] == moves


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_save_is_read(tmp_path, separator):
    text = "\ufeff" + separator.join(("note", "File", " to ", "mark")) + "\r\n"
    text += (
        separator.join(("", '"a/x, 1.png"', "b", "Wrong")) + "\r\n" + separator.join(("", "a/y.png", "", "")) + "\r\n"
    )
    text += separator * 3 + "\r\n" + separator.join(("", "a/z.png", "c", "right"))
    assert read_list(listed(tmp_path, text)) == MoveList((Row(2, "a/x, 1.png", "b"),), exact=False, kept=2)


def test_without_marks_every_row_counts(tmp_path):
    assert read_list(listed(tmp_path, "to,file\nb,a/x\n,a/y\n")).rows == (Row(2, "a/x", "b"), Row(3, "a/y", ""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns \(none\); a list of moves has file and to"),
        (
            "file,group,fits_better\na,b,c\n",
            "has the columns file, group, fits_better; a list of moves has file and to",
        ),
        ("file,to\na/x\n", "line 2: 1 cells instead of 2; the list is damaged"),
        ("file,to\na/x,b,c\n", "line 2: 3 cells instead of 2"),
        ("file,to,mark\na/x,b,wrng\n", "line 2: the mark 'wrng' is unknown; write wrong or right"),
        ('file,to\n"a/x,b\n', "cannot be read: unexpected end of data; give a CSV file in UTF-8"),
        (b"file,to\n\xff,b\n", "cannot be read: .*; give a CSV file in UTF-8"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, text, message):
    with pytest.raises(UotaError, match=f"moves.csv.*{message}"):
        read_list(listed(tmp_path, text))


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UotaError, match=re.escape("none.csv cannot be read: No such file")):
        read_list(tmp_path / "none.csv")
