"""Long work lets others have their turn."""

from __future__ import annotations

import asyncio
from time import perf_counter

from proxy.memory.pace import Pace


def work(seconds: float) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


async def others_turns(pieces: int, seconds: float) -> int:
    """How often somebody else gets the loop while so many *pieces* are done."""
    turns, done = 0, asyncio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.get_running_loop().create_task(count())
    await asyncio.sleep(0)
    before, pace = turns, Pace()
    for _ in range(pieces):
        work(seconds)
        await pace.step()
    done.set()
    await counting
    return turns - before


async def test_after_five_milliseconds_others_get_their_turn():
    assert await others_turns(10, 0.006) == 10


async def test_and_not_before():
    assert await others_turns(1000, 0) < 10
