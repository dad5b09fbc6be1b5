"""Messages of the package: libraries log them, commands print them."""

import ast
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from uota import console
from uota.commands.cli import main
from uota.console import MessageHandler, show_messages

PACKAGE = Path(__file__).parents[1] / "src" / "uota"
LOGGER = logging.getLogger("uota.some.module")


def log():
    LOGGER.debug("found a file")
    LOGGER.info("100 % of a\x1bb.png are read")
    LOGGER.warning("most images cannot be read")


def test_shown_messages_are_plain_text_and_warnings_go_to_stderr(capsys):
    log()
    assert capsys.readouterr() == ("100 % of a\x1bb.png are read\n", "WARNING: most images cannot be read\n")


def test_messages_are_shown_once_in_nested_blocks(capsys):
    with show_messages(), show_messages():
        log()
    log()
    assert capsys.readouterr().out.count("are read") == 2


def test_the_package_configures_no_logging_when_it_is_imported():
    code = """
import logging, uota.console, uota.data.source, uota.commands.cli
logger = logging.getLogger("uota")
assert not logger.handlers and logger.level == logging.NOTSET and not logging.getLogger().handlers
with uota.console.show_messages():
    assert logger.isEnabledFor(logging.INFO)
assert not logger.handlers and logger.level == logging.NOTSET
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_command_shows_messages(monkeypatch, capsys):
    handlers = logging.getLogger("uota").handlers
    monkeypatch.setattr(logging.getLogger("uota"), "handlers", [])
    shown = []

    def run(arguments):
        shown.extend(logging.getLogger("uota").handlers)
        log()

    monkeypatch.setattr("uota.commands.cli.run", run)
    assert main([]) == 0
    assert [type(handler) for handler in shown] == [MessageHandler]
    assert capsys.readouterr().out == "100 % of a\x1bb.png are read\n"
    assert handlers, "the tests' own fixture shows messages"


def test_a_closed_pipe_ends_a_command_quietly(monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    with pytest.raises(BrokenPipeError):
        LOGGER.info("training on 8 images")


def test_there_is_no_progress_bar_where_nobody_watches(monkeypatch):
    for watched in (False, True):
        written = StringIO()
        monkeypatch.setattr(console, "PROGRESS", Console(file=written, force_terminal=watched, width=80))
        assert list(console.track_progress([1, 2], "counting")) == [1, 2]
        assert ("counting" in written.getvalue()) == watched


def test_bytes_that_are_not_text_stay_distinct():
    names = [os.fsdecode(name) for name in (b"g\xff", b"g\xfe", b"g\n")]
    assert [console.printable(name) for name in names] == ["g\\xff", "g\\xfe", "g\\n"]


def test_only_commands_print():
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0]
        if room in ("commands", "demo", "console.py"):
            continue
        calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        printed = [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"]
        assert not printed, f"{file.relative_to(PACKAGE)} prints in line {printed}; library code logs"
