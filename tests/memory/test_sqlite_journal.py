"""The journal's file: what is on the disk, in which order it comes back, and what becomes of a file that is broken or full."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.errors import JournalError
from proxy.memory.health import Health
from proxy.memory.journal import Counts, Journal, NoJournal, Nothing, Written
from proxy.memory.sqlite_journal import open_journal

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.sqlite3"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    async with open_journal(path, max_bytes=MIB) as journal:
        yield journal


async def put(journal: Journal, trace: str, body: str = "{}", *, owner: str = "ann", ready: bool = True) -> None:
    await journal.append(trace, owner, lambda: body, ready=ready)


async def fill(journal: Journal) -> None:
    for i in range(999):
        await put(journal, f"t{i}", "x" * 4000)


async def all_of(journal: Journal) -> list[str]:
    """What comes out, in its order."""
    found = []
    while isinstance(written := await journal.next(), Written):
        found.append(written.trace)
        await journal.done(written.trace)
    return found


async def test_what_is_ready_comes_in_the_order_in_which_it_was_begun(journal):
    await put(journal, "t1", ready=False)
    await put(journal, "t2")
    await put(journal, "t3", ready=False)
    assert await journal.next() == Written("t2", "{}", 0)
    await put(journal, "t1", "whole")
    assert await journal.next() == Written("t1", "whole", 0)
    assert await all_of(journal) == ["t1", "t2"]
    assert await journal.counts() == Counts(waiting=1, dead=0)


async def test_what_is_put_off_waits_and_others_go_before_it(journal):
    await put(journal, "t1")
    await put(journal, "t2")
    await journal.put_off("t1", 60)
    assert await journal.next() == Written("t2", "{}", 0)
    await journal.done("t2")
    nothing = await journal.next()
    assert isinstance(nothing, Nothing)
    assert nothing.in_s == pytest.approx(60, abs=5)


async def test_what_was_put_off_comes_again_with_its_attempts(journal):
    await put(journal, "t1")
    await journal.put_off("t1", 0)
    assert await journal.next() == Written("t1", "{}", 1)


async def test_everything_is_there_after_a_restart_and_ready(path):
    async with open_journal(path, max_bytes=MIB) as journal:
        await put(journal, "t1", "begun", ready=False)
        await put(journal, "t2")
        await journal.put_off("t2", 3600)
        await put(journal, "t3")
        await journal.done("t3")
    async with open_journal(path, max_bytes=MIB) as journal:
        assert await journal.next() == Written("t1", "begun", 0)
        assert await all_of(journal) == ["t1", "t2"]


async def test_what_comes_together_is_written_together_and_each_is_told(journal):
    await asyncio.gather(*(put(journal, f"t{i}") for i in range(200)))
    assert await journal.counts() == Counts(waiting=200)
    assert await all_of(journal) == [f"t{i}" for i in range(200)]


async def test_a_mistake_in_one_is_told_to_its_caller_alone(journal):
    def body() -> str:
        raise ValueError("a mistake of ours")

    results = await asyncio.gather(
        put(journal, "t1"), journal.append("t2", "ann", body, ready=True), put(journal, "t3"), return_exceptions=True
    )
    assert [type(each) for each in results] == [type(None), ValueError, type(None)]
    assert await all_of(journal) == ["t1", "t3"]


async def test_the_dead_are_kept_apart_and_can_be_tried_again(journal):
    for trace in ("t1", "t2"):
        await put(journal, trace, trace)
        await journal.put_off(trace, 0)
        await journal.bury(trace, "no room")
    assert (await journal.counts(), await journal.next()) == (Counts(dead=2), Nothing())
    assert await journal.retry_dead() == 2
    assert (await journal.counts(), await journal.next()) == (Counts(waiting=2), Written("t1", "t1", 0))


async def test_of_who_is_erased_nothing_is_left_in_any_file(journal, path):
    for owner in ("ann", "ben"):
        await put(journal, f"{owner} 1", f"canary of {owner}", owner=owner)
        await put(journal, f"{owner} 2", f"canary of {owner}", owner=owner)
        await journal.bury(f"{owner} 2", "no room")
    assert await journal.erase("ann") == 2
    files = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert (b"canary of ann" in files, b"canary of ben" in files) == (False, True)
    assert await all_of(journal) == ["ben 1"]


async def test_what_was_worked_off_can_be_forgotten(journal, path):
    for trace in ("t1", "t2"):
        await put(journal, trace, f"canary of {trace}")
    await journal.done("t1")
    await journal.forget_done()
    files = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert (b"canary of t1" in files, b"canary of t2" in files) == (False, True)


async def test_what_is_done_is_overwritten_when_the_journal_is_closed(path):
    async with open_journal(path, max_bytes=MIB) as journal:
        await put(journal, "t1", "canary " * 1000)
        await journal.done("t1")
    assert b"canary" not in b"".join(each.read_bytes() for each in path.parent.iterdir())


async def test_only_its_owner_may_read_the_file(journal, path):
    assert [each.stat().st_mode & 0o077 for each in path.parent.iterdir()] == [0, 0]


async def test_beyond_its_size_it_refuses_says_so_once_and_recovers(path, log):
    async with open_journal(path, max_bytes=100_000) as journal:
        for i in range(9):
            try:
                await put(journal, f"t{i}", "x" * 20_000)
            except JournalError:
                break
        first_refused = i
        assert first_refused in (2, 3, 4)
        with pytest.raises(JournalError, match="full"):
            await put(journal, "more", "x" * 20_000)
        assert [each["event"][:31] for each in log] == ["the journal takes nothing more:"]
        await journal.done("t0")
        await put(journal, "again", "x" * 20_000)
        assert [each["event"] for each in log[1:]] == ["the journal is in order again"]
        assert await all_of(journal) == [*(f"t{i}" for i in range(1, first_refused)), "again"]


async def test_it_finds_out_by_itself_that_there_is_room_again(path, log):
    async with open_journal(path, max_bytes=100_000, retry_s=0.001) as journal:
        with pytest.raises(JournalError, match="full"):
            await fill(journal)
        assert (journal.health.state, journal.health.why) == ("out of order", "OperationalError: database or disk is full")
        for i in range(9):
            await journal.done(f"t{i}")
        while not journal.health.well:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert (journal.health, journal.refused) == (Health(), 1)
        assert [each["event"][:27] for each in log] == ["the journal takes nothing m", "the journal is in order aga"]
        left = await journal.counts()
        assert left == Counts(waiting=left.waiting)


async def test_it_knows_since_when_the_first_has_been_waiting(journal):
    assert (await journal.counts()).oldest is None
    before = datetime.now(UTC)
    await put(journal, "t1")
    between = datetime.now(UTC)
    await put(journal, "t2")
    oldest = (await journal.counts()).oldest
    assert before <= oldest <= between


async def test_one_that_finds_no_room_takes_none_from_the_others(path, log):
    async with open_journal(path, max_bytes=100_000) as journal:
        small, big = put(journal, "small"), put(journal, "big", "x" * 200_000)
        results = await asyncio.gather(small, big, journal.done("t0"), return_exceptions=True)
        assert [type(each) for each in results] == [type(None), JournalError, type(None)]
        assert await all_of(journal) == ["small"]


@pytest.mark.parametrize("content", [b"no database at all " * 999, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_broken_file_is_moved_aside_and_a_new_one_begun(path, log, content: bytes):
    path.parent.mkdir()
    path.write_bytes(content)
    async with open_journal(path, max_bytes=MIB) as journal:
        await put(journal, "t1")
        assert await all_of(journal) == ["t1"]
    [aside] = path.parent.glob("*.broken-*")
    assert aside.read_bytes() == content
    assert [(each["event"], each["moved_to"]) for each in log] == [("the journal is broken: a new one is begun", str(aside))]


async def test_a_file_with_flipped_bits_is_moved_aside(path, log):
    async with open_journal(path, max_bytes=MIB) as journal:
        for i in range(50):
            await put(journal, f"t{i}", "x" * 3000)
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 512):
        data[at : at + 8] = bytes(255 - each for each in data[at : at + 8])
    path.write_bytes(data)
    async with open_journal(path, max_bytes=MIB) as journal:
        assert await journal.next() == Nothing()
    assert [each["event"] for each in log] == ["the journal is broken: a new one is begun"]


async def test_a_second_process_goes_on_without_it(path, journal, log):
    async with open_journal(path, max_bytes=MIB) as second:
        assert isinstance(second, NoJournal)
        assert (second.health.state, second.health.why) == ("out of order", "database is locked")
    assert [(each["log_level"], each["why"]) for each in log] == [("error", "database is locked")]


async def test_one_of_a_later_version_is_left_alone(path, log):
    async with open_journal(path, max_bytes=MIB):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    async with open_journal(path, max_bytes=MIB) as journal:
        assert isinstance(journal, NoJournal)
    assert [each["why"] for each in log] == ["it was written by a later version of the proxy (schema 7, this one knows 1)"]


async def test_where_no_file_can_be_one_goes_on_without_it(tmp_path, log):
    (tmp_path / "data").write_text("a file")
    async with open_journal(tmp_path / "data" / "journal.sqlite3", max_bytes=MIB) as journal:
        assert isinstance(journal, NoJournal)
    assert [each["event"][:31] for each in log] == ["going on without a journal: wha"]


async def test_a_closed_journal_refuses(path):
    async with open_journal(path, max_bytes=MIB) as journal:
        pass
    with pytest.raises(JournalError, match="closed"):
        journal.append("t1", "ann", str, ready=True)


async def test_without_a_journal_there_is_nothing_to_do():
    journal: Journal = NoJournal()
    with pytest.raises(JournalError):
        journal.append("t1", "ann", str, ready=True)
    assert (await journal.next(), await journal.counts()) == (Nothing(), Counts())
    assert (journal.health.state, journal.health.well) == ("off", True)
    assert (await journal.retry_dead(), await journal.erase("ann")) == (0, 0)
    assert [await journal.done("t1"), await journal.put_off("t1", 1), await journal.bury("t1", "why")] == [None] * 3
