"""Answers that are read to their end though the client has left or has all that it will get: a memory block had begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from proxy.core.filters import Filter
from proxy.errors import ProxyError
from proxy.web.relay import OnBlock, ignore_block
from proxy.web.upstream import UpstreamResponse

logger = structlog.get_logger()


class Drain:
    """Owns the tasks that go on reading. At most *max_answers* at once: beyond, an answer's connection is closed instead."""

    def __init__(self, *, max_answers: int, grace_s: float) -> None:
        self._max_answers = max_answers
        self._grace_s = grace_s
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def answers(self) -> int:
        """That are being read now."""
        return len(self._tasks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Drain]:
        try:
            yield self
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._grace_s)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def adopt(
        self, upstream: UpstreamResponse, filter_: Filter, done: Callable[[], None], on_block: OnBlock = ignore_block
    ) -> None:
        """Read *upstream* into *filter_* as long as that may hold more of a block, close it, and call *done*."""
        if len(self._tasks) >= self._max_answers:
            logger.warning("not reading on behind a client that left", answers=len(self._tasks))
            upstream.close()
            done()
            return
        task = asyncio.get_running_loop().create_task(_read_on(upstream, filter_, done, on_block))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _read_on(upstream: UpstreamResponse, filter_: Filter, done: Callable[[], None], on_block: OnBlock) -> None:
    known = 0
    try:
        while (filter_.in_block or filter_.client_done) and not upstream.ended:
            filter_.feed(await upstream.read())
            if len(filter_.blocks) != known:
                known = len(filter_.blocks)
                await on_block()
    except ProxyError as exc:
        logger.info("an answer broke off behind a client that left", why=str(exc))
    finally:
        upstream.close()
        filter_.finish()
        done()
