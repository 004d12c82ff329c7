"""On a terminal: tables in colours, questions, an editor, bars."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("proxy")

COMMAND = [sys.executable, "-m", "proxy"]


def on_terminal(*arguments, typed="", columns=80, **environ):
    """The exit status and all that a person sees, who types *typed*."""
    ours, theirs = pty.openpty()
    settings = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)} | environ
    os.write(ours, typed.encode())
    with subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=settings) as process:
        os.close(theirs)
        seen = b"".join(_read(ours))
    os.close(ours)
    return process.returncode, seen.decode().replace("\r\n", "\n")


def _read(descriptor):
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # Linux: everybody has closed the other end
            return
        if not data:
            return
        yield data


def plain(seen):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)


@pytest.fixture
def id_(run, proxy):
    return run("memories", "add", "Prefers Python for backend work and \x1b[31m tea", "--user", "ada", "--json").json["id"]


def test_a_list_is_a_table_in_colours_that_wraps(id_):
    _, seen = on_terminal("memories", "list", "--user", "ada", columns=60)
    assert "\x1b[36m" in seen
    assert "\x1b[31m" not in seen
    head, first, second, *_ = plain(seen).splitlines()
    assert head.split() == ["ID", "CONTENT"]
    assert first.startswith(f"{id_}  Prefers")
    assert second.split()[2:4] == ["fact", "0.50"]
    assert "\x1b" not in on_terminal("memories", "list", "--user", "ada", NO_COLOR="1", TERM="dumb")[1]


def test_a_delete_shows_what_goes_and_asks(id_, run):
    status, seen = on_terminal("memories", "delete", id_, typed="n\n")
    assert (status, "Prefers" in seen, seen.endswith("[y/N] memory-proxy: nothing was done\n")) == (1, True, True)
    status, seen = on_terminal("memories", "delete", id_, typed="y\n")
    assert (status, seen.endswith(f"Deleted {id_}.\n")) == (0, True)


def test_an_erasure_asks_too(id_, run):
    status, seen = on_terminal("memories", "erase", "--user", "ada", typed="\n")
    assert (status, "Erase ada for good, with memories: 1, messages: 0? [y/N]" in seen) == (1, True)
    assert len(run("memories", "list", "--user", "ada").cells) == 1


def test_an_editor_opens_with_the_content(id_, run):
    status, _ = on_terminal("memories", "edit", id_, EDITOR="sed -i s/Python/Rust/")
    assert (status, run("memories", "show", id_, "--json").json["content"][:12]) == (0, "Prefers Rust")
    assert on_terminal("memories", "edit", id_, EDITOR="true") == (0, "Nothing is changed.\n")
    status, seen = on_terminal("memories", "edit", id_, EDITOR="false")
    assert (status, "the editor 'false' failed, and nothing is changed." in plain(seen)) == (1, True)


def test_an_edit_overwrites_nobodys_and_loses_nothing(id_, folder, run):
    """Somebody else edits the memory while it is in the editor."""
    other = [*COMMAND, "memories", "edit", id_, "--content", "Was quicker"]
    (folder / "editor").write_text(f"#!/bin/sh\n{shlex.join(other)} </dev/null >/dev/null 2>&1\necho Was slower >$1\n")
    (folder / "editor").chmod(0o700)
    status, seen = on_terminal("memories", "edit", id_, EDITOR=str(folder / "editor"), TMPDIR=str(folder))
    said = re.fullmatch(r"memory-proxy: It is not, or no longer, what was read: .* Your text is in (\S+)\.\n", seen)
    assert (status, said is not None) == (1, True), seen
    assert run("memories", "show", id_, "--json").json["content"] == "Was quicker"
    assert Path(said[1]).read_text() == "Was slower\n"


def test_export_and_import_show_bars(id_, folder):
    status, seen = on_terminal("memories", "export", "--user", "ada", "--output", "ada.jsonl")
    assert (status, "exporting" in seen, "Exported memories to ada.jsonl: 1." in plain(seen)) == (0, True, True)
    status, seen = on_terminal("memories", "import", "ada.jsonl")
    assert (status, "1/1 lines" in plain(seen)) == (0, True)
