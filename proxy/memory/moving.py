"""From one store to another: everything that is in it, with the vectors that it has.

Page by page in the order of ids, what the target lacks or has otherwise is written; so a move that was interrupted goes on quickly.
Words are counted anew by the target, for turns with those of their neighbours. At the end both stores are read back and compared.
What the target has beyond that stays there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from proxy.core.models import Owner
from proxy.memory.neighbours import neighbours
from proxy.memory.payload import to_payload
from proxy.memory.store import Entry, Kept, MemoryStore, Records

PAGE = 500
"""Points. One write of the target takes those of one owner, so pages are large, that there are many of each."""

_AT_ONCE = 8
_FAR = 1e-3
"""What rounding does to a unit vector is less than this; another model, or another text, does more."""

Report = Callable[[str, int, int | None], None]
"""Called with a step in words, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Contents:
    """How many of each type there are, and a SHA-256 of all ids and payloads in the order of ids."""

    counts: dict[str, int]
    checksum: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of what the source has, what the target has too; *missing* and *different* are ids there, *extra* counts what is only there."""

    source: Contents
    target: Contents
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    extra: int = 0

    @property
    def agrees(self) -> bool:
        return self.source == self.target and not self.missing and not self.different


async def copy(source: MemoryStore, target: MemoryStore, report: Report) -> int:
    """Write to *target* what it lacks of *source*; how many that were. Raises ``StoreError``, and can be called again."""
    total = await source.count(None)
    done = written = 0
    async for page, there in _pages(source, target):
        written += await _write(source, target, [each for each in page if not _same(each, there.get(each.memory.id))])
        done += len(page)
        report("moving", done, total)
    return written


async def compare(source: MemoryStore, target: MemoryStore, report: Report) -> Comparison:
    """Read both, and say whether *target* has all of *source*. Raises ``StoreError``."""
    total, done = await source.count(None), 0
    here, there = _Sum(), _Sum()
    missing: list[str] = []
    different: list[str] = []
    async for page, found in _pages(source, target):
        for each in page:
            id_, other = each.memory.id, found.get(each.memory.id)
            here.add(each)
            if other is None:
                missing.append(id_)
                continue
            there.add(other)
            if not _same(each, other):
                different.append(id_)
        done += len(page)
        report("verifying", done, total)
    extra = await target.count(None) - sum(there.counts.values())
    return Comparison(here.contents, there.contents, missing, different, extra)


class _Sum:
    """Takes records in the order of their ids."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._hash = hashlib.sha256()

    def add(self, kept: Kept) -> None:
        self.counts[kept.memory.type] += 1
        self._hash.update(_text(kept).encode("utf-8", "surrogatepass"))

    @property
    def contents(self) -> Contents:
        return Contents(dict(sorted(self.counts.items())), self._hash.hexdigest())


def _text(kept: Kept) -> str:
    return json.dumps([kept.memory.id, to_payload(kept.owner, kept.memory)], sort_keys=True)


def _same(kept: Kept, other: Kept | None) -> bool:
    return other is not None and kept == other and _text(kept) == _text(other) and _is_near(kept.vector, other.vector)


def _is_near(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and (not one or math.dist(one, other) < _FAR)


async def _pages(source: MemoryStore, target: MemoryStore) -> AsyncIterator[tuple[Records, dict[str, Kept]]]:
    """Pages of *source*, each with what *target* has between its first and its last id."""
    after: str | None = None
    while page := await source.scan(after, limit=PAGE, vectors=True):
        last = page[-1].memory.id
        yield page, await _between(target, after, last)
        after = last


async def _between(store: MemoryStore, after: str | None, last: str) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    while page := await store.scan(after, limit=PAGE, vectors=True):
        found |= {each.memory.id: each for each in page if each.memory.id <= last}
        after = page[-1].memory.id
        if after >= last:
            break
    return found


async def _write(source: MemoryStore, target: MemoryStore, records: Records) -> int:
    around = await neighbours(source, records)
    entries: dict[Owner, list[Entry]] = {}
    for each in records:
        entry = Entry(each.memory, each.vector, around[each.memory.id])
        entries.setdefault(each.owner, []).append(entry)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def upsert(owner: Owner) -> None:
        async with gate:
            await target.upsert(owner, entries[owner])

    # All to their end: what still writes when this returns would write to a store that is being closed.
    for result in await asyncio.gather(*map(upsert, entries), return_exceptions=True):
        if result is not None:
            raise result
    return len(records)
