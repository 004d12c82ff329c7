"""An owner's memories in pages, newest first, also while more are added.

A page ends at a place: the time at which its last memory was made, and its id, for the order among those of one moment. The next one
begins behind that place, so what is added meanwhile moves nothing. Stores order by time alone; of the moments at which a page begins
and ends, all are read and ordered here. They are read in slices: in one call, a thousand would keep everybody waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxy.core.models import Memory, Owner
from proxy.memory.store import MemoryStore, Which

_TICK = timedelta(microseconds=1)
_ALL = 1_000_000
_SLICE = 250


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a page ends: behind the memory *id_*, that was made *at*."""

    at: datetime
    id_: str


@dataclass(frozen=True, slots=True)
class Page:
    """*end*: where the next one begins; ``None``: there is none."""

    memories: list[Memory]
    end: Place | None = None


async def page(store: MemoryStore, owner: Owner, which: Which, *, limit: int, after: Place | None = None) -> Page:
    """The *limit* memories behind *after*; ``StoreError`` if they can't be read."""
    found: list[Memory] = []
    if after is not None and (which.until is None or after.at <= which.until):
        found = [each for each in await _moment(store, owner, which, after.at) if each.id > after.id_]
        which = replace(which, until=after.at - _TICK)
    while len(found) <= limit:
        some = await _newest(store, owner, which, min(_SLICE, limit + 1 - len(found)))
        if not some:
            break
        found += some
        which = replace(which, until=some[-1].created_at - _TICK)
    return Page(found[:limit], _place(found[limit - 1]) if len(found) > limit else None)


async def _newest(store: MemoryStore, owner: Owner, which: Which, count: int) -> list[Memory]:
    """The newest *count* or, if there are so many, more: all of the same moment as the last."""
    found = await store.list(owner, which, limit=count)
    if len(found) < count:
        return _in_order(found)
    last = found[-1].created_at
    return [*_in_order(each for each in found if each.created_at > last), *await _moment(store, owner, which, last)]


async def _moment(store: MemoryStore, owner: Owner, which: Which, at: datetime) -> list[Memory]:
    """All that were made *at* this very moment, by their ids."""
    if which.since is not None and at < which.since:
        return []
    return _in_order(await store.list(owner, replace(which, since=at, until=at), limit=_ALL))


def _in_order(memories: Iterable[Memory]) -> list[Memory]:
    return sorted(sorted(memories, key=lambda each: each.id), key=lambda each: each.created_at, reverse=True)


def _place(memory: Memory) -> Place:
    return Place(memory.created_at, memory.id)
