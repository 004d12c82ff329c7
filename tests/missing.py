"""What stands in for a store that is not there: every call fails, and says why.

So nobody else has to ask whether memory is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import StoreError
from proxy.memory.store import Entry, Pick, Query, Records, Which


class MissingStore:
    """A ``MemoryStore``; *why* is one line."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        raise StoreError(self._why)

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        raise StoreError(self._why)

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        raise StoreError(self._why)

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        raise StoreError(self._why)

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        raise StoreError(self._why)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        raise StoreError(self._why)

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        raise StoreError(self._why)

    async def erase(self, owner: Owner) -> int:
        raise StoreError(self._why)

    async def purge(self) -> None:
        raise StoreError(self._why)

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        raise StoreError(self._why)

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        raise StoreError(self._why)

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        raise StoreError(self._why)

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        raise StoreError(self._why)

    async def touch(self) -> None:
        raise StoreError(self._why)
