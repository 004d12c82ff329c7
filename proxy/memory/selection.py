"""What was found, best first → what is shown. Pure functions.

Left out is what the conversation has already: what it was shown before, and turns whose message is among its own.
Left out is also what says again what is chosen already, so that five phrasings of one thing don't fill the budget;
and a turn of which a memory is chosen, as the memory says it shorter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import dist
from typing import Literal, NamedTuple

from proxy.core.models import Memory, ScoredMemory
from proxy.core.places import has_place, turn_of

SAME_MEANING = 0.85
"""Cosine similarity from which two memories are taken for phrasings of one thing, unless they differ in a number or a negation."""

_TELLING = re.compile(r"\d+(?:[.,:/-]\d+)*|\b(?:no|not|never|without|former|formerly)\b|n't\b", re.IGNORECASE)


_HEAD_CHARS = 200
_REDACTED = "[redacted"


@dataclass(frozen=True, slots=True)
class Present:
    """What a conversation has already: *ids* of what it was shown, and how the *texts* of its own user messages begin.

    *shown_at*: when, by id; a memory that was edited since is not what it was shown.
    """

    ids: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    session: str | None = None
    shown_at: Mapping[str, datetime] = field(default_factory=dict)

    def has(self, memory: Memory) -> bool:
        return self.was_shown(memory) or (memory.is_turn and self._says(memory))

    def was_shown(self, memory: Memory) -> bool:
        """In these words."""
        if memory.id not in self.ids:
            return False
        shown_at = self.shown_at.get(memory.id)
        return memory.is_turn or shown_at is None or memory.updated_at <= shown_at

    def _says(self, turn: Memory) -> bool:
        # A turn that was stored without its secret is no longer to be found by its text.
        return head(turn.content) in self.texts or (turn.session == self.session and _REDACTED in head(turn.content))


class LeftOut(NamedTuple):
    """Why something that was found is not shown, and for the sake of which memory, if it is one's.

    ``shown``: the conversation has it already. ``said``: it is one of its own messages. ``same``: says the same as *of*.
    ``turn``: *of* was told in it, and is shorter. ``limit``, ``budget``: there was no more room. ``ended``: holds no longer.
    ``floor``: not near enough. ``rank``: others fit better. ``late``: it was found, and then there was no time for it.
    """

    why: Literal["shown", "said", "same", "turn", "limit", "budget", "ended", "floor", "rank", "late"]
    of: str | None = None


Drop = Callable[[str, LeftOut], object]
"""Is told the id of each memory that is left out, and why."""


def in_silence(_id: str, _why: LeftOut) -> None: ...


def head(text: str) -> str:
    """As much of a message as tells it from others; a long one is not stored whole."""
    return text.strip()[:_HEAD_CHARS]


def select_memories(
    found: Iterable[ScoredMemory], present: Present, *, limit: int, drop: Drop = in_silence
) -> list[ScoredMemory]:
    """At most *limit* memories, no turns."""
    memories = (each for each in found if not each.memory.is_turn)
    return _diverse(_absent(memories, present, drop), [], limit, drop)


def select_turns(
    found: Iterable[ScoredMemory],
    present: Present,
    memories: Sequence[ScoredMemory],
    *,
    limit: int,
    drop: Drop = in_silence,
) -> list[ScoredMemory]:
    """At most *limit* turns that say more than the chosen *memories* and what was shown before."""
    told = {turn_of(each): each for each in present.ids if has_place(each)}
    told |= {turn: each.memory.id for each in memories for turn in sources(each.memory)}
    turns = (each for each in found if each.memory.is_turn)
    return _diverse(_untold(_absent(turns, present, drop), told, drop), memories, limit, drop)


def _absent(found: Iterable[ScoredMemory], present: Present, drop: Drop) -> Iterator[ScoredMemory]:
    for each in found:
        if present.has(each.memory):
            drop(each.memory.id, LeftOut("shown" if each.memory.id in present.ids else "said"))
        else:
            yield each


def _untold(turns: Iterable[ScoredMemory], told: Mapping[str, str], drop: Drop) -> Iterator[ScoredMemory]:
    """*told*: by turn, the memory that says it."""
    for each in turns:
        if each.memory.id in told:
            drop(each.memory.id, LeftOut("turn", told[each.memory.id]))
        else:
            yield each


def sources(memory: Memory) -> set[str]:
    """The ids of the turns that said *memory*."""
    return {*memory.turns, *([turn_of(memory.id)] if has_place(memory.id) else [])}


def _diverse(found: Iterable[ScoredMemory], others: Sequence[ScoredMemory], limit: int, drop: Drop) -> list[ScoredMemory]:
    chosen: list[ScoredMemory] = []
    for each in found:
        if len(chosen) == limit:
            drop(each.memory.id, LeftOut("limit"))
        elif same := next((other for other in [*others, *chosen] if _says_again(each, other)), None):
            drop(each.memory.id, LeftOut("same", same.memory.id))
        else:
            chosen.append(each)
    return chosen


def _says_again(one: ScoredMemory, other: ScoredMemory) -> bool:
    if one.memory.content == other.memory.content:
        return True
    return _cosine(one.vector(), other.vector()) >= SAME_MEANING and _telling(one.memory) == _telling(other.memory)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """By the distance of two vectors of unit length, as stores give them: ``math`` has that in C, and a sum of products isn't quick."""
    return 1 - dist(one, other) ** 2 / 2 if one and other else 0.0


def _telling(memory: Memory) -> list[str]:
    """What turns a sentence into another fact while its vector hardly moves."""
    return sorted(each.lower() for each in _TELLING.findall(memory.content))
