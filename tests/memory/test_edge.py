"""What only the embedded store does: its directory, its lock, its thread, its crashes."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import qdrant_edge

from proxy import config
from proxy.core.models import Memory, Owner
from proxy.errors import StoreError, StoreLocked, StoreMismatch
from proxy.memory.edge import FLUSH_AFTER, Bm25Encoder, EdgeStore, open_edge
from proxy.memory.store import Entry, Query, SparseEncoder, SparseVector
from tests.fakes import look
from tests.files import written

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = Owner("ann")
BEN = Owner("ben")

WRITER = """
import asyncio, sys
from proxy.core.models import Owner
from tests.memory.test_edge import entries, opened

async def main(path):
    async with opened(path) as store:
        await store.upsert(Owner("ann"), entries(range(600)))
        await store.upsert(Owner("ann"), entries(range(3), content="replaced"))
        await store.delete(Owner("ann"), [each.memory.id for each in entries(range(590, 600))])
        print("acknowledged", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


def opened(
    path: object, *, dimensions: int = 2, encoder: SparseEncoder | None = None, flush_interval_s: float = 60.0
) -> AbstractAsyncContextManager[EdgeStore]:
    settings = config.Store(path=str(path), flush_interval_s=flush_interval_s)
    return open_edge(settings, dimensions, encoder or Bm25Encoder())


def entries(numbers: Iterable[int], *, content: str = "memory") -> list[Entry]:
    return [Entry(Memory(str(UUID(int=n)), f"{content} {n}", NOW, NOW), [1.0, 0.0]) for n in numbers]


def segments(path: Path) -> set[Path]:
    return set(path.glob("edge/segments/*"))


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110  files tell nobody that they have changed
            await asyncio.sleep(0.005)


def flushed(path: Path) -> bool:
    """Until the first flush, the ids of a segment's points are in the log alone."""
    return any(path.glob("edge/segments/*/mutable_id_tracker.mappings"))


@asynccontextmanager
async def another_process(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has written, acknowledged and not flushed, and holds the store; killed with SIGKILL on leaving."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"acknowledged\n"
        yield process
    finally:
        process.kill()
        await process.communicate()


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    async with another_process(tmp_path) as process:
        pass
    assert process.returncode == -signal.SIGKILL
    async with opened(tmp_path) as store:
        found = await store.list(ANN, limit=1000)
    expected = entries(range(3, 590)) + entries(range(3), content="replaced")
    assert {memory.id: memory for memory in found} == {each.memory.id: each.memory for each in expected}


async def test_a_second_process_is_told_who_has_the_store(tmp_path: Path) -> None:
    async with another_process(tmp_path) as process:
        with pytest.raises(StoreLocked) as caught:
            async with opened(tmp_path):
                pass
    assert str(caught.value) == (
        f"{tmp_path}/edge is open in process {process.pid}: go through that proxy with --url, or use another --data"
    )


async def test_a_second_opening_in_one_process_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries([1]))
        with pytest.raises(StoreLocked):
            async with opened(tmp_path):
                pass
        assert await store.count(ANN) == 1
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 1


async def test_another_vector_size_is_refused_in_one_line_and_harms_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries([1]))
    with pytest.raises(StoreMismatch) as caught:
        async with opened(tmp_path, dimensions=3):
            pass
    assert str(caught.value) == (
        f"{tmp_path}/edge holds vectors of 2 dimensions, but the embedding model makes 3: "
        "use the model that it was made with, or another store.path, or move it with `memory-proxy reembed`"
    )
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 1


@pytest.mark.parametrize(
    ("files", "damage"),
    [
        ("edge_config.json", b"{"),
        ("edge_config.json", b"[]"),
        ("edge_config.json", b"\xff\xfe"),
        ("segments/*/segment.json", b"nonsense"),
        ("segments/*/segment.json", b""),
        ("segments/*/mutable_id_tracker.mappings", b"\xff" * 40),
        ("segments/*/payload_storage/tracker.dat", b""),
        ("wal/open-*", b"nonsense"),
    ],
)
async def test_damaged_files_are_one_line_and_the_lock_is_given_back(tmp_path: Path, files: str, damage: bytes) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries([1]))
    for path in (tmp_path / "edge").glob(files):
        path.write_bytes(damage)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            async with opened(tmp_path):
                pass
        assert type(caught.value) is StoreError
        assert str(caught.value).startswith(f"{tmp_path}/edge can't be opened: ")
        assert "\n" not in str(caught.value)


async def test_a_path_that_can_not_be_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        async with opened(tmp_path / "file"):
            pass
    assert str(caught.value) == f"{tmp_path}/file/edge can't be opened: Not a directory"


class Disk:
    """What ``shutil.disk_usage`` says while *free* bytes are left."""

    def __init__(self, free: int) -> None:
        self.free = free

    def __call__(self, path: Path) -> "Disk":
        return self


FULL = r"\Athe disk of .*/edge is full: 5\.0 MB free, [67]\d\.\d MB needed; make room\Z"


async def test_while_the_disk_is_full_nothing_is_written_and_all_is_found(tmp_path: Path, monkeypatch) -> None:
    """The files are mapped into memory: a write without room would end the process."""
    disk = Disk(free=10**9)
    monkeypatch.setattr("proxy.memory.edge_shard.shutil.disk_usage", disk)
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(3)))
        await store.delete(ANN, [str(UUID(int=0))])
        disk.free = 5_000_000
        calls = [store.upsert(ANN, entries([3])), store.delete(ANN, [str(UUID(int=1))]), store.touch(), store.purge()]
        calls += [store.revise(ANN, [entries([2])[0].memory])]
        for call in calls:
            with pytest.raises(StoreError, match=FULL):
                await call
        assert {each.content for each in await store.list(ANN, limit=5)} == {"memory 1", "memory 2"}
        disk.free = 10**9
        await store.upsert(ANN, entries([3]))
        await store.purge()
        assert await store.count(ANN) == 3


async def test_on_a_full_disk_it_does_not_open(tmp_path: Path, monkeypatch) -> None:
    disk = Disk(free=5_000_000)
    monkeypatch.setattr("proxy.memory.edge_shard.shutil.disk_usage", disk)
    with pytest.raises(StoreError, match=FULL):
        async with opened(tmp_path):
            pass
    disk.free = 10**9
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 0


async def test_without_room_for_it_nothing_is_cleared_away_at_the_opening(tmp_path: Path, monkeypatch) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(1500)))
        await store.delete(ANN, [each.memory.id for each in entries(range(500))])
        (tmp_path / "edge.owed").unlink()
    before = segments(tmp_path)
    monkeypatch.setattr("proxy.memory.edge_shard.shutil.disk_usage", Disk(free=config.Store().min_free_bytes))
    async with opened(tmp_path) as store:
        assert (await store.count(ANN), segments(tmp_path)) == (1000, before)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        pass
    with pytest.raises(StoreError, match="the embedded store is closed"):
        await store.touch()


def unwritten_log(path: Path) -> int:
    """KB of the write-ahead log of the store at *path* that are in memory alone."""
    dirty, in_log = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if not line[0].isupper():
            in_log = f"{path}/edge/wal/" in line
        elif in_log and line.startswith(("Shared_Dirty:", "Private_Dirty:")):
            dirty += int(line.split()[1])
    return dirty


async def test_what_was_written_is_on_the_disk_within_the_interval(tmp_path: Path) -> None:
    async with opened(tmp_path / "patient") as store:
        await store.upsert(ANN, entries([1]))
        assert unwritten_log(tmp_path / "patient") > 0
    async with opened(tmp_path / "quick", flush_interval_s=0.1) as store:
        await store.upsert(ANN, entries([1]))
        await until(lambda: unwritten_log(tmp_path / "quick") == 0)
        assert not flushed(tmp_path / "quick"), "the log is enough"


async def test_after_many_writes_the_segments_are_on_the_disk_too(tmp_path: Path) -> None:
    """Else each opening would read a longer log than the last."""
    async with opened(tmp_path, flush_interval_s=0.1) as store:
        await store.upsert(ANN, entries(range(FLUSH_AFTER - 1)))
        await until(lambda: unwritten_log(tmp_path) == 0)
        assert not flushed(tmp_path)
        await store.upsert(ANN, entries([FLUSH_AFTER]))
        await until(lambda: flushed(tmp_path))


async def test_closing_ends_the_flush_timer_and_keeps_what_it_had_not_flushed(tmp_path: Path) -> None:
    async with opened(tmp_path, flush_interval_s=0.1) as store:
        await store.upsert(ANN, entries([1]))
    await asyncio.sleep(0.15)
    async with opened(tmp_path) as store:
        assert await store.get(ANN, [str(UUID(int=1))]) == [entries([1])[0].memory]


async def test_a_fifth_deleted_is_cleared_away_at_the_next_opening(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(1500)))
        await store.delete(ANN, [each.memory.id for each in entries(range(500))])
    before = segments(tmp_path)
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 1000
        await store.upsert(ANN, entries([7]))
        assert await store.get(ANN, [str(UUID(int=n)) for n in (7, 8, 1499)]) == [each.memory for each in entries([7, 1499])]
    assert before.isdisjoint(segments(tmp_path))


async def test_a_store_that_was_cleared_away_opens_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(1500)))
        await store.delete(ANN, [each.memory.id for each in entries(range(1500))])
    for _ in range(2):
        async with opened(tmp_path) as store:
            assert await store.count(None) == 0
            assert await store.list(ANN, limit=5) == []


async def test_a_caller_that_gives_up_leaves_the_store_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writing = asyncio.ensure_future(store.upsert(ANN, entries(range(2000))))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await store.upsert(Owner("ben"), entries([9999]))
        assert await store.count(Owner("ben")) == 1


ERASER = """
import asyncio, os, signal, sys
from proxy.core.models import Owner
from tests.memory.test_edge import entries, opened

async def main(path):
    async with opened(path) as store:
        await store.upsert(Owner("ann"), entries(range(300), content="ann-canary"))
        await store.upsert(Owner("ben"), entries(range(300, 400), content="ben-canary"))
        await store.erase(Owner("ann"))
        if sys.argv[2] == "purged":
            await store.purge()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


def occurrences(folder: Path, word: str) -> int:
    """In all files below *folder*."""
    return written(folder).count(word.encode())


def owed(path: Path) -> bool:
    return (path / "edge.owed").exists()


async def killed_after_erasing(path: Path, when: str) -> None:
    command = [sys.executable, "-c", ERASER, str(path), when]
    process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL


async def test_a_purge_takes_what_was_erased_out_of_every_file_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(300), content="ann-canary"))
        await store.upsert(BEN, kept := entries(range(300, 400), content="ben-canary"))
        await store.erase(ANN)
        assert occurrences(tmp_path, "ann-canary") > 0
        await store.purge()
        assert occurrences(tmp_path, "ann") == 0
        assert {each.id: each for each in await store.list(BEN, limit=1000)} == {each.memory.id: each.memory for each in kept}
        await store.upsert(ANN, entries([1], content="new"))
    async with opened(tmp_path) as store:
        assert await store.list(ANN, limit=10) == [entries([1], content="new")[0].memory]
        assert await store.count(BEN) == 100
    assert occurrences(tmp_path, "ann-canary") == 0
    assert occurrences(tmp_path, "ben-canary") >= 100


async def test_what_was_purged_stays_purged_although_the_process_is_killed(tmp_path: Path) -> None:
    await killed_after_erasing(tmp_path, "purged")
    assert (occurrences(tmp_path, "ann"), occurrences(tmp_path, "ben-canary") >= 100) == (0, True)
    async with opened(tmp_path) as store:
        assert (await store.count(ANN), await store.count(BEN)) == (0, 100)
    assert occurrences(tmp_path, "ann") == 0


async def test_what_a_killed_process_owed_is_purged_after_the_next_start(tmp_path: Path) -> None:
    await killed_after_erasing(tmp_path, "not purged")
    assert occurrences(tmp_path, "ann-canary") > 0
    async with opened(tmp_path) as store:
        assert (await store.count(ANN), await store.count(BEN)) == (0, 100)
        await until(lambda: not owed(tmp_path))
        assert (await store.count(BEN), occurrences(tmp_path, "ann")) == (100, 0)


async def test_deletes_are_purged_after_a_while_without_being_asked(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "edge", 2, Bm25Encoder(), flush_interval_s=60, purge_after_s=0.01)
    await store.open()
    for n in range(2):
        await store.upsert(ANN, entries([n], content="canary"))
        await store.delete(ANN, [str(UUID(int=n))])
        await until(lambda: not owed(tmp_path))
        assert occurrences(tmp_path, "canary") == 0
    await store.close()


async def test_writes_while_the_store_is_copied_are_in_the_copy(tmp_path: Path) -> None:
    """Before, inside and behind what has been copied when they come; the first page is out when the purge waits for the first time."""
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(0, 1000, 2)))
        await store.upsert(BEN, entries([5000]))
        await store.erase(BEN)
        purge = asyncio.ensure_future(store.purge())
        expected = {each.memory.id: each.memory for each in entries(range(0, 1000, 2))}
        for at in (1, 333, 501, 775, 999):
            await asyncio.sleep(0)
            new, again, gone, revised = entries([at]), entries([at - 1], content="again"), entries([at + 3]), entries([at + 5])
            await store.upsert(ANN, [*new, *again])
            await store.delete(ANN, [each.memory.id for each in gone])
            await store.revise(ANN, [replace(each.memory, importance=1.0) for each in revised])
            expected |= {each.memory.id: each.memory for each in (*new, *again)}
            expected |= {each.memory.id: replace(each.memory, importance=1.0) for each in revised if each.memory.id in expected}
            for each in gone:
                expected.pop(each.memory.id, None)
        await purge
        assert {each.id: each for each in await store.list(ANN, limit=2000)} == expected
    async with opened(tmp_path) as store:
        assert {each.id: each for each in await store.list(ANN, limit=2000)} == expected


async def test_what_is_deleted_while_the_store_is_copied_takes_another_copy(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(250), content="ann-canary"))
        await store.upsert(BEN, entries(range(250, 500), content="ben-canary"))
        await store.erase(BEN)
        first = asyncio.ensure_future(store.purge())
        await until(lambda: (tmp_path / "edge.2" / "wal").exists())
        for _ in range(3):
            await store.touch()  # stands in line behind a page
        await store.erase(ANN)
        await asyncio.gather(first, store.purge(), store.purge())
        assert (occurrences(tmp_path, "canary"), owed(tmp_path)) == (0, False)


async def test_a_caller_that_gives_up_does_not_end_the_purge(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(300), content="canary"))
        await store.erase(ANN)
        purge = asyncio.ensure_future(store.purge())
        await asyncio.sleep(0)
        purge.cancel()
        await until(lambda: not owed(tmp_path))
        assert occurrences(tmp_path, "canary") == 0


async def test_a_copy_that_fails_changes_nothing_and_is_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(300), content="canary"))
        await store.delete(ANN, [str(UUID(int=1))])
        (tmp_path / "edge.2").touch()
        with pytest.raises(StoreError):
            await store.purge()
        await store.upsert(ANN, entries([1000]))
        assert await store.count(ANN) == 300
        (tmp_path / "edge.2").unlink()
        await store.purge()
        assert (await store.count(ANN), occurrences(tmp_path, "canary 1\x22")) == (300, 0)


async def test_a_store_closed_while_it_is_copied_is_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(300)))
        await store.delete(ANN, [str(UUID(int=1))])
        purge = asyncio.ensure_future(store.purge())
        await until(lambda: (tmp_path / "edge.2").exists())
    with pytest.raises(asyncio.CancelledError):
        await purge
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 299


class Panicking:
    """An encoder that fails as Rust does: pyo3's PanicException is a BaseException."""

    class Panic(BaseException):
        pass

    def query(self, text: str) -> SparseVector:
        raise self.Panic("called `Option::unwrap()`\non a `None` value")

    document = query


async def test_a_panic_is_a_store_error_and_the_store_lives_on(tmp_path: Path) -> None:
    async with opened(tmp_path, encoder=Panicking()) as store:
        with pytest.raises(StoreError) as caught:
            await look(store, ANN, Query("tea", None), limit=1)
        assert str(caught.value) == "the embedded store failed: called `Option::unwrap()` on a `None` value"
        assert await store.count(ANN) == 0


async def test_no_graph_is_ever_built(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries([1]))
    noted = json.loads((tmp_path / "edge" / "edge_config.json").read_bytes())
    assert noted["optimizers"]["indexing_threshold"] == 0


async def test_an_older_store_gets_the_indexes_that_it_lacks(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(3)))
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "edge"))
    for field in ("tenant", "type", "scope", "session", "key", "valid_from"):
        shard.update(qdrant_edge.UpdateOperation.delete_field_index(field))
    shard.close()
    async with opened(tmp_path) as store:
        assert await store.count(ANN) == 3
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "edge"))
    assert set(shard.info().payload_schema) == {
        "owner", "tenant", "type", "scope", "session", "digest", "key", "created_at", "valid_from", "valid_until",
    }  # fmt: skip
    shard.close()


async def test_a_point_without_a_type_is_a_memory(tmp_path: Path) -> None:
    """As they were written before there were types."""
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(2)))
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "edge"))
    shard.update(qdrant_edge.UpdateOperation.delete_payload([str(UUID(int=0))], ["type", "valid_from"]))
    shard.close()
    async with opened(tmp_path) as store:
        assert len(await store.list(ANN, limit=5)) == await store.count(ANN) == 2
        sight = await look(store, ANN, Query("memory", [1.0, 0.0], turns=True), limit=5)
        assert [len(hits) for hits in (sight.dense, sight.sparse, sight.turns_dense)] == [2, 2, 0]


def test_words_are_stemmed_and_stop_words_dropped() -> None:
    encoder = Bm25Encoder()
    assert encoder.query("The foxes, jumping") == encoder.query("fox JUMPED")
    assert encoder.query("the of is") == SparseVector([], [])
    assert encoder.query("fox").values == [1.0]


def test_a_word_said_twice_weighs_more_but_not_twice_as_much() -> None:
    encoder = Bm25Encoder()
    [once], [twice] = encoder.document("fox").values, encoder.document("fox fox").values
    assert once < twice < 2 * once


def test_other_scripts_are_words_too() -> None:
    encoder = Bm25Encoder()
    assert set(encoder.query("привет").indices) <= set(encoder.document("привет 東京").indices)
