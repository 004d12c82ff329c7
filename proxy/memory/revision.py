"""What one answer tells, worked into what its owner's memories say already.

Each statement is known (it strengthens the memory that says the same), corrects an old one (which stays in the store as a
version of the past), contradicts one that nobody corrected (both stay, marked, for a later answer to settle), or is new.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from proxy.core import places
from proxy.core.items import Item
from proxy.core.models import KEYED, Memory
from proxy.core.poison import reads_as_order
from proxy.core.restated import Relation, compare
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.figures import Figures
from proxy.memory.heard import Heard
from proxy.memory.keep_turn import Kept
from proxy.memory.retirement import current, retire
from proxy.memory.said import Keeping
from proxy.memory.store import Choice, Entry, Hits, MemoryStore, Query, Which, digest
from proxy.memory.told import Told
from proxy.memory.validity import is_over, longer, until
from proxy.memory.worth import IMPORTANCE_OF

_CANDIDATES = 20
_MIN_COSINE = 0.25
"""What is less alike is only compared if it shares words; ``core/restated`` has floors of its own."""

_BY_WORDS = 10
"""How many are compared because of the words that they share, best first."""

_MAX_LINKS = 20
"""Of the turns that said it, and of the memories that it contradicts, a memory names so many: the latest."""

_MAX_VERSIONS = 100
"""That are looked through for the one which an answer names."""

_EVER = Which(past=True)
_IDS = uuid.UUID("5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6")


@dataclass(frozen=True, slots=True)
class Near:
    """A memory, and how a new statement relates to it."""

    memory: Memory
    relation: Relation


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one item: ``stored`` as the memory *id*, a ``duplicate`` of it, or ``nothing``, as it was forgotten meanwhile.

    *replaces* and *contradicts*: ids of memories that it ends, and of those that say otherwise.
    """

    became: Literal["stored", "duplicate", "nothing"]
    id: str | None = None
    replaces: str | None = None
    contradicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revised:
    """The *fates* of an answer's items, in their order, and the ids of the memories that it *ended*."""

    fates: tuple[Fate, ...] = ()
    ended: tuple[str, ...] = ()


class Revision:
    """That of one answer; *turn* is where the message is kept that it answers.

    Done again after a crash, whatever was done of it, it comes to the same: ids are the same, what this very answer has made
    or strengthened is not strengthened by it, and each write leaves behind what the next ones are found by.
    """

    def __init__(self, store: MemoryStore, heard: Heard, *, turn: Kept | None, options: Keeping, figures: Figures) -> None:
        self._store = store
        self._heard = heard
        self._at = heard.at
        self._turn = turn
        self._options = options
        self._figures = figures
        self._shown = heard.shown
        self._named: frozenset[str] = frozenset()  # what the answer may retire
        self._keys: dict[str, str] = {}  # of facts that it may retire: the new version has the same name
        self._retiring: set[str] = set()
        self._met: set[str] = set()  # what it has stored or strengthened

    async def write(self, embedder: Embedder) -> Revised:
        """Store what is new, strengthen what isn't, retire what is corrected or forgotten."""
        told = self._heard.told
        named = await current(self._store, self._heard.owner, told.forgotten | told.replaced, self._at)
        self._named = frozenset(each.id for each in named)
        self._keys = _keys(named)
        self._retiring |= self._named & told.forgotten
        vectors = await self._vectors_of_new(told, embedder)
        # One by one, so that what restates an earlier item of the same answer is seen too.
        fates = [await self._learn(item, vectors.get(key)) for key, item in told.items.items()]
        gone = await current(self._store, self._heard.owner, self._retiring, self._at)
        if gone:
            await retire(self._store, self._heard.owner, gone, self._at, keep=self._turns)
            self._figures.retired += len(gone)
        return Revised(tuple(fates), tuple(each.id for each in gone))

    async def _vectors_of_new(self, told: Told, embedder: Embedder) -> dict[str, Vector]:
        """By digest, those of the items of which none is stored word for word."""
        known = {digest(each.content) for each in await self._equal(*told.items.values())}
        new = {key: item.content for key, item in told.items.items() if key not in known}
        return dict(zip(new, await embedder.embed_documents(list(new.values())), strict=True)) if new else {}

    async def _learn(self, item: Item, vector: Vector | None) -> Fate:
        near = await self._near(item, vector)
        same = [each.memory for each in near if each.relation is Relation.SAME]
        if item.replaces is not None and item.replaces in self._named - {each.id for each in same}:
            self._retiring.add(item.replaces)
        if same:
            return await self._restate(item, same)
        if vector is None:
            return Fate("nothing")
        return await self._add(item, vector, [each.memory for each in near if self._is_contradicted(each, item)])

    # What is known.

    async def _near(self, item: Item, vector: Vector | None) -> list[Near]:
        """The memories that *item* could restate or contradict; without a vector, those that say the same word for word."""
        if vector is None:
            return [Near(each, Relation.SAME) for each in await self._equal(item)]
        query = Query(item.content, vector, session=self._heard.conversation, as_of=self._heard.as_of)
        found = await self._store.search(self._heard.owner, query, limit=_CANDIDATES, pick=_alike)
        near = []
        for each in found:
            await asyncio.sleep(0)  # comparing takes half a millisecond, and others wait for the loop
            if self._holds_for(each.memory, item):
                near.append(Near(each.memory, compare(item.content, each.memory.content, each.score)))
        return near

    async def _equal(self, *items: Item) -> list[Memory]:
        by_digest = {digest(each.content): each for each in items}
        found = await self._store.find(self._heard.owner, [each.content for each in items], _EVER) if items else []
        return [each for each in found if not is_over(each, self._at) and self._holds_for(each, by_digest[digest(each.content)])]

    def _holds_for(self, memory: Memory, item: Item) -> bool:
        """Whether *memory* holds wherever *item* is to hold; what all users share is nobody's to strengthen or correct."""
        if memory.scope == "session":
            return item.scope == "session" and memory.session == self._heard.conversation
        return memory.scope == "user"

    def _is_contradicted(self, near: Near, item: Item) -> bool:
        memory = near.memory
        return (
            near.relation is Relation.CONFLICT
            and memory.scope == item.scope
            and memory.id not in self._named
            and memory.id not in self._retiring
        )

    # What is said again.

    async def _restate(self, item: Item, same: Sequence[Memory]) -> Fate:
        self._figures.restated += 1
        memory = max(same, key=lambda each: (each.id == item.replaces, each.scope == item.scope))
        if memory.trace == self._heard.trace and memory.replaces is not None:
            self._retiring.add(memory.replaces)
        if self._is_news(item, memory, same):
            self._met.add(memory.id)
            await self._store.revise(self._heard.owner, [self._strengthened(memory, item)])
        if memory.trace == self._heard.trace and memory.id == self._id(item):
            return _stored(memory)  # in an earlier attempt
        return Fate("duplicate", memory.id, item.replaces if item.replaces in self._retiring else None)

    def _is_news(self, item: Item, memory: Memory, same: Sequence[Memory]) -> bool:
        """Whether the user has said it again: a model repeats what it was shown, and a retry what was stored a moment ago.

        It doesn't repeat what it gives as a correction.
        """
        ids = {each.id for each in same}
        if any(each.has_from(self._heard.trace) for each in same):
            return False
        if ids & (self._met | self._retiring) or (ids & self._shown and item.replaces not in self._named):
            return False
        return self._turn is None or not self._turn.again or self._turn.id not in memory.turns

    def _strengthened(self, memory: Memory, item: Item) -> Memory:
        lasting = memory.valid_until
        if memory.type == "contextual":
            lasting = longer(memory, until(self._at, self._options.context_days))
        return replace(
            memory,
            access_count=memory.access_count + 1,
            last_accessed_at=self._at,
            last_trace=self._heard.trace,
            importance=max(memory.importance, _importance(item)),
            turns=tuple(dict.fromkeys([*memory.turns, *self._turns]))[-_MAX_LINKS:],
            valid_until=lasting,
        )

    @property
    def _turns(self) -> tuple[str, ...]:
        return () if self._turn is None else (self._turn.id,)

    # What is new.

    async def _add(self, item: Item, vector: Vector, contradicted: Sequence[Memory]) -> Fate:
        replaced = await self._replaced(item, contradicted)
        rivals = [] if replaced else contradicted
        memory = self._memory(item, replaced, rivals)
        # First the others: were the new one there already, nothing would say that they lack a link to it.
        if rivals:
            await self._store.revise(self._heard.owner, [_linked(each, memory.id) for each in rivals])
        await self._store.upsert(self._heard.owner, [Entry(memory, vector)])
        self._met.add(memory.id)
        self._figures.stored += 1
        self._figures.flagged += memory.flagged
        self._figures.conflicts += bool(rivals)
        return _stored(memory)

    async def _replaced(self, item: Item, contradicted: Sequence[Memory]) -> str | None:
        """The id of the memory that *item* corrects.

        A conversation goes on naming what it was shown, although that has been corrected since: then the correction is meant.
        """
        if item.replaces is None or item.replaces in self._named:
            return item.replaces
        for each in contradicted:
            if await self._descends(each, item.replaces):
                self._retiring.add(each.id)
                self._keys |= _keys([each])
                return each.id
        return None

    async def _descends(self, memory: Memory, ancestor: str) -> bool:
        """Whether *memory* is a later version of *ancestor*."""
        for _ in range(_MAX_VERSIONS):
            if memory.replaces in (None, ancestor):
                break
            earlier = await self._store.get(self._heard.owner, [memory.replaces])
            if not earlier:
                break
            memory = earlier[0]
        return memory.replaces == ancestor

    def _memory(self, item: Item, replaced: str | None, rivals: Sequence[Memory]) -> Memory:
        key = self._keys.get(replaced or "")
        type_ = item.type if key is None else KEYED
        return Memory(
            id=self._id(item),
            content=item.content,
            created_at=self._at,
            updated_at=self._at,
            type=type_,
            importance=IMPORTANCE_OF[type_] if item.importance is None else item.importance,
            key=key,
            scope=item.scope,
            session=self._heard.conversation,
            valid_until=until(self._at, self._options.context_days) if type_ == "contextual" else None,
            replaces=replaced,
            conflicts=tuple(each.id for each in rivals),
            flagged=reads_as_order(item.content),
            trace=self._heard.trace,
            model=self._heard.model,
            turns=self._turns,
        )

    def _id(self, item: Item) -> str:
        """It follows from the turn or the request, so a retry makes the same."""
        if self._turn is not None:
            return places.memory_id(self._turn.id, item.content)
        return str(uuid.uuid5(_IDS, f"{self._heard.owner.key}\x1f{self._heard.trace}\x1f{digest(item.content)}"))


def _alike(hits: Hits) -> list[Choice]:
    """By meaning, and by words: of short statements with rare names in them, such as where one studies, only the verb is alike."""
    cosines = {hit.id: hit.score for hit in hits.dense}
    near = [id_ for id_, cosine in cosines.items() if cosine >= _MIN_COSINE]
    return [Choice(id_, cosines.get(id_, 0.0)) for id_ in dict.fromkeys([*near, *(hit.id for hit in hits.sparse[:_BY_WORDS])])]


def _keys(memories: Sequence[Memory]) -> dict[str, str]:
    return {each.id: each.key for each in memories if each.key is not None}


def _stored(memory: Memory) -> Fate:
    return Fate("stored", memory.id, memory.replaces, memory.conflicts)


def _linked(memory: Memory, id_: str) -> Memory:
    return replace(memory, conflicts=tuple(dict.fromkeys([*memory.conflicts, id_]))[-_MAX_LINKS:])


def _importance(item: Item) -> float:
    return IMPORTANCE_OF[item.type] if item.importance is None else item.importance
