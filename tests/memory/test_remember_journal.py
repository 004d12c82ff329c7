"""The write path with its journal: what is there before the store has it, and what becomes of it when something fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.core.blocks import Block
from proxy.errors import EmbedError, JournalError, StoreError
from proxy.memory.edge import EdgeStore
from proxy.memory.journal import Counts, Journal, Written
from proxy.memory.remember import Remember, Said, Spoken
from proxy.memory.sqlite_journal import open_journal
from tests.fakes import WordEmbedder
from tests.memory.telling import DEFAULTS, TURNS, answer, contents, lines
from tests.missing import MissingStore

KEY = "sk-" + "proj-" + "a1B2" * 12
HANG_S = 30

Start = Callable[..., AbstractAsyncContextManager[Remember]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def start(edge: EdgeStore, embedder: WordEmbedder, path: Path) -> Start:
    """Start remembering with the journal in *path*."""

    @asynccontextmanager
    async def start(store: Any = edge, *, max_bytes: int = 1 << 20, **options: Any) -> AsyncIterator[Remember]:
        async with (
            open_journal(path, max_bytes=max_bytes) as journal,
            remembering(store, embedder, journal=journal, **options) as remember,
        ):
            yield remember

    return start


@asynccontextmanager
async def remembering(*parts: Any, **options: Any) -> AsyncIterator[Remember]:
    settings = {"options": DEFAULTS, "queue_size": 9, "grace_s": HANG_S, "retry_s": 0.001} | options
    async with asyncio.timeout(HANG_S), Remember(*parts, **settings).running() as remember:
        yield remember


async def written(path: Path) -> list[Written]:
    """What a new process finds."""
    found = []
    async with open_journal(path, max_bytes=1 << 20) as journal:
        while isinstance(each := await journal.next(), Written):
            found.append(each)
            await journal.done(each.trace)
    return found


async def test_what_the_store_has_is_no_longer_in_the_journal(start, edge, ann, path, log):
    async with start() as remember:
        remember.submit(answer(ann, "Likes tea", text="I like tea", trace="t1"))
        await remember.settled()
        assert await remember.journal.counts() == Counts()
    assert (await contents(edge, ann), await contents(edge, ann, TURNS)) == (["Likes tea"], ["I like tea"])
    assert log == [{"event": "remembered", "log_level": "info", "trace": "t1", "stored": 1, "turns": 1}]
    assert await written(path) == []


async def test_what_was_left_out_is_counted_once(start, ann):
    async with start() as remember:
        said = answer(ann, f"Has the key {KEY}", "Where is it?", text=f"My key is {KEY}")
        await remember.note(said)
        remember.submit(said)
        await remember.settled()
    assert remember.figures.as_dict() == {"stored": 1, "turns": 1, "echoes": {"question": 1}, "redacted": {"API key": 2}}


async def test_a_block_is_on_the_disk_before_its_answer_has_ended(start, edge, ann, path):
    async with start() as remember:
        await remember.note(answer(ann, "Likes tea", text="I like tea", reply="not whole yet"))
        await remember.settled()
        assert await remember.journal.counts() == Counts(waiting=1)
        assert await contents(edge, ann) == []
    async with start() as remember:
        await remember.settled()
    assert await contents(edge, ann) == ["Likes tea"]
    assert [each.reply for each in await edge.list(ann, TURNS, limit=9)] == [None]


async def test_the_blocks_are_those_of_the_moment(start, edge, ann):
    blocks = [Block('["Likes tea"]')]
    said = Said(ann, "s1", "t1", blocks)
    async with start() as remember:
        await remember.note(said)
        blocks.append(Block('["Sings"]'))
        await remember.note(said)
        remember.submit(said)
        blocks.append(Block('["Dances"]'))
    assert await contents(edge, ann) == ["Likes tea", "Sings"]


async def test_no_secret_is_in_any_file(start, edge, ann, path):
    async with start(MissingStore("away")) as remember:
        said = answer(ann, f"Has the key {KEY}", text=f"My key is {KEY}", reply=f"Your key is {KEY}", speaker=KEY)
        await remember.note(said)
        remember.submit(said)
        await remember.settled()
        assert KEY.encode() not in b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert KEY not in (await written(path))[0].body


class Store:
    """*store*, which fails with *failure* while there is one, and what names *poison* with a mistake of ours for ever."""

    def __init__(self, store: EdgeStore, failure: Exception | None = None, poison: str = "poison") -> None:
        self.store = store
        self.failure = failure
        self.poison = poison
        self.tried = 0

    def __getattr__(self, name: str) -> Any:
        if self.failure is not None:
            return getattr(MissingStore(str(self.failure)), name)
        return getattr(self.store, name)

    async def list(self, *args: Any, **kwargs: Any) -> Any:
        self.tried += 1
        if self.failure is not None:
            raise self.failure
        return await self.store.list(*args, **kwargs)

    async def upsert(self, owner: Any, entries: Any) -> None:
        if any(self.poison in each.memory.content for each in entries):
            raise ValueError(f"a mistake of ours about {entries}")
        await self.store.upsert(owner, entries)


async def test_while_the_store_is_away_it_waits_and_then_all_is_there_in_order(start, edge, ann, log):
    store = Store(edge, StoreError("away"))
    async with start(store) as remember:
        for text in ("I like tea", "My cat is ill", "She eats grass"):
            remember.submit(answer(ann, text=text, trace=text))
        await remember.settled()
        while store.tried < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        store.failure = None
        while await remember.journal.counts() != Counts():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    turns = await edge.list(ann, TURNS, limit=9)
    assert [each.content for each in reversed(turns)] == ["I like tea", "My cat is ill", "She eats grass"]
    assert lines(log, "event", "why") == [
        ("remembering has to wait", "away"),
        ("remembered", None),
        ("remembering goes on", None),
        ("remembered", None),
        ("remembered", None),
    ]
    assert remember.figures.as_dict() == {"turns": 3}


async def test_the_same_for_the_embedder(start, edge, embedder, ann):
    embedder.failure = EmbedError("away")
    async with start(retry_s=60) as remember:
        remember.submit(answer(ann, "Likes tea"))
        await remember.settled()
        embedder.failure = None
        remember.resume()
        await remember.settled()
    assert await contents(edge, ann) == ["Likes tea"]


async def test_the_end_does_not_wait_for_the_store_and_the_next_start_has_it_all(start, edge, ann):
    async with start(MissingStore("away"), retry_s=3600) as remember:
        remember.submit(answer(ann, "Likes tea", at=None))
        remember.submit(answer(ann, "Sings", at=None))
    assert remember.figures.as_dict() == {}
    async with start() as remember:
        await remember.settled()
    assert await contents(edge, ann) == ["Likes tea", "Sings"]


async def test_what_comes_while_the_store_is_away_does_not_hurry_it(start, edge, ann):
    store = Store(edge, StoreError("away"))
    async with start(store, retry_s=3600) as remember:
        for number in range(5):
            remember.submit(answer(ann, text=f"Message about {number}"))
            await remember.settled()
        assert store.tried == 1


async def test_a_mistake_about_one_answer_costs_no_other_and_ends_among_the_dead(start, edge, ann, log):
    store = Store(edge)
    async with start(store) as remember:
        remember.submit(answer(ann, "Likes poison", trace="t1"))
        remember.submit(answer(ann, "Likes tea", trace="t2"))
        while await remember.journal.counts() != Counts(dead=1):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert await contents(edge, ann) == ["Likes tea"]
        assert remember.figures.as_dict() == {"stored": 1, "dead": 1}
        assert lines(log[-1:], "event", "trace", "why") == [("put among the dead letters", "t1", "ValueError")]
        assert lines(log, "event").count(("remembering failed, and is tried again",)) == 9
        store.poison = "gone"
        assert await remember.retry_dead() == 1
        await remember.settled()
    assert await contents(edge, ann) == ["Likes poison", "Likes tea"]


async def test_what_can_not_be_read_is_put_among_the_dead_at_once(start, edge, ann, path, log):
    async with open_journal(path, max_bytes=1 << 20) as journal:
        await journal.append("t1", ann.key, lambda: "not what we write", ready=True)
    async with start() as remember:
        remember.submit(answer(ann, "Likes tea"))
        await remember.settled()
        assert await remember.journal.counts() == Counts(dead=1)
    assert await contents(edge, ann) == ["Likes tea"]
    assert lines(log[:1], "event", "trace") == [("put among the dead letters: it can't be read", "t1")]


async def test_what_the_journal_refuses_is_remembered_all_the_same(start, edge, ann, log):
    async with start(max_bytes=40_000) as remember:
        said = answer(ann, *(f"Word {each} {'x' * 1900}" for each in range(20)), "Likes tea", trace="t1")
        await remember.note(said)
        remember.submit(said)
        remember.submit(answer(ann, "Sings", trace="t2"))
        await remember.settled()
    assert len(await contents(edge, ann)) == 22
    assert lines(log[:1], "event") == [("the journal takes nothing more: what waits in memory is lost in a crash",)]


async def test_a_mistake_in_reading_an_answer_is_said_and_costs_no_other(start, edge, ann, log):
    def reply() -> str:
        raise ValueError("a mistake of ours")

    async with start() as remember:
        remember.submit(replace(answer(ann, "Likes tea", trace="t1"), spoken=Spoken("I like tea", reply=reply)))
        remember.submit(answer(ann, "Sings", trace="t2"))
        await remember.settled()
    assert await contents(edge, ann) == ["Sings"]
    assert remember.figures.as_dict() == {"stored": 1, "lost": 1}
    assert ("memories lost: it can't be read", "t1") in lines(log, "event", "trace")


class Broken:
    """A journal that takes everything, and then can do nothing else while it is *broken*."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    async def next(self) -> Any:
        return await self._if_whole("next")

    async def done(self, trace: str) -> Any:
        return await self._if_whole("done", trace)

    async def _if_whole(self, name: str, *args: str) -> Any:
        if self.broken:
            raise JournalError("disk I/O error")
        return await getattr(self.journal, name)(*args)


async def test_a_journal_that_can_not_be_read_is_said_once_and_read_later(edge, embedder, ann, path, log):
    async with open_journal(path, max_bytes=1 << 20) as journal:
        broken: Any = Broken(journal)
        async with remembering(edge, embedder, journal=broken) as remember:
            remember.submit(answer(ann, "Likes tea"))
            await remember.settled()
            remember.resume()
            await remember.settled()
            assert await contents(edge, ann) == []
            broken.broken = False
            remember.resume()
            await remember.settled()
    assert await contents(edge, ann) == ["Likes tea"]
    assert lines(log, "event") == [("the journal can't be read",), ("remembered",)]


async def test_what_is_done_is_done_again_if_the_journal_does_not_take_it(edge, embedder, ann, path, log):
    async with open_journal(path, max_bytes=1 << 20) as journal:
        broken: Any = Broken(journal)
        broken.next = journal.next
        async with remembering(edge, embedder, journal=broken) as remember:
            remember.submit(answer(ann, "Likes tea", text="I like tea"))
            await remember.settled()
            assert await journal.counts() == Counts(waiting=1)
            broken.broken = False
            remember.resume()
            await remember.settled()
            assert await journal.counts() == Counts()
    assert [each.access_count for each in await edge.list(ann, limit=9)] == [0]
    assert lines(log[1:2], "event", "why") == [("remembering has to wait", "disk I/O error")]


class Stuck:
    """A journal whose disk does not answer."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def append(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


async def test_a_disk_that_does_not_answer_is_waited_for_so_long_only(edge, embedder, ann, path):
    async with open_journal(path, max_bytes=1 << 20) as journal:
        stuck: Any = Stuck(journal)
        async with remembering(edge, embedder, journal=stuck, grace_s=0.01, deadline_s=0.01) as remember:
            await remember.note(answer(ann, "Likes tea"))
