"""Memories that leave with people and come back: everything of an owner, of a tenant or of all, and the way in for it.

What is brought gets the same treatment as what is told: no secret is written, and what reads as an order is marked.
The same brought twice changes nothing. A vector that comes along is taken if the same model made it; else the text is embedded anew.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from proxy.core import places
from proxy.core.models import Memory, Owner
from proxy.core.poison import reads_as_order
from proxy.memory import clock
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.remember import Keeping, Remember
from proxy.memory.store import Entry, Kept, MemoryStore

_PAGE = 250
_SLICE = 250
"""Brought in one step: between two, what chats told gets its turn."""

_BREATH = 20
_IDS = uuid.UUID("7f3f5a53-13e7-4f43-8f77-9c1f2a7d5c64")


@dataclass(frozen=True, slots=True)
class Brought:
    """How many were not there before, and how many were."""

    created: int = 0
    updated: int = 0


class Transfer:
    def __init__(self, store: MemoryStore, embedder: Embedder, remember: Remember, options: Keeping) -> None:
        self._store = store
        self._embedder = embedder
        self._remember = remember
        self._options = options

    @property
    def model(self) -> str:
        """Whose vectors are exported, and taken."""
        return self._embedder.name

    async def export(self, whose: Owner | str | None, *, turns: bool, vectors: bool) -> AsyncIterator[list[Kept]]:
        """Everything, as ``MemoryStore.scan`` has it, in pages; without *turns* only memories."""
        after = None
        while page := await self._store.scan(after, limit=_PAGE, whose=whose, vectors=vectors):
            after = page[-1].memory.id
            yield [each for each in page if turns or not each.memory.is_turn]

    async def bring(self, arrivals: Sequence[Kept]) -> Brought:
        """Store *arrivals*; without a vector they are embedded. What is stored when this fails is the same if it is brought again."""
        by_id = {each.memory.id: each.memory for each in arrivals}
        created = 0
        for start in range(0, len(arrivals), _SLICE):
            some = [each async for each in self._cleaned(arrivals[start : start + _SLICE])]
            for owner in dict.fromkeys(each.owner for each in some):
                created += await self._bring(owner, [each for each in some if each.owner == owner], by_id)
        return Brought(created, len(by_id) - created)

    async def _cleaned(self, arrivals: Iterable[Kept]) -> AsyncIterator[Kept]:
        for n, each in enumerate(arrivals):
            if n % _BREATH == 0:
                await asyncio.sleep(0)  # secrets are looked for in a tenth of a millisecond each, and others wait for the loop
            memory = each.memory
            content = self._options.redact(memory.content).text
            reply = memory.reply and self._options.redact(memory.reply).text
            cleaned = replace(memory, content=content, reply=reply, flagged=reads_as_order(content))
            yield Kept(each.owner, cleaned, each.vector if content == memory.content else ())

    async def _bring(self, owner: Owner, arrivals: Sequence[Kept], by_id: Mapping[str, Memory]) -> int:
        around = await self._around(owner, arrivals, by_id)
        vectors = await self._vectors(arrivals, around)
        entries = [Entry(each.memory, vectors[each.memory.id], around[each.memory.id]) for each in arrivals]
        async with self._remember.writing:
            known = await self._store.get(owner, [each.memory.id for each in arrivals])
            await self._store.upsert(owner, entries)
            created = len(vectors) - len(known)
            await self._remember.made(owner, created, clock.now())
        return created

    async def _around(self, owner: Owner, arrivals: Sequence[Kept], by_id: Mapping[str, Memory]) -> dict[str, list[Memory]]:
        """By turn, the turns before and after it, if they come along or are there."""
        beside = {each.memory.id: _beside(each.memory) for each in arrivals}
        missing = {id_ for ids in beside.values() for id_ in ids} - by_id.keys()
        there = {each.id: each for each in await self._store.get(owner, sorted(missing))} if missing else {}
        known = {**there, **by_id}
        return {id_: [known[each] for each in ids if each in known] for id_, ids in beside.items()}

    async def _vectors(self, arrivals: Sequence[Kept], around: Mapping[str, Sequence[Memory]]) -> dict[str, Vector]:
        vectors: dict[str, Vector] = {each.memory.id: each.vector for each in arrivals if each.vector}
        bare = [each.memory for each in arrivals if not each.vector]
        texts = [dense_text(each) for memory in bare for each in (memory, *around[memory.id])]
        by_text = dict(zip(texts, await self._embedder.embed_documents(texts), strict=True))
        for memory in bare:
            own, *others = [by_text[dense_text(each)] for each in (memory, *around[memory.id])]
            vectors[memory.id] = dense_vector(memory, own, others) if memory.is_turn else own
        return vectors


def given_to(owner: Owner, memory: Memory) -> Memory:
    """*memory* as a copy for *owner*: with ids that are its own, and always the same, also where it names others."""

    def moved(id_: str) -> str:
        return places.moved(owner, id_) if places.has_place(id_) else str(uuid.uuid5(_IDS, f"{owner.key}\x1f{id_}"))

    return replace(
        memory,
        id=moved(memory.id),
        replaces=memory.replaces and moved(memory.replaces),
        conflicts=tuple(map(moved, memory.conflicts)),
        turns=tuple(map(moved, memory.turns)),
    )


def _beside(memory: Memory) -> list[str]:
    if not (memory.is_turn and places.is_turn(memory.id)):
        return []
    return [each for each in (places.beside(memory.id, -1), places.beside(memory.id, 1)) if each is not None]
