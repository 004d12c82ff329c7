"""The read path: a message → the notes that are shown with it, within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from time import perf_counter

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
from proxy.memory.ranking import Observed, Weights, rank, weighed
from proxy.memory.seldom import Seldom
from proxy.memory.selection import LeftOut, Present, select_memories, select_turns
from proxy.memory.store import Choice, MemoryStore, Pick, Query

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


@dataclass(slots=True)
class Course:
    """How recall came to what it found; filled in on the way, so that one that is late says how far it got.

    *query*: the text that was looked for. *candidates*: what fits it, best first. *passed_over*: the nearest of what doesn't.
    *profile*: ids. *dropped*: by id, why it is not shown; of those in the profile or shown with another it means nothing.
    *steps*: seconds by ``profile``, ``embed``, ``search`` and ``select``.
    """

    query: str | None = None
    candidates: Sequence[ScoredMemory] = ()
    passed_over: Sequence[Choice] = ()
    profile: tuple[str, ...] = ()
    dropped: dict[str, LeftOut] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.steps[name] = perf_counter() - began


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was found; *withdrawn*: ids of what was shown before and holds no longer. *trouble*: why it may be less than there is.

    *course*: how that came about.
    """

    notes: list[Note] = field(default_factory=list)
    withdrawn: frozenset[str] = frozenset()
    trouble: str | None = None
    course: Course = field(default_factory=Course, compare=False, repr=False)

    @property
    def steps(self) -> dict[str, float]:
        return self.course.steps


class _Tuned:
    """What follows from the options. It is replaced as a whole: a search under way goes on as it began.

    With it go the picks, by which ``RecentSearches`` tells searches apart: what was found with other options isn't found again.
    """

    def __init__(self, options: config.Recall, store: MemoryStore, redact: Redact) -> None:
        self.options = options
        self.weights = weights_of(options)
        self.pick = partial(rank, min_score=options.min_score, limit=_RANKED, weights=self.weights)
        self.pick_few = partial(self.pick, limit=max(_READ, 2 * (options.limit + options.turn_limit)))
        self.profile = Profile(
            store, token_budget=options.profile_token_budget, facts_token_budget=options.facts_token_budget, redact=redact
        )
        self.note_of_turn = partial(note_of_turn, redact=redact, with_reply=options.show_turns == "exchanges")

    @property
    def shows_turns(self) -> bool:
        return self.options.keep_turns and self.options.show_turns != "none"

    def why_not(self, choice: Choice) -> LeftOut:
        return LeftOut("floor" if (choice.scores.dense or 0.0) < self.options.min_score else "rank")


def weights_of(options: config.Recall) -> Weights:
    return Weights(
        dense=options.dense_weight,
        memory=options.memory_weight,
        session=options.session_weight,
        importance=options.importance_weight,
        recency=options.recency_weight,
        recency_days=options.recency_days,
    )


class Recall:
    """Finds memories, turns and what the user wants always, as *options* bounds them, for at most *at_once* messages at a time."""

    def __init__(
        self, store: MemoryStore, embedder: Embedder, options: config.Recall, *, redact: Redact = redact, at_once: int = 64
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._redact = redact
        self._deadline_s = options.deadline_ms / 1000
        self._at_once = at_once
        self._under_way = 0
        self._seldom = Seldom()
        self._note = partial(note_of, redact=redact)
        self.reconfigure(options)

    def reconfigure(self, options: config.Recall) -> None:
        """From the next message on. The deadline stays: the guards of store and embedder were made for it."""
        self._tuned = _Tuned(options, self._store, self._redact)

    async def recall(self, owner: Owner, asked: Asked) -> Recalled:
        """What to show *owner*'s model with a message. Never raises: a late or failing search finds nothing.

        Of more messages than it can look for at a time, the latest go without: no chat waits for the memories of others.
        """
        if not asked.text.strip():
            return Recalled()
        if self._under_way >= self._at_once:
            return self._without("busy", Course())
        self._under_way += 1
        course = Course()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._recall(owner, asked, self._tuned, course)
        except TimeoutError:
            return self._without("deadline", course)
        except StoreError:
            return Recalled(trouble="store", course=course)
        finally:
            self._under_way -= 1

    @property
    def under_way(self) -> int:
        """How many messages memories are looked for just now."""
        return self._under_way

    def _without(self, trouble: str, course: Course) -> Recalled:
        self._seldom.warn(f"going upstream without memories: {trouble}")
        return Recalled(trouble=trouble, course=course)

    async def find(self, owner: Owner, asked: Asked, *, as_of: datetime | None = None) -> list[ScoredMemory]:
        """The memories and turns of *owner* that fit a message, best first, each with how its score came about.

        Of a message without content words ("yes, do that") it is the last one that has some that is looked for.
        Without the embedder they are found by their words alone.
        """
        tuned, course = self._tuned, Course()
        query = await self._query(asked, tuned, course, as_of)
        return await self._search(owner, query, tuned.pick, tuned.weights, course) if query else []

    async def search(self, owner: Owner, query: Query, *, min_score: float, limit: int) -> list[ScoredMemory]:
        """What fits *query* as it stands, best first. *min_score*: the floor of similarity, in place of that of chats."""
        tuned = self._tuned
        return await self._search(owner, query, partial(tuned.pick, min_score=min_score, limit=limit), tuned.weights, Course())

    async def _query(self, asked: Asked, tuned: _Tuned, course: Course, as_of: datetime | None = None) -> Query | None:
        text = next((each for each in (asked.text, *reversed(asked.earlier)) if has_content(each)), None)
        if text is None:
            return None
        course.query = text = text.strip()[-_QUERY_CHARS:]
        with course.step("embed"):
            vector = await self._vector(text)
        return Query(text, vector, asked.session, as_of, turns=tuned.shows_turns)

    async def _vector(self, text: str) -> Vector | None:
        try:
            return await self._embedder.embed_query(text)
        except EmbedError:
            return None

    async def _search(self, owner: Owner, query: Query, pick: Pick, weights: Weights, course: Course) -> list[ScoredMemory]:
        with course.step("search"):
            found = await self._store.search(owner, query, limit=_CANDIDATES, pick=pick)
        when = query.as_of or clock.now()
        # A turn that is found by a memory of its own may have ended.
        course.dropped |= {each.memory.id: LeftOut("ended") for each in found if not each.memory.holds_at(when)}
        course.candidates = weighed(found, when, weights)
        return [each for each in course.candidates if each.memory.id not in course.dropped]

    async def _recall(self, owner: Owner, asked: Asked, tuned: _Tuned, course: Course) -> Recalled:
        # First, as without the store there is no use for the vector, which takes longest.
        with course.step("profile"):
            profile = [each for each in await tuned.profile.of(owner) if not asked.knows(each.memory)]
        course.profile = tuple(each.memory.id for each in profile)
        query = await self._query(asked, tuned, course)
        found = await self._found(owner, query, tuned, course) if query else []
        with course.step("select"):
            notes = [*profile, *await self._selected(owner, found, asked.present, tuned, course)]
            shown = asked.present.ids
            held = {id_ for id_, each in (await self._get(owner, shown)).items() if asked.present.was_shown(each)}
        return Recalled(notes, shown - held, trouble="embedder" if query and query.vector is None else None, course=course)

    async def _found(self, owner: Owner, query: Query, tuned: _Tuned, course: Course) -> list[ScoredMemory]:
        pick = Observed(tuned.pick_few)
        course.passed_over = pick.passed_over
        found = await self._search(owner, query, pick, tuned.weights, course)
        course.dropped |= {each.id: tuned.why_not(each) for each in pick.passed_over}
        return found

    async def _selected(
        self, owner: Owner, found: Sequence[ScoredMemory], present: Present, tuned: _Tuned, course: Course
    ) -> list[Note]:
        """Of what was *found*, the memories and then the turns that are shown beside the profile."""
        present = replace(present, ids=present.ids.union(course.profile))
        drop = course.dropped.setdefault
        memories = select_memories(found, present, limit=tuned.options.limit, drop=drop)
        turns = select_turns(found, present, memories, limit=tuned.options.turn_limit, drop=drop)
        notes_of_memories = [self._note(each) for each in await self._with_conflicts(owner, memories, present)]
        notes_of_turns = await self._notes_of_turns(owner, turns, tuned)
        kept = [
            *within_budget(notes_of_memories, tuned.options.token_budget - FRAME_TOKENS),
            *within_budget(notes_of_turns, tuned.options.turn_token_budget),
        ]
        too_long = {each.memory.id for each in (*notes_of_memories, *notes_of_turns)} - {each.memory.id for each in kept}
        course.dropped |= dict.fromkeys(too_long, LeftOut("budget"))
        return kept

    async def _with_conflicts(self, owner: Owner, found: Sequence[ScoredMemory], present: Present) -> list[Memory]:
        """Each memory, and behind it those that contradict it: the model can only settle what it sees."""
        memories = [each.memory for each in found]
        others = await self._get(owner, {each for memory in memories for each in memory.conflicts} - present.ids)
        pairs = [[memory, *(others[each] for each in memory.conflicts if each in others)] for memory in memories]
        return list({each.id: each for pair in pairs for each in pair}.values())

    async def _notes_of_turns(self, owner: Owner, found: Sequence[ScoredMemory], tuned: _Tuned) -> list[Note]:
        """Each turn, with the messages before and after it."""
        places = [(beside(turn.memory.id, -1), beside(turn.memory.id, 1)) for turn in found]
        there = await self._get(owner, {each for pair in places for each in pair if each is not None})
        return [
            tuned.note_of_turn(turn.memory, there.get(before or ""), there.get(after or ""))
            for turn, (before, after) in zip(found, places, strict=True)
        ]

    async def _get(self, owner: Owner, ids: Collection[str]) -> dict[str, Memory]:
        """Those of *ids* that hold now."""
        now = clock.now()
        return {each.id: each for each in await self._store.get(owner, sorted(ids)) if each.holds_at(now)} if ids else {}
