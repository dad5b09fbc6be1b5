"""Messages about sources."""

import logging
from pathlib import Path
from types import SimpleNamespace

from uota.data import warn_skipped


def source_of(*skipped):
    return SimpleNamespace(name="photos", skipped=[Path(name) for name in skipped], reasons={Path("b.png"): "empty"})


def test_a_file_that_several_sources_skip_is_listed_once(caplog):
    caplog.set_level(logging.INFO)
    warn_skipped(source_of("a.png", "b.png"), source_of("b.png"), source_of("b.png", "c.png"))
    assert caplog.messages == [
        "2 file(s) of photos could not be read and were skipped: a.png, b.png (empty)",
        "1 file(s) of photos could not be read and were skipped: c.png",
    ]
