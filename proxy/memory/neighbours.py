"""The turns before and after turns, which those borrow from to be found (``indexing.py``), for whoever indexes stored ones anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from proxy.core import places
from proxy.core.models import Memory, Owner
from proxy.memory.store import Kept, MemoryStore

Around = dict[str, tuple[Memory, ...]]
_NOBODY: Mapping[str, Memory] = MappingProxyType({})


async def neighbours(store: MemoryStore, records: Sequence[Kept], known: Mapping[str, Memory] = _NOBODY) -> Around:
    """By id, the turns that stand beside each of *records*, as far as they are there; nothing for what is no turn.

    *known*: others of the same owners, by id, that need not be read, or are not there yet.
    """
    there = {**known, **{each.memory.id: each.memory for each in records}}
    wanted = {each.memory.id: _beside(each.memory) for each in records}
    missing: dict[Owner, set[str]] = {}
    for each in records:
        if absent := wanted[each.memory.id] - there.keys():
            missing.setdefault(each.owner, set()).update(absent)
    for owner, ids in missing.items():
        there |= {each.id: each for each in await store.get(owner, sorted(ids))}
    return {id_: tuple(there[other] for other in sorted(others) if other in there) for id_, others in wanted.items()}


def _beside(memory: Memory) -> set[str]:
    if not (memory.is_turn and places.is_turn(memory.id)):
        return set()
    return {other for by in (-1, 1) if (other := places.beside(memory.id, by)) is not None}
