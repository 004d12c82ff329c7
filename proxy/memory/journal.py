"""Where answers wait until they are remembered, so that a crash doesn't lose them. ``sqlite_journal.py`` does it on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from proxy.errors import JournalError
from proxy.memory.health import Health


@dataclass(frozen=True, slots=True)
class Written:
    """An entry whose turn has come: what was appended, and how often it was worked on in vain."""

    trace: str
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """No entry is due; the next one is *in_s* seconds from now, if there is one."""

    in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Entries that *wait*, the open ones too, and those that were given up. *oldest*: when the first that waits was written."""

    waiting: int = 0
    dead: int = 0
    oldest: datetime | None = field(default=None, compare=False)


class Journal(Protocol):
    """All calls raise ``JournalError`` when the disk, or the file on it, does not do its part.

    *refused*: how many appends have failed.
    """

    refused: int

    @property
    def health(self) -> Health:
        """Whether it takes entries; asks nobody."""

    def append(self, trace: str, owner: str, body: Callable[[], str], *, ready: bool) -> asyncio.Future[None]:
        """Write what *body* gives, which is called in the journal's thread, in place of what *trace* has so far.

        Done when it is on the disk. An entry is worked on once it is *ready*, or after a restart.
        """

    async def next(self) -> Written | Nothing:
        """The first entry that is ready and due."""

    async def done(self, trace: str) -> None:
        """Delete the entry: the store has it."""

    async def put_off(self, trace: str, seconds: float) -> None:
        """Count an attempt, and make the entry due in *seconds*."""

    async def bury(self, trace: str, why: str) -> None:
        """Put the entry among the dead letters."""

    async def retry_dead(self) -> int:
        """Make the dead letters entries again, that are ready and have not been worked on; how many there were."""

    async def erase(self, owner: str) -> int:
        """Remove whatever there is of *owner*, also from the file's unused parts; how many entries and dead letters."""

    async def forget_done(self) -> None:
        """Return when what was worked off before is in none of the file's unused parts."""

    async def counts(self) -> Counts: ...


class NoJournal:
    """Refuses what is to be written, and holds nothing. *why*: why there is none; ``None``: none is wanted."""

    def __init__(self, why: str | None = None) -> None:
        self.health = Health(why, off=why is None)
        self.refused = 0

    def append(self, *_: object, **__: object) -> asyncio.Future[None]:
        raise JournalError("there is no journal")

    async def next(self) -> Written | Nothing:
        return Nothing()

    async def done(self, *_: object) -> None: ...
    async def put_off(self, *_: object) -> None: ...
    async def bury(self, *_: object) -> None: ...
    async def forget_done(self) -> None: ...

    async def retry_dead(self) -> int:
        return 0

    async def erase(self, *_: object) -> int:
        return 0

    async def counts(self) -> Counts:
        return Counts()
