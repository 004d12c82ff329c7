"""The end of memories: until when they hold, and what their end means to those that said otherwise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from proxy.core.models import Memory, Owner
from proxy.memory.store import MemoryStore


def is_over(memory: Memory, at: datetime) -> bool:
    return memory.valid_until is not None and memory.valid_until <= at


def until(at: datetime, days: int) -> datetime | None:
    """*days* after *at*; ``None``, for ever, if there are none."""
    return at + timedelta(days=days) if days else None


def longer(memory: Memory, end: datetime | None) -> datetime | None:
    """The later of *end* and the end that *memory* has."""
    return None if end is None or memory.valid_until is None else max(end, memory.valid_until)


def ended(memory: Memory, at: datetime) -> Memory:
    """*memory* as a version of the past, which contradicts nobody any more."""
    return replace(memory, valid_until=at, updated_at=at, conflicts=())


async def settled(store: MemoryStore, owner: Owner, gone: Sequence[Memory]) -> list[Memory]:
    """Those that said otherwise than one of *gone*, and have nobody to contradict them in it now; not written yet."""
    ids = {each.id for each in gone}
    others = {id_ for each in gone for id_ in each.conflicts} - ids
    return [_without(each, ids) for each in await store.get(owner, sorted(others))] if others else []


def _without(memory: Memory, gone: Collection[str]) -> Memory:
    return replace(memory, conflicts=tuple(id_ for id_ in memory.conflicts if id_ not in gone))
