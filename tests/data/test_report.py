"""Messages about sources."""

import logging

from tests.hostile.conftest import fill, named

from uota.data import open_source, warn_skipped


def test_a_file_that_both_splits_skip_is_listed_once(tmp_path, caplog):
    folder = fill(tmp_path / "photos", named("a", "b", each=6))
    (folder / "a" / "broken.png").write_bytes(b"nothing")
    train, test = open_source(str(folder), "train"), open_source(str(folder), "test")
    assert folder / "a" / "broken.png" in {*train.skipped} & {*test.skipped}
    caplog.set_level(logging.INFO)
    warn_skipped(train, test)
    assert [message for message in caplog.messages if "broken.png" in message] == caplog.messages
    assert len(caplog.messages) == 1
