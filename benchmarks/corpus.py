"""Conversations, and questions about them, from a data file: who said what and when, and which turns answer what.

The file is a list of ``{user, turns: [{id, session, speaker, text, created_at, reply?}], facts: [{text, turns, category?, …}],
questions: [{question, category, evidence: [turn ids]}]}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_UNDATED = datetime(2024, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message, and the *reply* to it if the file has one. *speaker* is ``None`` for the plain user of a chat."""

    id: str
    session: str
    speaker: str | None
    text: str
    reply: str
    at: datetime

    @property
    def plain(self) -> str:
        """What the plain baselines index."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


@dataclass(frozen=True, slots=True)
class Fact:
    """What a good model would have remembered of these *turns*, the first of which is the one it answered.

    *category*: as the model writes it into its block, if it does.
    """

    text: str
    turns: tuple[str, ...]
    category: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """*evidence*: the ids of the turns that answer it; none if nobody said it."""

    text: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Person:
    """One user: turns in the order in which they were said."""

    user: str
    turns: list[Turn]
    facts: list[Fact]
    questions: list[Question]


def load(path: Path) -> list[Person]:
    """All users of the file. Raises ``ValueError`` for one that has another format, ``OSError`` for one that can't be read."""
    try:
        return [_person(each) for each in json.loads(path.read_bytes())]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"{path} has another format: {exc!r}") from exc


def _person(data: Mapping[str, Any]) -> Person:
    return Person(
        user=data["user"],
        turns=list(_turns(data["turns"])),
        facts=[Fact(each["text"], tuple(each["turns"]), each.get("category")) for each in data.get("facts", ())],
        questions=[Question(each["question"], each["category"], frozenset(each["evidence"])) for each in data["questions"]],
    )


def _turns(turns: Sequence[Mapping[str, Any]]) -> Iterator[Turn]:
    session, at = "", _UNDATED
    for each in turns:
        stated = _time(each.get("created_at"))
        if stated is None or (each["session"] == session and stated <= at):
            stated = at + _SECOND  # in a session no turn is as old as the one before
        session, at = each["session"], stated
        speaker = None if each["speaker"] == "user" else each["speaker"]
        yield Turn(each["id"], session, speaker, each["text"], each.get("reply") or "", at)


def _time(text: str | None) -> datetime | None:
    """``2023-05-08T13:56:00Z``, or a day such as ``March-15-2024``."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = datetime.strptime(text, "%B-%d-%Y")
    return time if time.tzinfo else time.replace(tzinfo=UTC)
