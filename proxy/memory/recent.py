"""Searches that were made a moment ago, answered again without a search.

Apps send the same message more than once: a client retries, several agents work on it, an answer is asked for again.
A write through this process is seen at once, one to what a tenant shares by all.
One through another replica is seen after the few seconds that an answer is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.memory.store import Entry, MemoryStore, Pick, Query, Records, Which

_OWNERS = 1000
_SEARCHES = 16

_Key = tuple[Query, bool, int, Pick] | tuple[Which, int]
T = TypeVar("T")


class RecentSearches:
    """A ``MemoryStore`` in front of another, which keeps what each search found for *seconds*."""

    def __init__(self, store: MemoryStore, *, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._recent: OrderedDict[str, OrderedDict[_Key, tuple[float, Any]]] = OrderedDict()

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        key = (replace(query, vector=None), query.vector is None, limit, pick)
        return await self._kept(owner, key, partial(self._store.search, owner, query, limit=limit, pick=pick))

    async def _kept(self, owner: Owner, key: _Key, call: Callable[[], Awaitable[T]]) -> T:
        # A write meanwhile takes this away from the owners: what was found before it is then kept where nobody looks.
        recent = self._recent.setdefault(owner.key, OrderedDict())
        self._recent.move_to_end(owner.key)
        until, found = recent.get(key, (0.0, None))
        if until <= monotonic():
            found = await call()
            recent[key] = (monotonic() + self._seconds, found)
            recent.move_to_end(key)
        _shorten(recent, _SEARCHES)
        _shorten(self._recent, _OWNERS)
        self._forget_expired()
        return cast("T", found)

    def _forget_expired(self) -> None:
        """Of owners who ask no more, nobody else would: and what a search found takes a hundred kilobytes and more."""
        while self._recent:
            owner = next(iter(self._recent))
            if max((until for until, _ in self._recent[owner].values()), default=0.0) > monotonic():
                break
            del self._recent[owner]

    def forget(self) -> None:
        """All that was found: it will be found in another way."""
        self._recent.clear()

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        with self._forgetting(owner):
            await self._store.upsert(owner, entries)

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        with self._forgetting(owner):
            await self._store.revise(owner, memories)

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        with self._forgetting(owner):
            return await self._store.delete(owner, ids)

    async def erase(self, owner: Owner) -> int:
        with self._forgetting(owner):
            return await self._store.erase(owner)

    async def purge(self) -> None:
        await self._store.purge()

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        return await self._store.get(owner, ids)

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        return await self._store.find(owner, contents, which)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        """Kept are only lists with what all users share, as chats read them; whoever is about to write wants to know how it is."""
        found = partial(self._store.list, owner, which, limit=limit)
        return await self._kept(owner, (which, limit), found) if which.shared else await found()

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        return await self._store.count(owner, which)

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        return await self._store.owners_of(ids)

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        return await self._store.scan(after, limit=limit, whose=whose, vectors=vectors)

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        return await self._store.expired(since, until, after, limit=limit)

    async def touch(self) -> None:
        await self._store.touch()

    @contextmanager
    def _forgetting(self, owner: Owner) -> Iterator[None]:
        """Also if the write fails: part of it may have been done."""
        try:
            yield
        finally:
            if owner == owner.everyone:
                self._recent.clear()
            else:
                self._recent.pop(owner.key, None)


def _shorten(kept: OrderedDict[Any, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
