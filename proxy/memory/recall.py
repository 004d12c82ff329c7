"""The read path: a message → the notes that are shown with it, within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from proxy import config
from proxy.core.chatter import has_content
from proxy.core.context import FRAME_TOKENS, Note, Redact, note_of, note_of_turn, within_budget
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.core.places import beside
from proxy.core.redaction import redact
from proxy.errors import EmbedError, StoreError
from proxy.memory import clock
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.profile import Profile
from proxy.memory.ranking import rank, weighed
from proxy.memory.seldom import Seldom
from proxy.memory.selection import Present, select_memories, select_turns
from proxy.memory.store import MemoryStore, Pick, Query

_CANDIDATES = 50
_RANKED = 40
_READ = 16
"""Of those ranked, for a chat: it shows a few, and some are left out for others."""

_QUERY_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that memories are looked for: its *text*, those of the user's before it, and what its conversation has *present*."""

    text: str
    earlier: Sequence[str] = ()
    session: str | None = None
    present: Present = field(default_factory=Present)

    def knows(self, memory: Memory) -> bool:
        """Whether the conversation has *memory* already: it was shown, or said in it."""
        return self.present.has(memory) or (bool(self.earlier) and memory.session is not None and memory.session == self.session)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was found; *withdrawn*: ids of what was shown before and holds no longer. *trouble*: why it may be less than there is."""

    notes: list[Note] = field(default_factory=list)
    withdrawn: frozenset[str] = frozenset()
    trouble: str | None = None


class Recall:
    """Finds memories, turns and what the user wants always, as *options* bounds them, for at most *at_once* messages at a time."""

    def __init__(
        self, store: MemoryStore, embedder: Embedder, options: config.Recall, *, redact: Redact = redact, at_once: int = 64
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._options = options
        self._at_once = at_once
        self._under_way = 0
        self._seldom = Seldom()
        self._profile = Profile(store, token_budget=options.profile_token_budget, redact=redact)
        self._note = partial(note_of, redact=redact)
        self._note_of_turn = partial(note_of_turn, redact=redact, with_reply=options.show_turns == "exchanges")
        self._pick = partial(rank, min_score=options.min_score, limit=_RANKED)
        self._pick_few = partial(rank, min_score=options.min_score, limit=_READ)

    async def recall(self, owner: Owner, asked: Asked) -> Recalled:
        """What to show *owner*'s model with a message. Never raises: a late or failing search finds nothing.

        Of more messages than it can look for at a time, the latest go without: no chat waits for the memories of others.
        """
        if not asked.text.strip():
            return Recalled()
        if self._under_way >= self._at_once:
            return self._without("busy")
        self._under_way += 1
        try:
            async with asyncio.timeout(self._options.deadline_ms / 1000):
                return await self._recall(owner, asked)
        except TimeoutError:
            return self._without("deadline")
        except StoreError:
            return Recalled(trouble="store")
        finally:
            self._under_way -= 1

    @property
    def under_way(self) -> int:
        """How many messages memories are looked for just now."""
        return self._under_way

    def _without(self, trouble: str) -> Recalled:
        self._seldom.warn(f"going upstream without memories: {trouble}")
        return Recalled(trouble=trouble)

    async def find(self, owner: Owner, asked: Asked, *, as_of: datetime | None = None) -> list[ScoredMemory]:
        """The memories and turns of *owner* that fit a message, best first, each with how its score came about.

        Of a message without content words ("yes, do that") it is the last one that has some that is looked for.
        Without the embedder they are found by their words alone.
        """
        query = await self._query(asked, as_of)
        return await self._search(owner, query, self._pick) if query else []

    async def _query(self, asked: Asked, as_of: datetime | None = None) -> Query | None:
        text = next((each for each in (asked.text, *reversed(asked.earlier)) if has_content(each)), None)
        if text is None:
            return None
        text = text.strip()[-_QUERY_CHARS:]
        return Query(text, await self._vector(text), asked.session, as_of, turns=self._shows_turns)

    async def _vector(self, text: str) -> Vector | None:
        try:
            return await self._embedder.embed_query(text)
        except EmbedError:
            return None

    async def _search(self, owner: Owner, query: Query, pick: Pick) -> list[ScoredMemory]:
        found = await self._store.search(owner, query, limit=_CANDIDATES, pick=pick)
        when = query.as_of or clock.now()
        # A turn that is found by a memory of its own may have ended.
        return weighed((each for each in found if each.memory.holds_at(when)), when)

    @property
    def _shows_turns(self) -> bool:
        return self._options.keep_turns and self._options.show_turns != "none"

    async def _recall(self, owner: Owner, asked: Asked) -> Recalled:
        # First, as without the store there is no use for the vector, which takes longest.
        profile = [each for each in await self._profile.of(owner) if not asked.knows(each.memory)]
        query = await self._query(asked)
        found = await self._search(owner, query, self._pick_few) if query else []
        present = replace(asked.present, ids=asked.present.ids | {note.memory.id for note in profile})
        memories = select_memories(found, present, limit=self._options.limit)
        turns = select_turns(found, present, memories, limit=self._options.turn_limit)
        notes = [
            *profile,
            *within_budget(
                [self._note(each) for each in await self._with_conflicts(owner, memories, present)],
                self._options.token_budget - FRAME_TOKENS,
            ),
            *within_budget(await self._notes_of_turns(owner, turns), self._options.turn_token_budget),
        ]
        shown = asked.present.ids
        withdrawn = shown - (await self._get(owner, shown)).keys()
        return Recalled(notes, withdrawn, trouble="embedder" if query and query.vector is None else None)

    async def _with_conflicts(self, owner: Owner, found: Sequence[ScoredMemory], present: Present) -> list[Memory]:
        """Each memory, and behind it those that contradict it: the model can only settle what it sees."""
        memories = [each.memory for each in found]
        others = await self._get(owner, {each for memory in memories for each in memory.conflicts} - present.ids)
        pairs = [[memory, *(others[each] for each in memory.conflicts if each in others)] for memory in memories]
        return list({each.id: each for pair in pairs for each in pair}.values())

    async def _notes_of_turns(self, owner: Owner, found: Sequence[ScoredMemory]) -> list[Note]:
        """Each turn, with the messages before and after it."""
        places = [(beside(turn.memory.id, -1), beside(turn.memory.id, 1)) for turn in found]
        there = await self._get(owner, {each for pair in places for each in pair if each is not None})
        return [
            self._note_of_turn(turn.memory, there.get(before or ""), there.get(after or ""))
            for turn, (before, after) in zip(found, places, strict=True)
        ]

    async def _get(self, owner: Owner, ids: Collection[str]) -> dict[str, Memory]:
        """Those of *ids* that hold now."""
        now = clock.now()
        return {each.id: each for each in await self._store.get(owner, sorted(ids)) if each.holds_at(now)} if ids else {}
