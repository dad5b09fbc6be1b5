"""Paths as text: any path survives a table, and is harmless in it."""

import csv
import os

from hypothesis import given
from hypothesis import strategies as st

from uota.console import CONTROL, FORMULA
from uota.io.csv_files import csv_text
from uota.membership.path_cells import escape_path, format_cell, parse_cell

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


@given(NAMES)
def test_any_path_survives_a_table(path):
    ((cell,),) = csv.reader([csv_text([[escape_path(path)]])])
    assert parse_cell(cell) == path
