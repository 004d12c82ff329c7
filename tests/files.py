"""What is in files, for tests of what must not be there."""

from __future__ import annotations

import os
from pathlib import Path


def written(folder: Path) -> bytes:
    """All bytes of all files below *folder*, and their names. The stores reserve much more than they write: holes are passed over."""
    return b"\n".join(_name_and_data(path) for path in sorted(folder.rglob("*")) if path.is_file())


def _name_and_data(path: Path) -> bytes:
    pieces = [path.name.encode()]
    with path.open("rb") as file:
        end = 0
        while (begin := _next_data(file.fileno(), end)) is not None:
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            file.seek(begin)
            pieces.append(file.read(end - begin))
    return b"\n".join(pieces)


def _next_data(descriptor: int, offset: int) -> int | None:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:  # there is none
        return None
