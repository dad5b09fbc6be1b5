"""Pages are assembled of parts; whatever the data is, it stays data."""

import json

import numpy as np
import pytest

from uota.pages.assemble import assemble, plain


def test_data_and_title_cannot_end_their_elements(tmp_path):
    (tmp_path / "page.html").write_text(
        "<title><!--title--></title><!--own--><script><!--data--></script><!--script-->"
    )
    (tmp_path / "style.css").write_text("")
    (tmp_path / "own.js").write_text("last();")
    data = {"name": "</script><!--script--><!--own-->", 7: "caf\udcff\u202e"}
    text = assemble(tmp_path, ("own",), "</title>&", data, own="<b>")
    assert text.startswith("<title>&lt;/title>&amp;</title><b><script>")
    written = text.partition("<script>")[2].partition("</script>")[0]
    assert json.loads(written) == {"name": data["name"], "7": "caf\\xff\\u202e"}
    assert text.endswith("last();")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.0, np.nan]), [1.0, None]),
        ((1, True, None), [1, True, None]),
        ("a\nb\x1b", "a\nb\\x1b"),
        (np.float32(0.1), 0.1000000015),
    ],
)
def test_values_become_what_json_has(value, expected):
    assert plain(value) == expected
