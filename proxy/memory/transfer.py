"""Memories that leave with people and come back: everything of an owner, of a tenant or of all, and the way in for it.

What is brought gets the same treatment as what is told: no secret is written, and what reads as an order is marked.
The same brought twice changes nothing. A vector that comes along is taken if the same model made it; else the text is embedded anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proxy.core import places
from proxy.core.models import KEYED, Memory, Owner
from proxy.core.poison import reads_as_order
from proxy.memory import clock
from proxy.memory.curation import without_secrets
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.neighbours import neighbours
from proxy.memory.pace import Pace
from proxy.memory.remember import Keeping, Remember
from proxy.memory.store import Entry, Kept, MemoryStore, Which
from proxy.memory.validity import is_over

_PAGE = 250
_SLICE = 250
"""Brought in one step: between two, what chats told gets its turn."""

_OF_ONE_NAME = 100
"""Facts, at most, that are brought under the same name."""


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

    @property
    def dimensions(self) -> int:
        """Of these vectors."""
        return self._embedder.dimensions

    async def export(self, whose: Owner | str | None, *, turns: bool, vectors: bool) -> AsyncIterator[list[Kept]]:
        """Everything, as ``MemoryStore.scan`` has it, in pages; without *turns* only memories."""
        after = None
        while page := await self._store.scan(after, limit=_PAGE, whose=whose, vectors=vectors):
            after = page[-1].memory.id
            yield [each for each in page if turns or not each.memory.is_turn]

    async def taken(self, arrivals: Sequence[Kept]) -> set[str]:
        """The ids of those *arrivals* that are already there, and another's."""
        taken: set[str] = set()
        for some in _slices(arrivals):
            owners = await self._store.owners_of([each.memory.id for each in some])
            taken |= {each.memory.id for each in some if owners.get(each.memory.id, each.owner) != each.owner}
        return taken

    async def bring(self, arrivals: list[Kept]) -> Brought:
        """Store *arrivals*, which it takes; those without a vector are embedded.

        What is stored when this fails is the same if it is brought again.
        """
        created = updated = 0
        by_owner = await self._cleaned(arrivals)
        while by_owner:
            owner, theirs = by_owner.popitem()
            by_id = {id_: each.memory for id_, each in theirs.items()}
            new = 0
            for some in _slices([*theirs.values()]):
                new += await self._bring(owner, some, by_id)
            created, updated = created + new, updated + len(theirs) - new
            await _let_go(theirs, by_id)
        return Brought(created, updated)

    async def _cleaned(self, arrivals: list[Kept]) -> dict[Owner, dict[str, Kept]]:
        """By owner and id."""
        pace, by_owner = Pace(), dict[Owner, dict[str, Kept]]()
        arrivals.reverse()
        while arrivals:
            each = arrivals.pop()
            memory = self._without_secrets(each.memory)
            kept = Kept(each.owner, memory, each.vector if memory.content == each.memory.content else ())
            by_owner.setdefault(each.owner, {})[memory.id] = kept
            await pace.step()
        return by_owner

    def _without_secrets(self, memory: Memory) -> Memory:
        content, reply, speaker = [
            text and self._options.redact(text).text for text in (memory.content, memory.reply, memory.speaker)
        ]
        metadata = without_secrets(memory.metadata, self._options)
        flagged = not memory.is_turn and reads_as_order(content or "")
        return replace(memory, content=content or "", reply=reply, speaker=speaker, metadata=metadata, flagged=flagged)

    async def _bring(self, owner: Owner, arrivals: Sequence[Kept], by_id: Mapping[str, Memory]) -> int:
        around, model = await neighbours(self._store, arrivals, by_id), self.model
        vectors = await self._vectors(arrivals, around)
        async with self._remember.writing:
            if self.model != model:
                # The store was moved to another one meanwhile, of which no vector came along.
                vectors = await self._vectors([replace(each, vector=()) for each in arrivals], around)
            entries = [Entry(each.memory, vectors[each.memory.id], around[each.memory.id]) for each in arrivals]
            known = await self._store.get(owner, [each.memory.id for each in arrivals])
            await self._store.upsert(owner, entries)
            await self._settle_facts(owner, [each.memory for each in arrivals])
            created = len(arrivals) - len(known)
            await self._remember.made(owner, created, clock.now())
        return created

    async def _settle_facts(self, owner: Owner, brought: Sequence[Memory]) -> None:
        """Of facts with the same name, the one that was set last holds."""
        now = clock.now()
        for key in {each.key for each in brought if each.type == KEYED and not is_over(each, now)}:
            found = await self._store.list(owner, Which((KEYED,), key=key), limit=_OF_ONE_NAME)
            *others, _ = sorted(found, key=lambda each: (each.updated_at, each.id))
            if others:
                await self._store.revise(owner, [replace(each, valid_until=now, updated_at=now) for each in others])

    async def _vectors(self, arrivals: Sequence[Kept], around: Mapping[str, Sequence[Memory]]) -> dict[str, Vector]:
        vectors: dict[str, Vector] = {each.memory.id: each.vector for each in arrivals if each.vector}
        bare = [each.memory for each in arrivals if not each.vector]
        texts = [dense_text(each) for memory in bare for each in (memory, *around[memory.id])]
        by_text = dict(zip(texts, await self._embedder.embed_documents(texts), strict=True))
        for memory in bare:
            own, *others = [by_text[dense_text(each)] for each in (memory, *around[memory.id])]
            vectors[memory.id] = dense_vector(memory, own, others) if memory.is_turn else own
        return vectors


def given_to(source: Owner, target: Owner, memory: Memory) -> Memory:
    """*source*'s *memory* as a copy for *target*: with ids of its own, also where it names others, and on the way back the same again."""

    def moved(id_: str) -> str:
        return places.moved(source, target, id_)

    return replace(
        memory,
        id=moved(memory.id),
        replaces=memory.replaces and moved(memory.replaces),
        conflicts=tuple(map(moved, memory.conflicts)),
        turns=tuple(map(moved, memory.turns)),
    )


async def _let_go(*held: dict[str, Any]) -> None:
    """One by one: to free ten thousand memories at once takes longer than others should wait."""
    pace = Pace()
    for each in held:
        while each:
            each.popitem()
            await pace.step()


def _slices(arrivals: Sequence[Kept]) -> list[Sequence[Kept]]:
    return [arrivals[start : start + _SLICE] for start in range(0, len(arrivals), _SLICE)]
