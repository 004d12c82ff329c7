"""The end of a memory: it stays in the store as a version of the past, and what hangs on it ends or is settled with it.

The turns that said it would bring it back, so they end too: those that it names, and those of which a sentence says the same
although no answer told so. Those that contradicted it contradict it no more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from proxy.core import places
from proxy.core.models import Memory, Owner
from proxy.core.restated import Relation, compare
from proxy.memory.store import Choice, Hits, MemoryStore, Query
from proxy.memory.validity import is_over

_TURNS_READ = 20
"""Of those that share words with it, the best."""

_WORDINESS = 4
"""A sentence that is so many times as long says more than it, and is not compared."""

_TICK = timedelta(microseconds=1)
_SENTENCE_END = re.compile(r"[.!?:;]\s|\n")


async def retire(store: MemoryStore, owner: Owner, gone: Sequence[Memory], at: datetime, *, keep: Collection[str]) -> None:
    """End *gone* at *at*, and the turns that said it but for those in *keep*."""
    turns = await turns_saying(store, owner, gone, at)
    others = [*(_ended(each, at) for each in turns if each.id not in keep), *await settled(store, owner, gone)]
    # The memories last: while they are there, what a crash left undone is found again.
    await store.revise(owner, [*others, *(_ended(each, at) for each in gone)])


async def settled(store: MemoryStore, owner: Owner, gone: Sequence[Memory]) -> list[Memory]:
    """Those that said otherwise than one of *gone*, and have nobody to contradict them in it now; not written yet."""
    ids = {each.id for each in gone}
    others = {id_ for each in gone for id_ in each.conflicts} - ids
    return [_without(each, ids) for each in await store.get(owner, sorted(others))] if others else []


async def current(store: MemoryStore, owner: Owner, ids: Collection[str], at: datetime) -> list[Memory]:
    """Those of *ids* that are *owner*'s own, and hold."""
    found = await store.get(owner, sorted(ids)) if ids else []
    return [each for each in found if each.scope != "global" and not is_over(each, at)]


async def turns_saying(store: MemoryStore, owner: Owner, gone: Sequence[Memory], at: datetime) -> list[Memory]:
    """The turns that said *gone* and hold at *at*: those that it names, and those of which a sentence says the same."""
    turns = {each.id: each for each in await current(store, owner, {id_ for each in gone for id_ in _named_turns(each)}, at)}
    for memory in gone:
        turns |= await _turns_like(store, owner, memory)
    return [each for each in turns.values() if each.id not in {memory.id for memory in gone}]


async def all_turns_saying(store: MemoryStore, owner: Owner, gone: Sequence[Memory]) -> list[Memory]:
    """The turns that said *gone*, also those that ended with one of them."""
    named = await store.get(owner, sorted({id_ for each in gone for id_ in _named_turns(each)}))
    turns = {each.id: each for each in named if each.is_turn}
    for memory in gone:
        turns |= await _turns_like(store, owner, memory)
        turns |= await _turns_like(store, owner, memory, as_of=memory.updated_at - _TICK)
    return [*turns.values()]


async def _turns_like(store: MemoryStore, owner: Owner, memory: Memory, as_of: datetime | None = None) -> dict[str, Memory]:
    """Those of which a sentence says the same as *memory*, and that hold now, or held at *as_of*."""
    query = Query(memory.content, None, as_of=as_of, turns=True)
    found = await store.search(owner, query, limit=_TURNS_READ, pick=_turns)
    return {each.memory.id: each.memory for each in found if await _says(each.memory, memory.content)}


def _named_turns(memory: Memory) -> tuple[str, ...]:
    """The first may have been pushed out of ``turns`` by later ones."""
    return (*memory.turns, places.turn_of(memory.id)) if places.has_place(memory.id) else memory.turns


def _turns(hits: Hits) -> list[Choice]:
    return [Choice(hit.id, hit.score) for hit in hits.turns_sparse]


async def _says(turn: Memory, content: str) -> bool:
    for sentence in _SENTENCE_END.split(turn.content):
        await asyncio.sleep(0)  # comparing takes half a millisecond, and others wait for the loop
        if len(sentence) <= _WORDINESS * len(content) and compare(content, sentence, 1.0) is Relation.SAME:
            return True
    return False


def _ended(memory: Memory, at: datetime) -> Memory:
    return replace(memory, valid_until=at, updated_at=at, conflicts=())


def _without(memory: Memory, gone: Collection[str]) -> Memory:
    return replace(memory, conflicts=tuple(id_ for id_ in memory.conflicts if id_ not in gone))
