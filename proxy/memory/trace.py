"""What one chat recalled, and what became of its answer: ids, figures and kinds, and texts only if they may be kept.

A trace is small whatever was said: its lists and its texts have limits, and together they stay below 128 KiB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from proxy.core.context import Redact
from proxy.core.models import Memory, Owner, Scores
from proxy.core.redaction import redact
from proxy.memory import clock
from proxy.memory.heard import Heard
from proxy.memory.plan import Plan
from proxy.memory.recall import Course, Recalled
from proxy.memory.revision import Fate
from proxy.memory.selection import LeftOut
from proxy.memory.told import Statement
from proxy.memory.turn import Turn
from proxy.memory.witness import Outcome

MAX_ITEMS = 50
"""Of an answer; the others are in its figures only."""
_MAX_SHOWN = 50
_MAX_RIVALS = 3
_MAX_CHARS = 500
_READ_CHARS = 4 * _MAX_CHARS
"""Secrets are looked for in so much, so that none is cut in half where the text ends."""
_TEXT_BYTES = 16 * 1024
"""For what was recalled, and again for what the answer told."""
_NAME_CHARS = 100
_PARTS = ("profile", "memories", "turns")
_LATE = LeftOut("late")

T = TypeVar("T")


class Texts:
    """Keeps beginnings of texts, without secrets, in ``_TEXT_BYTES`` at most; unless *content* may be kept, nothing."""

    def __init__(self, *, content: bool, redact: Redact = redact) -> None:
        self._left = _TEXT_BYTES if content else 0
        self._redact = redact

    def keep(self, text: str | None) -> str | None:
        if text is None or self._left <= 0:
            return None
        text = self._redact(text[:_READ_CHARS]).text[:_MAX_CHARS]
        self._left -= sys.getsizeof(text)
        return text if self._left >= 0 else None


class Candidate(NamedTuple):
    """What a search came upon. *score*: 0 to 1, if it was ranked; *dropped*: why it is not shown, ``None`` if it is."""

    id: str
    type: str | None
    score: float | None
    scores: Scores
    dropped: LeftOut | None
    content: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "score": self.score,
            "scores": asdict(self.scores),
            "dropped": self.dropped and self.dropped.why,
            "of": self.dropped and self.dropped.of,
            "content": self.content,
        }


class Shown(NamedTuple):
    """What was injected as a *part* of the notes: ``profile``, ``memories`` or ``turns``; *tokens* are estimated.

    Of what is given again nobody knows any more which part it was.
    """

    id: str
    short_id: str | None
    part: str | None = None
    tokens: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """How what was found for the message came about; *again*: nothing was looked for, it was given what it was given before."""

    again: bool = False
    query: str | None = None
    candidates: tuple[Candidate, ...] = ()
    injected: tuple[Shown, ...] = ()
    withdrawn: tuple[str, ...] = ()
    shown: int = 0
    steps_s: Mapping[str, float] = field(default_factory=dict)
    trouble: str | None = None

    def as_dict(self) -> dict[str, Any]:
        tokens = dict.fromkeys(_PARTS, 0)
        for each in self.injected:
            if each.part is not None:
                tokens[each.part] += each.tokens or 0
        return {
            "again": self.again,
            "query": self.query,
            "candidates": [each.as_dict() for each in self.candidates],
            "injected": [each._asdict() for each in self.injected],
            "tokens": None if self.again else tokens,
            "withdrawn": [*self.withdrawn],
            "shown": self.shown,
            "steps_s": {name: round(seconds, 6) for name, seconds in self.steps_s.items()},
            "trouble": self.trouble,
        }


@dataclass(slots=True)
class Answer:
    """What an answer told, and what became of it. *state*: ``none`` (nothing was handed over), ``waiting``, ``done``, ``dead``, ``lost``.

    *why*: what went wrong last. *forgotten* and *ended*: ids of memories that it asked to forget, and of all that it ended.
    """

    state: str = "none"
    why: str | None = None
    blocks: int = 0
    statements: tuple[Statement, ...] = ()
    contents: tuple[str | None, ...] = ()
    fates: tuple[Fate, ...] = ()
    forgotten: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    turn: str | None = None
    turn_again: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "why": self.why,
            "blocks": self.blocks,
            "items": [*self._items()],
            "forget": {"ids": [*self.forgotten], "unknown": [*self.unknown]},
            "ended": [*self.ended],
            "turn": self.turn and {"id": self.turn, "again": self.turn_again},
            "figures": dict(self.figures),
        }

    def _items(self) -> Iterator[dict[str, Any]]:
        fates = iter(self.fates)
        for said, content in zip(self.statements, self.contents, strict=True):
            fate = None if said.refused else next(fates, None)
            yield {
                "content": content,
                "type": said.type,
                "became": "refused" if said.refused else fate.became if fate else self.state,
                "why": said.refused,
                "id": fate and fate.id,
                "replaces": fate and fate.replaces,
                "contradicts": [*fate.contradicts] if fate else [],
                "redacted": [*said.redacted],
                "unknown": said.unknown,
            }


@dataclass(slots=True)
class Trace:
    """That of one chat. *sought*: ``None`` if memories were not to be recalled. *status* and *extract* are as in the response's headers."""

    id: str
    owner: Owner | None
    model: str | None
    status: str
    extract: str
    sought: Sought | None
    content: bool
    at: datetime = field(default_factory=clock.now)
    answer: Answer = field(default_factory=Answer)

    def heard(self, heard: Heard) -> None:
        """The answer was read, as far as it has come."""
        told, answer = heard.told, self.answer
        texts = Texts(content=self.content)
        answer.blocks = told.blocks
        answer.contents = tuple(texts.keep(each.content) for each in told.statements[:MAX_ITEMS])
        answer.statements = tuple(each.without_content for each in told.statements[:MAX_ITEMS])
        answer.forgotten, answer.unknown = _some(sorted(told.forgotten)), told.unknown
        answer.figures = heard.figures.as_dict()

    def done(self, outcome: Outcome) -> None:
        answer = self.answer
        answer.state, answer.why = "done", None
        answer.fates = tuple(map(_short, outcome.revised.fates[:MAX_ITEMS]))
        answer.ended = _some(dict.fromkeys([*answer.ended, *outcome.revised.ended]))
        answer.figures = outcome.figures.as_dict()
        if outcome.turn is not None:
            answer.turn, answer.turn_again = outcome.turn.id, outcome.turn.again

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "object": "trace",
            "at": clock.render(self.at),
            "user": self.owner and self.owner.user,
            "tenant": self.owner and self.owner.tenant,
            "model": self.model,
            "status": self.status,
            "extract": self.extract,
            "recall": self.sought and self.sought.as_dict(),
            "answer": self.answer.as_dict(),
        }


def trace_of(plan: Plan, *, content: bool, redact: Redact = redact) -> Trace:
    """The trace of a chat that is about to go upstream; *content*: whether texts may be kept."""
    return Trace(
        plan.trace,
        plan.owner,
        plan.model and plan.model[:_NAME_CHARS],
        plan.report["X-Memory-Status"],
        plan.report["X-Memory-Extract"],
        None if plan.turn is None else _sought(plan.turn, Texts(content=content, redact=redact)),
        content,
    )


def _sought(turn: Turn, texts: Texts) -> Sought:
    shown = len(turn.ids) - len(turn.recalled)
    short_ids = {memory_id: short_id for short_id, memory_id in turn.ids.items()}
    found = turn.found
    if found is None:
        return Sought(turn.trouble is None, injected=_shown_again(turn.recalled, short_ids), shown=shown, trouble=turn.trouble)
    return Sought(
        query=texts.keep(found.course.query),
        candidates=tuple(_candidates(found.course, {note.memory.id for note in found.notes}, texts)),
        injected=_shown(found, short_ids, texts),
        withdrawn=_some(sorted(found.withdrawn)),
        shown=shown,
        steps_s=found.steps,
        trouble=found.trouble,
    )


def _shown_again(ids: Sequence[str], short_ids: Mapping[str, str]) -> tuple[Shown, ...]:
    return tuple(Shown(each, short_ids.get(each)) for each in ids[:_MAX_SHOWN])


def _shown(found: Recalled, short_ids: Mapping[str, str], texts: Texts) -> tuple[Shown, ...]:
    profile = {*found.course.profile}
    return tuple(
        Shown(each.memory.id, short_ids.get(each.memory.id), _part(each.memory, profile), each.tokens, texts.keep(each.line))
        for each in found.notes[:_MAX_SHOWN]
    )


def _part(memory: Memory, profile: set[str]) -> str:
    return "profile" if memory.id in profile else "turns" if memory.is_turn else "memories"


def _candidates(course: Course, shown: set[str], texts: Texts) -> Iterator[Candidate]:
    for each in course.candidates:
        memory = each.memory
        dropped = None if memory.id in shown else course.dropped.get(memory.id, _LATE)
        yield Candidate(memory.id, memory.type, each.score, each.scores, dropped, texts.keep(memory.content))
    for choice in course.passed_over:
        yield Candidate(choice.id, None, None, choice.scores, course.dropped.get(choice.id, _LATE))


def _short(fate: Fate) -> Fate:
    return replace(fate, contradicts=fate.contradicts[:_MAX_RIVALS])


def _some(ids: Iterable[T]) -> tuple[T, ...]:
    return tuple(islice(ids, _MAX_SHOWN))
