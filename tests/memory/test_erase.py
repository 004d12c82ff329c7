"""Forgetting an owner: what waits, what is under way, what is stored, and what comes later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import EmbedError, JournalError, StoreError
from proxy.memory.edge import EdgeStore
from proxy.memory.erase import Erasure
from proxy.memory.journal import Counts, Journal
from proxy.memory.remember import Remember
from proxy.memory.replay import Given, Replay
from proxy.memory.sqlite_journal import open_journal
from tests.fakes import WordEmbedder
from tests.memory.telling import ALL_TURNS, DEFAULTS, EVER, answer, contents
from tests.missing import MissingStore

HANG_S = 30
TEA = Given("tea", {"m1": "1"})


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_journal(tmp_path / "journal.sqlite3", max_bytes=1 << 20) as journal:
        yield journal


@pytest.fixture
async def remember(edge: EdgeStore, embedder: WordEmbedder, journal: Journal) -> AsyncIterator[Remember]:
    parts = Remember(edge, embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S, journal=journal)
    async with asyncio.timeout(HANG_S), parts.running():
        yield parts


async def everything(edge: EdgeStore, owner) -> list[str]:
    return [*await contents(edge, owner, EVER), *await contents(edge, owner, ALL_TURNS)]


async def test_all_of_one_owner_is_forgotten_and_nothing_of_another(remember, edge, ann, ben):
    replay = Replay()
    for owner in (ann, ben):
        remember.submit(answer(owner, "Likes tea", text="I like tea"))
        replay.put(owner, "f", TEA)
    await remember.settled()
    assert await Erasure(remember, edge, replay).erase(ann) == 2
    assert (await everything(edge, ann), await everything(edge, ben)) == ([], ["Likes tea", "I like tea"])
    assert (replay.get(ann, "f"), replay.get(ben, "f")) == (None, TEA)
    assert await Erasure(remember, edge, replay).erase(ann) == 0


async def test_what_waits_or_is_being_remembered_does_not_come_back(remember, edge, embedder, ann, ben):
    embedder.gate.clear()
    for said in ("Likes tea", "Sings", "Dances"):
        remember.submit(answer(ann, said, text=f"{said}, I do"))
        remember.submit(answer(ben, said))
    await remember.note(answer(ann, "Swims", trace="begun"))
    while not embedder.documents:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    erasing = asyncio.ensure_future(Erasure(remember, edge, Replay()).erase(ann))
    await asyncio.sleep(0.01)
    embedder.gate.set()
    await erasing
    await remember.settled()
    assert (await everything(edge, ann), await everything(edge, ben)) == ([], ["Dances", "Likes tea", "Sings"])
    assert await remember.journal.counts() == Counts()


async def test_dead_letters_are_forgotten_too(remember, edge, journal, ann, ben):
    for owner, trace in ((ann, "a"), (ben, "b")):
        await journal.append(trace, owner.key, lambda: "{}", ready=False)
        await journal.bury(trace, "no use")
    await Erasure(remember, edge, Replay()).erase(ann)
    assert await journal.counts() == Counts(dead=1)


async def test_what_is_only_in_memory_is_forgotten_too(edge, embedder, ann, ben):
    async with Remember(edge, embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S).running() as remember:
        for said in ("Likes tea", "Sings"):
            for owner in (ann, ben):
                remember.submit(answer(owner, said))
        await Erasure(remember, edge, Replay()).erase(ann)
        await remember.settled()
    assert (await everything(edge, ann), await everything(edge, ben)) == ([], ["Likes tea", "Sings"])


async def test_an_answer_that_ends_later_is_new(remember, edge, ann):
    said = answer(ann, "Likes tea", text="I like tea")
    await remember.note(said)
    await Erasure(remember, edge, Replay()).erase(ann)
    assert await everything(edge, ann) == []
    remember.submit(said)
    await remember.settled()
    assert await everything(edge, ann) == ["Likes tea", "I like tea"]


async def test_nothing_waits_for_the_files(remember, edge, embedder, ann, ben):
    """Others' answers are remembered as soon as the owner is out of the store."""

    class Slow:
        erase = edge.erase

        async def purge(self) -> None:
            remember.submit(answer(ben, "Likes tea"))
            await remember.settled()

    await Erasure(remember, Slow(), Replay()).erase(ann)
    assert await everything(edge, ben) == ["Likes tea"]


async def test_a_caller_that_gives_up_does_not_end_it(remember, edge, ann):
    remember.submit(answer(ann, "Likes tea"))
    await remember.settled()
    erasure = Erasure(remember, edge, Replay())
    erasing = asyncio.ensure_future(erasure.erase(ann))
    await asyncio.sleep(0)
    erasing.cancel()
    while erasure._under_way:
        await asyncio.wait(erasure._under_way)
    assert await everything(edge, ann) == []


async def test_a_store_that_fails_is_told_and_what_was_given_is_forgotten_all_the_same(remember, ann):
    replay = Replay()
    replay.put(ann, "f", TEA)
    with pytest.raises(StoreError, match="away"):
        await Erasure(remember, MissingStore("away"), replay).erase(ann)
    assert replay.get(ann, "f") is None


async def test_a_journal_that_fails_is_told(edge, embedder, tmp_path, ann):
    async with open_journal(tmp_path / "other.sqlite3", max_bytes=1 << 20) as journal:
        pass
    remember = Remember(edge, embedder, options=DEFAULTS, queue_size=9, grace_s=HANG_S, journal=journal)
    with pytest.raises(JournalError, match="closed"):
        await Erasure(remember, edge, Replay()).erase(ann)


async def test_an_embedder_that_fails_is_no_reason_to_keep_anything(remember, edge, embedder, journal, ann):
    embedder.failure = EmbedError("no model")
    remember.submit(answer(ann, "Likes tea", text="I like tea"))
    await remember.settled()
    await Erasure(remember, edge, Replay()).erase(ann)
    assert (await everything(edge, ann), await journal.counts()) == ([], Counts())
