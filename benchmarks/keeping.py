"""Whether memory stays right: facts said again and again, facts that change, and facts that only look as if they did.

Everything goes through the whole proxy: what the user says is told to a scripted model, which ends its answers with the
blocks that a good model would write, and what is injected is read where the model reads it. ``benchmarks/keeping_data.py``
makes the statements.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from benchmarks.chats import Chats, Dictated, Message, Shown, block, chats, shown, user
from benchmarks.keeping_data import (
    FACTS,
    NEAR_MISSES,
    PARAPHRASES,
    NearMiss,
    Update,
    near_misses,
    restatements,
    updates,
)
from benchmarks.rows import Effort, Row, alone, once
from proxy.core.models import Memory
from proxy.memory.store import digest

_QUESTIONS = {
    "city": "Which city do I live in?",
    "employer": "Which company do I work at?",
    "job": "What do I work as?",
    "age": "How old am I?",
    "email": "What is my email address?",
    "phone": "What is my phone number?",
    "color": "What is my favorite color?",
    "diet": "Am I a vegetarian, a vegan or something else?",
    "cats": "How many cats do I have?",
    "backend": "Which language do I prefer for backend work?",
    "editor": "Which editor am I a user of?",
    "manager": "Who is my manager?",
    "deadline": "When is the project deadline?",
    "waking": "When do I wake up?",
    "run": "How many km do I run every morning?",
    "marriage": "Am I single, engaged or married?",
    "nickname": "What do I want to be called?",
    "time zone": "What is my time zone?",
    "weight": "What do I weigh, in kg?",
    "answers": "In which language do I prefer answers?",
    "rent": "How many euros of rent do I pay a month?",
    "university": "At which university do I study?",
    "sister": "Where does my sister live?",
    "dog's age": "How old is my dog?",
    "liking": "Do I like cilantro?",
}


def keeping(effort: Effort) -> Iterator[Row]:
    yield from asyncio.run(_rows(effort))


async def _rows(effort: Effort) -> list[Row]:
    model = Dictated()
    async with chats(model) as running:
        rows = await _restated(running, model, effort.of(FACTS * PARAPHRASES))
        rows += await _updated(running, model, max(2, effort.of(len(_QUESTIONS))))
        return rows + await _nearly_missed(running, model, effort.of(NEAR_MISSES))


async def _tell(running: Chats, model: Dictated, where: tuple[str, str], text: str, **more: str) -> None:
    """A user says *text* in a session, and the model ends its answer with a block that says it too, with *more* in the item."""
    model.says = lambda _: "Noted.\n\n" + block([{"content": text, **more}])
    await running.say(*where, [user(text)])


# Facts said again and again.


async def _restated(running: Chats, model: Dictated, count: int) -> list[Row]:
    said = restatements(seed=0)[:count]
    for i, each in enumerate(said):
        await _tell(running, model, ("restating", f"day-{i}"), each.text)
    fact_of = {digest(each.text): each.fact for each in said}
    rows = await running.kept("restating")
    facts, found = set(fact_of.values()), {fact_of[digest(row.content)] for row in rows}
    figure = f"{len(said):,} restatements of {len(facts)} facts"
    return [
        once(f"{figure}: rows kept", len(rows), form=".0f", at_most=round(1.1 * len(facts))),
        once(f"{figure}: facts lost", len(facts - found), form=".0f", at_most=0),
    ]


# Facts that change.


@dataclass(slots=True)
class _Tally:
    """What went wrong, by kind: each a list of what it went wrong with."""

    stale: list[str] = field(default_factory=list)
    stale_turns: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    asked: int = 0


class _Subject:
    """One subject's statements as they follow each other; *past* are those that no longer hold."""

    def __init__(self, running: Chats, model: Dictated, tally: _Tally, name: str) -> None:
        self._running = running
        self._model = model
        self._tally = tally
        self._name = name
        self._chats = 0
        self.now = ""
        self.past: set[str] = set()

    async def begin(self, statement: str) -> None:
        self.now = statement
        await self._say(f"{statement}.", lambda _: [{"content": statement}])

    async def change(self, update: Update) -> None:
        self.past = (self.past | {update.old}) - {update.new}
        self.now = update.new
        if update.replaces:
            await self._say(f"Something has changed: {update.new}.", self._corrected)
        else:
            await self._say(f"{update.new}.", lambda _: [{"content": update.new}])
            await self._settle(update)
        await self._ask()

    def _corrected(self, notes: Sequence[Shown]) -> list[dict[str, str]]:
        """The new statement, with the id of the old one if the model saw it."""
        old = [note.id for note in notes if note.text in self.past]
        if not old:
            self._tally.unnamed.append(self.now)
        return [{"content": self.now, **({"replaces": old[0]} if old else {})}]

    async def _settle(self, update: Update) -> None:
        """Nothing said which of the two holds: both must be there, and marked, until an answer says it."""
        held = {each.content: each for each in await self._running.kept(USER)}
        if update.old not in held or update.new not in held or held[update.old].id not in held[update.new].conflicts:
            self._tally.unmarked.append(f"{update.old} → {update.new}")
        await self._say(f"{_QUESTIONS[self._name]} It is the latter: {update.new}.", self._corrected)

    async def _ask(self) -> None:
        notes = await self._say(_QUESTIONS[self._name], lambda _: [])
        self._tally.asked += 1
        self._tally.stale += [note.text for note in notes if not note.is_turn and note.text in self.past]
        self._tally.stale_turns += [note.text for note in notes if note.is_turn and self._is_stale(note.text)]
        if self.now not in {note.text for note in notes}:
            self._tally.missing.append(self.now)

    def _is_stale(self, text: str) -> bool:
        said = text.partition(" | ")[0]
        return any(old in said for old in self.past) and self.now not in said

    async def _say(self, text: str, items: Callable[[Sequence[Shown]], list[dict[str, str]]]) -> list[Shown]:
        """In a conversation of its own. Returns the notes that the model saw."""
        notes: list[Shown] = []

        def answer(messages: list[Message]) -> str:
            notes.extend(shown(messages))
            return "I see.\n\n" + block(items(notes))

        self._model.says = answer
        self._chats += 1
        await self._running.say(USER, f"{self._name} {self._chats}", [user(text)])
        return notes


USER = "changing"


async def _updated(running: Chats, model: Dictated, count: int) -> list[Row]:
    """All subjects are one user's, and change in turns."""
    changes: dict[str, list[Update]] = defaultdict(list)
    for update in updates():
        changes[update.subject].append(update)
    changes = dict(list(changes.items())[:count])
    tally = _Tally()
    subjects = {name: _Subject(running, model, tally, name) for name in changes}
    for name, subject in subjects.items():
        await subject.begin(changes[name][0].old)
    for year in zip_longest(*changes.values()):
        for update in filter(None, year):
            await subjects[update.subject].change(update)
    wrong = _wrongly_retired(await running.kept(USER, past=True), subjects.values())
    return _update_rows(sum(map(len, changes.values())), tally, wrong)


def _wrongly_retired(rows: Sequence[Memory], subjects: Collection[_Subject]) -> list[str]:
    """Current statements that no row holds any more, and retired ones that nobody corrected."""
    held = {row.content for row in rows if row.valid_until is None}
    ever_past = {each for subject in subjects for each in subject.past | {subject.now}}
    return [subject.now for subject in subjects if subject.now not in held] + [
        row.content for row in rows if row.valid_until is not None and row.content not in ever_past
    ]


def _update_rows(count: int, tally: _Tally, wrong: Sequence[str]) -> list[Row]:
    figure = f"{count} updates"
    return [
        _examples(f"{figure}: memories injected that no longer hold", tally.stale, at_most=0),
        _examples(f"{figure}: wrong retirements", wrong, at_most=0),
        _examples(f"{figure}: contradictions that were not kept and marked", tally.unmarked, at_most=0),
        _examples(f"{figure}: current facts not injected when asked for", tally.missing),
        _examples(f"{figure}: corrections whose old fact was not shown", tally.unnamed),
        _examples(f"{figure}: turns injected that say what no longer holds", tally.stale_turns),
    ]


# Facts that only look as if they changed.


async def _nearly_missed(running: Chats, model: Dictated, count: int) -> list[Row]:
    retired, lost, marked = [], [], []
    for i, pair in enumerate(near_misses()[:count]):
        rows = await _told_both(running, model, f"near-{i}", pair)
        held = {row.content for row in rows if row.valid_until is None}
        retired += [row.content for row in rows if row.valid_until is not None]
        lost += [each for each in (pair.one, pair.other) if each not in held]
        marked += [row.content for row in rows if row.conflicts]
    figure = f"{count} near-misses"
    return [
        _examples(f"{figure}: wrong retirements", retired, at_most=0),
        _examples(f"{figure}: statements not kept", lost, at_most=0),
        _examples(f"{figure}: statements marked as contradictions", marked),
    ]


async def _told_both(running: Chats, model: Dictated, user_: str, pair: NearMiss) -> list[Memory]:
    """The second with an id that was never shown, as models make them up: it must change nothing."""
    await _tell(running, model, (user_, "one"), pair.one)
    await _tell(running, model, (user_, "other"), pair.other, replaces="m99")
    return await running.kept(user_, past=True)


def _examples(figure: str, found: Sequence[str], *, at_most: float | None = None) -> Row:
    """How many, and the first of them."""
    row = once(figure, len(found), form=".0f", at_most=at_most)
    return replace(row, measured=f"{row.measured}: {'; '.join(found)}"[:38]) if found else row


if __name__ == "__main__":
    alone("keeping", keeping)
