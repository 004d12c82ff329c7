"""What only a person can decide: whether something is destroyed, and how a text should read."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli.output import clean
from proxy.errors import ConfigError, MemoryProxyError, RemoteError

if TYPE_CHECKING:
    import argparse


def add_yes(parser: argparse.ArgumentParser) -> None:
    """For what destroys: without it the command is refused, before anything is opened, where nobody can be asked."""
    parser.add_argument("--yes", action="store_true", help="don't ask; needed where there is no terminal to ask on")


def expect_person(what: str) -> None:
    """Raise ``ConfigError`` where nobody can be asked; *what* they have to give instead."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{what} is needed where there is no terminal to ask on")


def confirm(question: str) -> None:
    """Return on ``y`` alone; raises ``MemoryProxyError``. Asks on standard error."""
    print(clean(question), "[y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise MemoryProxyError("nothing was done")


@contextmanager
def edited(text: str) -> Iterator[str]:
    """*text* as it comes out of the editor. If the body fails, what was written is kept, and said where."""
    folder = Path(tempfile.mkdtemp(prefix="memory-proxy-"))
    file = folder / "memory.txt"
    try:
        file.write_text(text, encoding="utf-8")
        _open_editor(file)
        yield file.read_text(encoding="utf-8").strip()
    except RemoteError as exc:
        raise RemoteError(f"{exc} Your text is in {file}.", status=exc.status) from exc
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _open_editor(file: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603, what the user's environment names
    except (OSError, ValueError, subprocess.CalledProcessError) as exc:
        raise MemoryProxyError(f"the editor {editor!r} failed, and nothing is changed.") from exc
