"""Disks that are small, or can't be written to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

MIB = 1024 * 1024


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A disk in memory at *folder*. Skips the test where nothing may be mounted."""
    folder.mkdir()
    if not _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder):
        pytest.skip("a disk of its own needs the right to mount, which this process has not")
    try:
        yield
    finally:
        _run("umount", "--lazy", folder)


def allow_writes(folder: Path) -> None:
    assert _run("mount", "-o", "remount,rw", folder)


def fill(folder: Path, *, leave_bytes: int) -> None:
    """Take all room of the disk but for *leave_bytes*, into the file ``filler``; somebody else may be at it too."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while (free := shutil.disk_usage(folder).free - leave_bytes) > 0:
            file.write(b"x" * min(free, MIB))


def _run(*command: object) -> bool:
    try:
        return subprocess.run([*map(str, command)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
