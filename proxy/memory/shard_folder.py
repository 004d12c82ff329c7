"""Where the embedded store has its files, so that it can be written anew while it is in use.

    edge, edge.2    one holds the store; the other is there only while the store is copied into it, and after a crash
    edge.current    names the one that holds it; missing: ``edge``
    edge.owed       is there while files may still hold what was deleted
    edge.model      says which embedding model the vectors are of (``spaces.py``)

Replacing ``edge.current`` is the one step that counts: a crash before it leaves a copy that is not whole, one after it the
files that the copy replaced. Either is removed at the next opening.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from proxy.errors import StoreError
from proxy.files import sync, write_whole
from proxy.memory.spaces import Spaces, parse, render


class ShardFolder:
    """The files of the store at *directory*. Not for two threads at once, ``sync_log`` excepted; raises ``OSError``."""

    def __init__(self, directory: Path) -> None:
        self._places = (directory, directory.with_name(f"{directory.name}.2"))
        self._pointer = directory.with_name(f"{directory.name}.current")
        self._debt = directory.with_name(f"{directory.name}.owed")
        self._models = directory.with_name(f"{directory.name}.model")

    @property
    def current(self) -> Path:
        """The directory that holds the store. ``StoreError`` if nobody can tell."""
        named = self._named()
        [other] = [each for each in self._places if each != named]
        # One that stands alone is whole, whatever became of the pointer: nothing is copied from nowhere.
        return other if other.exists() and not named.exists() else named

    @property
    def spare(self) -> Path:
        """The other one, to copy into."""
        [spare] = [each for each in self._places if each != self.current]
        return spare

    def size_bytes(self) -> int:
        """What the store takes on the disk: much less than its files are long."""
        return sum(each.stat().st_blocks * 512 for each in self.current.rglob("*"))

    def sync_log(self) -> None:
        """Have the library's write-ahead log on the disk, of which it has a part mapped into memory."""
        log = self.current / "wal"
        for each in (*log.iterdir(), log):
            sync(each)

    @property
    def is_owed(self) -> bool:
        return self._debt.exists()

    def owe(self) -> None:
        """Note that what is deleted from now on is still in files; a killed process doesn't lose it."""
        self._debt.touch()

    def settle(self) -> None:
        self._debt.unlink(missing_ok=True)

    def clear_spare(self) -> None:
        if self.spare.exists():
            shutil.rmtree(self.spare)

    def switch(self) -> None:
        """Make the spare directory, which must be whole and on the disk, the current one, in one step."""
        write_whole(self._pointer, self.spare.name.encode())

    @property
    def models(self) -> Spaces | None:
        """Of which models the vectors are, if that was noted."""
        try:
            return parse(json.loads(self._models.read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as exc:
            advice = "remove it, if the configuration names the embedding model that the memories were stored with"
            raise StoreError(f"{self._places[0]} can't be opened: {self._models.name} is damaged: {advice}") from exc

    def note_models(self, spaces: Spaces) -> None:
        """On the disk when it returns."""
        write_whole(self._models, json.dumps(render(spaces), indent=2).encode())

    def _named(self) -> Path:
        try:
            name = self._pointer.read_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return self._places[0]
        named = [each for each in self._places if each.name == name]
        if not named:
            raise StoreError(f"{self._places[0]} can't be opened: {self._pointer.name} is damaged")
        return named[0]
