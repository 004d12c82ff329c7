"""What whoever looks on is told of answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.core import places
from proxy.core.models import Owner
from proxy.errors import EmbedError, StoreError
from proxy.memory.edge import EdgeStore
from proxy.memory.heard import Heard
from proxy.memory.keep_turn import Kept
from proxy.memory.remember import Remember, Said
from proxy.memory.revision import Fate, Revised
from proxy.memory.sqlite_journal import open_journal
from proxy.memory.witness import Outcome
from tests.fakes import WordEmbedder
from tests.memory.telling import DAY, DEFAULTS, NOW, answer, memories

HANG_S = 30


class Diary:
    """A ``Witness`` who writes everything down, by trace."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.outcomes: list[Outcome] = []

    def waits(self, trace: str, why: str | None = None) -> None:
        self.lines.append((trace, "waits", why))

    def heard(self, heard: Heard) -> None:
        self.lines.append((heard.trace, "heard", *(each.content for each in heard.told.statements)))

    def done(self, outcome: Outcome) -> None:
        self.lines.append((outcome.heard.trace, "done"))
        self.outcomes.append(outcome)

    def dead(self, trace: str, why: str) -> None:
        self.lines.append((trace, "dead", why))

    def lost(self, trace: str, why: str) -> None:
        self.lines.append((trace, "lost", why))

    def of(self, trace: str) -> list[tuple[Any, ...]]:
        return [line for _, *line in self.lines if _ == trace]


@pytest.fixture
def diary() -> Diary:
    return Diary()


async def told(edge: EdgeStore, embedder: WordEmbedder, diary: Diary, *answers: Said) -> Revised:
    """What became of the last of *answers*."""
    remember = Remember(edge, embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S, witness=diary)
    async with asyncio.timeout(HANG_S), remember.running():
        for each in answers:
            remember.submit(each)
            await remember.settled()
    return diary.outcomes[-1].revised


async def ids(edge: EdgeStore, owner: Owner) -> dict[str, str]:
    return {content: each.id for content, each in (await memories(edge, owner)).items()}


async def test_what_is_new_is_stored_with_what_it_contradicts(edge, embedder, diary, ann):
    said = [answer(ann, each, trace=each) for each in ("Has 2 cats", "Has 3 cats")]
    await told(edge, embedder, diary, said[0])
    revised = await told(edge, embedder, diary, said[1])
    known = await ids(edge, ann)
    assert revised == Revised((Fate("stored", known["Has 3 cats"], None, (known["Has 2 cats"],)),))


async def test_what_is_said_again_is_a_duplicate(edge, embedder, diary, ann):
    revised = await told(edge, embedder, diary, answer(ann, "Likes tea"), answer(ann, "Likes jazz", "likes TEA", trace="t2"))
    known = await ids(edge, ann)
    assert revised == Revised((Fate("stored", known["Likes jazz"]), Fate("duplicate", known["Likes tea"])))


async def test_what_is_corrected_and_forgotten_ends(edge, embedder, diary, ann):
    await told(edge, embedder, diary, answer(ann, "Lives in Oslo", "Sings in a choir", at=NOW - DAY))
    known = await ids(edge, ann)
    shown = {"m1": known["Lives in Oslo"], "m2": known["Sings in a choir"]}
    correction = {"content": "Lives in Rome", "replaces": "m1"}
    revised = await told(edge, embedder, diary, answer(ann, correction, forget=("m2",), shown=shown, trace="t2"))
    rome = (await ids(edge, ann))["Lives in Rome"]
    assert revised.fates == (Fate("stored", rome, shown["m1"]),)
    assert {*revised.ended} == {*shown.values()}


async def test_an_answer_is_told_of_from_its_beginning_to_its_end(edge, embedder, diary, ann):
    await told(edge, embedder, diary, answer(ann, "Likes tea", text="I like tea", trace="t1"))
    assert diary.of("t1") == [["waits", None], ["heard", "Likes tea"], ["done"]]
    turn = places.turn_id(places.conversation(ann, "s1"), 0)
    assert (diary.outcomes[0].turn, diary.outcomes[0].figures.as_dict()) == (Kept(turn), {"stored": 1, "turns": 1})


async def test_what_was_done_of_it_before_a_failure_is_told_as_if_it_had_been_done_at_once(edge, embedder, diary, ann, journal):
    """The store takes the first item, and fails at the second."""

    class Failing:
        def __init__(self) -> None:
            self.left = 1

        def __getattr__(self, name: str) -> Callable[..., Any]:
            return getattr(edge, name)

        async def upsert(self, *args: Any) -> None:
            self.left -= 1
            if self.left == -1:
                raise StoreError("just now not")
            await edge.upsert(*args)

    remember = Remember(
        Failing(), embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S, journal=journal, retry_s=0.001, witness=diary
    )
    async with asyncio.timeout(HANG_S), remember.running():
        await remember.note(answer(ann, "Likes tea", trace="t1"))
        remember.submit(answer(ann, "Likes tea", "Likes jazz", trace="t1"))
        while not diary.outcomes:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    known = await ids(edge, ann)
    assert diary.of("t1") == [
        ["heard", "Likes tea"],
        ["waits", None],
        ["heard", "Likes tea", "Likes jazz"],
        ["waits", "just now not"],
        ["done"],
    ]
    assert diary.outcomes[0].revised.fates == (Fate("stored", known["Likes tea"]), Fate("stored", known["Likes jazz"]))


async def test_what_is_lost_is_told(edge, embedder, diary, ann):
    embedder.failure = EmbedError("no model")
    remember = Remember(edge, embedder, options=DEFAULTS, queue_size=1, grace_s=HANG_S, witness=diary)
    async with asyncio.timeout(HANG_S), remember.running():
        for trace in ("t1", "t2"):
            remember.submit(answer(ann, "Likes tea", trace=trace))
        await remember.settled()
    assert diary.of("t1") == [["waits", None], ["heard", "Likes tea"], ["lost", "no model"]]
    assert diary.of("t2") == [["waits", None], ["lost", "the queue is full"]]


async def test_dead_letters_are_told(edge, embedder, diary, ann, journal):
    embedder.embed_documents = None  # a mistake of ours
    remember = Remember(
        edge, embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S, journal=journal, retry_s=0.0001, witness=diary
    )
    async with asyncio.timeout(HANG_S), remember.running():
        remember.submit(answer(ann, "Likes tea", trace="t1"))
        while diary.lines[-1][1] != "dead":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert diary.of("t1")[-2:] == [["waits", "TypeError"], ["dead", "TypeError"]]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Any]:
    async with open_journal(tmp_path / "journal.sqlite3", max_bytes=1 << 20) as journal:
        yield journal
