"""The store and the embedder behind their guards: real ones, and such as fail, hang and come back when they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from proxy import config
from proxy.core.models import Memory, Owner
from proxy.errors import ConfigError, EmbedError, MemoryProxyError, ModelError, StoreError, StoreLocked, StoreMismatch
from proxy.memory.edge import Bm25Encoder, EdgeStore, open_edge
from proxy.memory.embedder import Embedder
from proxy.memory.guarded import Guard, GuardedEmbedder, GuardedStore, Health, guard_embedder, guard_store
from proxy.memory.recall import Asked, Recall, Recalled
from proxy.memory.store import MemoryStore, Which
from tests.fakes import DIMENSIONS, WordEmbedder
from tests.missing import MissingStore

RETRY_S = 0.01
PATIENT_S = 60.0


class MoodyStore(MissingStore):
    """Lists nothing, counts how often it was *asked*; *failure* is what it raises, and while *gate* is closed it takes forever."""

    def __init__(self) -> None:
        super().__init__("only lists")
        self.failure: MemoryProxyError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.probes = 0
        self.probed = asyncio.Semaphore(0)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        self.asked += 1
        await self._pass()
        return []

    async def touch(self) -> None:
        self.probes += 1
        self.probed.release()
        await self._pass()

    async def _pass(self) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure


def opening(*parts: Any) -> Callable[[], Any]:
    """Opens the next of *parts* each time; one that is an error is raised."""
    left = list(parts)

    @asynccontextmanager
    async def open_next() -> AsyncIterator[Any]:
        part = left.pop(0)
        if isinstance(part, Exception):
            raise part
        yield part

    return open_next


async def _back(guard: Guard[Any]) -> None:
    recovered = asyncio.Event()
    guard.on_recovered(recovered.set)
    if guard.health != Health():
        async with asyncio.timeout(60):
            await recovered.wait()


@pytest.fixture
async def moody() -> MoodyStore:
    return MoodyStore()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def guarding(
    stack: AsyncExitStack, *parts: Any, deadline_s: float = PATIENT_S, retry_s: float = RETRY_S
) -> Guard[MemoryStore]:
    return await stack.enter_async_context(guard_store(opening(*parts), deadline_s=deadline_s, retry_s=retry_s).running())


async def guarding_embedder(
    stack: AsyncExitStack, *parts: Any, deadline_s: float = PATIENT_S, retry_s: float = RETRY_S
) -> Guard[Embedder]:
    return await stack.enter_async_context(guard_embedder(opening(*parts), deadline_s=deadline_s, retry_s=retry_s).running())


async def test_while_all_is_well_calls_go_through(stack, edge, ann, log):
    guard = await guarding(stack, edge)
    store = GuardedStore(guard)
    assert (await store.list(ann, limit=1), await store.get(ann, []), await store.count(ann)) == ([], [], 0)
    assert (guard.health, log) == (Health(), [])


async def test_a_store_that_fails_is_left_alone_until_a_probe_succeeds(stack, moody, ann, log):
    guard = await guarding(stack, moody)
    store = GuardedStore(guard)
    moody.failure = StoreError("refused")
    for _ in range(3):
        with pytest.raises(StoreError, match=r"\Arefused\Z"):
            await store.list(ann, limit=1)
    asked = moody.asked
    with pytest.raises(StoreError, match=r"\Athe store is out of order since \d\d:\d\d:\d\d UTC: refused\Z"):
        await store.list(ann, limit=1)
    assert moody.asked == asked
    moody.failure = None
    await _back(guard)
    assert await store.list(ann, limit=1) == []


async def test_the_log_says_once_that_a_part_is_out_of_order_and_once_that_it_is_back(stack, moody, ann, log):
    guard = await guarding(stack, moody)
    moody.failure = StoreError("refused")
    for _ in range(5):
        with pytest.raises(StoreError):
            await GuardedStore(guard).list(ann, limit=1)
    for _ in range(3):
        await moody.probed.acquire()
    moody.failure = None
    await _back(guard)
    assert [{**line, "after_s": 0} if "after_s" in line else line for line in log] == [
        {"event": "out of order", "part": "store", "why": "refused", "log_level": "error"},
        {"event": "in order again", "part": "store", "after_s": 0, "log_level": "warning"},
    ]


async def test_a_store_that_hangs_is_asked_by_one_probe_and_nobody_else(stack, moody, ann):
    guard = await guarding(stack, moody, deadline_s=0.02)
    moody.gate.clear()
    for _ in range(3):
        with pytest.raises((TimeoutError, StoreError)):
            async with asyncio.timeout(0.02):
                await GuardedStore(guard).list(ann, limit=1)
    asked, probes = moody.asked, moody.probes
    with pytest.raises(StoreError, match=r"out of order since .*: no answer within 20 ms"):
        await GuardedStore(guard).list(ann, limit=1)
    assert (moody.asked, moody.probes - probes <= 1) == (asked, True)
    moody.gate.set()
    await _back(guard)


async def test_who_leaves_early_says_nothing_about_the_store(stack, moody, ann):
    guard = await guarding(stack, moody)
    moody.gate.clear()
    for _ in range(5):
        task = asyncio.get_running_loop().create_task(GuardedStore(guard).list(ann, limit=1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert (moody.asked, guard.health) == (5, Health())


async def test_what_an_operator_must_decide_is_no_outage(stack, moody, ann):
    guard = await guarding(stack, moody)
    moody.failure = StoreMismatch("other vectors")
    for _ in range(5):
        with pytest.raises(StoreMismatch):
            await GuardedStore(guard).list(ann, limit=1)
    assert (moody.asked, guard.health) == (5, Health())


@pytest.mark.parametrize("error", [StoreLocked("in use"), StoreMismatch("other vectors"), ConfigError("no such model")])
async def test_what_an_operator_must_decide_stops_the_start(stack, error: MemoryProxyError):
    with pytest.raises(type(error)):
        await guarding(stack, error)


async def test_who_insists_is_let_through(stack, moody, ann):
    guard = await guarding(stack, StoreError("refused"), moody, retry_s=60)
    with pytest.raises(StoreError, match="out of order"):
        await GuardedStore(guard, insist=True).list(ann, limit=1)
    moody.failure = StoreError("refused")
    opened = await guarding(stack, moody, retry_s=60)
    for _ in range(3):
        with pytest.raises(StoreError, match=r"\Arefused\Z"):
            await GuardedStore(opened, insist=True).list(ann, limit=1)
    moody.failure = None
    assert await GuardedStore(opened, insist=True).list(ann, limit=1) == []


async def test_what_cant_be_opened_at_the_start_is_opened_later(stack, edge, ann, log):
    guard = await guarding(stack, StoreError("no folder"), StoreError("no folder"), edge)
    assert guard.health.why == "no folder"
    await _back(guard)
    assert await GuardedStore(guard).list(ann, limit=1) == []
    assert [line["event"] for line in log] == ["out of order", "in order again"]


async def test_a_mistake_of_ours_in_a_probe_does_not_end_them(stack, edge, log):
    guard = await guarding(stack, StoreError("no folder"), ZeroDivisionError("oops"), edge)
    await _back(guard)
    assert [line["event"] for line in log] == ["out of order", "a probe failed in an unexpected way", "in order again"]


async def test_a_model_that_comes_later_is_used(stack, embedder):
    guard = await guarding_embedder(stack, ModelError("no model"), embedder)
    guarded = GuardedEmbedder(guard)
    assert (guarded.name, guarded.dimensions) == ("none", 0)
    for call in (guarded.embed_query("tea"), guarded.embed_documents(["tea"]), guarded.touch()):
        with pytest.raises(EmbedError, match=r"the embedder is out of order since .*: no model"):
            await call
    await _back(guard)
    await guarded.touch()
    assert (guarded.name, guarded.dimensions) == (embedder.name, embedder.dimensions)
    assert await guarded.embed_documents(["tea"]) == [await guarded.embed_query("tea")]


async def test_a_slow_embedder_leaves_time_to_search_by_words(stack, embedder):
    guard = await guarding_embedder(stack, embedder, deadline_s=0.06)
    embedder.gate.clear()
    with pytest.raises(EmbedError, match=r"\Ano answer within 30 ms\Z"):
        await GuardedEmbedder(guard).embed_query("tea")


async def test_documents_are_embedded_by_an_embedder_that_is_too_slow_for_queries(stack, embedder):
    guard = await guarding_embedder(stack, embedder, retry_s=60)
    embedder.failure = EmbedError("busy")
    for _ in range(3):
        with pytest.raises(EmbedError):
            await GuardedEmbedder(guard).embed_query("tea")
    embedder.failure = None
    assert len(await GuardedEmbedder(guard).embed_documents(["tea"])) == 1


async def test_when_its_thread_hangs_the_deadline_holds_and_nothing_piles_up(stack, tmp_path, embedder: WordEmbedder, ann):
    """A call that waits in the store's thread can't be taken back; those behind it can."""
    edge: EdgeStore = await stack.enter_async_context(open_edge(config.Store(path=str(tmp_path)), DIMENSIONS, Bm25Encoder()))
    guard = await guarding(stack, edge, deadline_s=0.05)
    recall = Recall(GuardedStore(guard), embedder, config.Recall(deadline_ms=50))
    goes_on = threading.Event()
    stuck = asyncio.get_running_loop().create_task(edge._call(goes_on.wait))
    try:
        found = [await recall.recall(ann, Asked(f"tea {i}")) for i in range(20)]
        assert guard.health.why == "no answer within 50 ms"
        found += [await recall.recall(ann, Asked(f"tea {i}")) for i in range(1000)]
        waiting = edge._thread._work_queue.qsize()
    finally:
        goes_on.set()
    await stuck
    assert {each.trouble for each in found} <= {"deadline", "store"}
    assert found[-1] == Recalled(trouble="store")
    assert waiting <= 10
    await _back(guard)
    assert await recall.recall(ann, Asked("tea")) == Recalled()


async def test_who_wants_to_know_is_told_of_each_outage_once(moody: MoodyStore):
    told: list[str] = []
    async with guard_store(opening(moody), deadline_s=PATIENT_S, retry_s=RETRY_S).running() as guard:
        guard.on_degraded(told.append)
        guard.on_recovered(lambda: told.append("back"))
        moody.failure = StoreError("away")
        for _ in range(5):
            with pytest.raises(StoreError):
                await GuardedStore(guard, insist=True).list(Owner("ann"), limit=1)
        moody.failure = None
        await _back(guard)
    assert told == ["away", "back"]


async def test_who_asks_while_the_model_is_replaced_is_answered_by_the_new_one(stack, embedder: WordEmbedder):
    """Whose vectors are the ones that are searched from that moment on."""
    guard = await guarding_embedder(stack, embedder)
    new = WordEmbedder()
    embedder.gate.clear()
    asked = asyncio.ensure_future(GuardedEmbedder(guard).embed_query("tea"))
    while not embedder.queries:  # noqa: ASYNC110
        await asyncio.sleep(0)
    guard.replace(new, AsyncExitStack())
    embedder.gate.set()
    await asked
    assert (embedder.queries, new.queries) == (["tea"], ["tea"])


async def test_what_the_replaced_model_fails_of_says_nothing(stack, embedder: WordEmbedder, log):
    guard = await guarding_embedder(stack, embedder)
    embedder.gate.clear()
    asked = [asyncio.ensure_future(GuardedEmbedder(guard).embed_query(text)) for text in "abcd"]
    while len(embedder.queries) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0)
    guard.replace(WordEmbedder(), AsyncExitStack())
    embedder.failure = EmbedError("the embedder was closed")
    embedder.gate.set()
    assert len(await asyncio.gather(*asked)) == 4
    assert (guard.health, log) == (Health(), [])


async def test_what_a_part_is_closed_with_goes_with_it(embedder: WordEmbedder):
    closed: list[str] = []
    new = AsyncExitStack()
    new.callback(closed.append, "new")

    @asynccontextmanager
    async def opening_old() -> AsyncIterator[Embedder]:
        yield embedder
        closed.append("old")

    async with guard_embedder(opening_old, deadline_s=PATIENT_S, retry_s=RETRY_S).running() as guard:
        old = guard.replace(WordEmbedder(), new)
        assert closed == []
        await old.aclose()
        assert closed == ["old"]
    assert closed == ["old", "new"]
