"""Long work on the event loop, in pieces that nobody notices."""

from __future__ import annotations

import asyncio
from time import perf_counter

_AT_ONCE_S = 0.005


class Pace:
    """``await step()`` between two pieces: when they have taken 5 ms together, others get their turn."""

    def __init__(self) -> None:
        self._began = perf_counter()

    async def step(self) -> None:
        if perf_counter() - self._began > _AT_ONCE_S:
            await asyncio.sleep(0)
            self._began = perf_counter()
