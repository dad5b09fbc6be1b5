"""Lists of moves: what a person writes is read, damage is named, and any path survives."""

import csv
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uota.console import CONTROL, FORMULA
from uota.errors import UotaError
from uota.membership.move_lists import Move, MoveList, Row, format_cell, parse_cell, read_list, write_undo

# Any name of a file, of whatever bytes, with what is special in CSV, in spreadsheets and on terminals more often.
SPECIAL = st.text(alphabet="'=+-@\\\n\r\t,\"; \x1b\u202eé＝nrtux0", max_size=8)
NAMES = (
    st.binary(max_size=12).map(os.fsdecode) | st.text(max_size=12).filter(lambda text: _is_encodable(text)) | SPECIAL
)


def _is_encodable(text):
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def listed(tmp_path, text):
    path = tmp_path / "moves.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(NAMES)
def test_any_text_survives_and_is_harmless(text):
    cell = format_cell(text)
    assert parse_cell(cell) == text
    assert not cell.startswith(FORMULA)
    assert not CONTROL.search(cell)
    cell.encode()


@given(NAMES, NAMES)
def test_different_texts_have_different_cells(one, other):
    assert (format_cell(one) == format_cell(other)) == (one == other)


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
