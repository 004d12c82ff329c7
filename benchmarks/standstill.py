"""How long every stream stands still while what was written is put on the disk: our way, and the library's ``flush()``, in turns.

Both are asked for by a store with 10,000 memories that has just got 64 more, one at a time. The library keeps the GIL while the disk
works, so the event loop, which has nothing to do but to look at the clock, is late by as much.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.rows import Effort, Row, ratio
from benchmarks.servers import DIMENSIONS, OWNER, made_up
from proxy.memory.edge import Bm25Encoder, EdgeStore

MEMORIES, WRITTEN = 10_000, 64
TICK_S = 0.0005


def standstill(effort: Effort) -> Iterator[Row]:
    rounds = asyncio.run(_rounds(effort))
    yield ratio(f"{WRITTEN} memories put on the disk: the longest that streams stand still", rounds, unit="ms", at_most=0.25)


async def _rounds(effort: Effort) -> list[tuple[float, float]]:
    """For each round the library's milliseconds, and ours."""
    async with _filled(effort.of(MEMORIES)) as store:
        found = []
        for i in range(effort.rounds + 1):
            await _write(store, seed=2 * i)
            ours = await _longest_ms(store.sync_log)
            await _write(store, seed=2 * i + 1)
            found.append((await _longest_ms(store.flush), ours))
    return found[1:]  # the first has all that filling left


@asynccontextmanager
async def _filled(memories: int) -> AsyncIterator[EdgeStore]:
    with tempfile.TemporaryDirectory(prefix="memory-proxy-bench-") as folder:
        store = EdgeStore(Path(folder) / "edge", DIMENSIONS, Bm25Encoder(), flush_interval_s=3600)
        await store.open()
        try:
            await store.upsert(OWNER, made_up(memories, seed=-1))
            yield store
        finally:
            await store.close()


async def _write(store: EdgeStore, *, seed: int) -> None:
    for each in made_up(WRITTEN, seed=seed):
        await store.upsert(OWNER, [each])


async def _longest_ms(work: Callable[[], Coroutine[None, None, None]]) -> float:
    longest, last = 0.0, perf_counter()
    done = asyncio.get_running_loop().create_task(work())
    while not done.done():
        await asyncio.sleep(TICK_S)
        now = perf_counter()
        longest, last = max(longest, now - last), now
    return longest * 1000
