"""Small files of ours that must be whole, whatever happens while they are written."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """As ``write_whole``, for no other account to read. Makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, mode=0o600)


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """In one step, whenever the process or the machine ends, and on the disk when this returns. *mode*: less the umask.

    Raises ``OSError``.
    """
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have what was written to a file, whoever wrote it and how, or the names in a folder, on the disk. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
