"""The write path: what an answer's blocks say, and the message itself → memories in the store, behind the answer's back.

One task works through a bounded queue; what is still in it at the end is written before the store closes.

1 ``told``: the blocks, read and cleaned  2 ``keep_turn``: the user's message  3 ``revision``: what is known, corrected or new
4 ``growth``: room for it
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from proxy.core.models import MEMORY_TYPES, TURN
from proxy.errors import EmbedError, StoreError
from proxy.memory.embedder import Embedder
from proxy.memory.figures import Figures
from proxy.memory.growth import Growth
from proxy.memory.heard import Heard, hear
from proxy.memory.keep_turn import Kept, TurnKeeper
from proxy.memory.revision import Revision
from proxy.memory.said import Keeping, Said, Spoken
from proxy.memory.store import MemoryStore

__all__ = ["Keeping", "Remember", "Said", "Spoken"]

logger = structlog.get_logger()


class Remember:
    """``submit`` returns at once; ``running`` owns the task that stores, and at its end waits *grace_s* for it.

    ``figures`` counts what became of everything submitted.
    """

    def __init__(self, store: MemoryStore, embedder: Embedder, *, options: Keeping, queue_size: int, grace_s: float) -> None:
        self._store = store
        self._embedder = embedder
        self._options = options
        self._turns = TurnKeeper(store, embedder, options)
        self._memory_growth = Growth(store, MEMORY_TYPES, options.memories_per_user)
        self._turn_growth = Growth(store, (TURN,), options.turns_per_user)
        self._queue: asyncio.Queue[Said] = asyncio.Queue(queue_size)
        self._grace_s = grace_s
        self.figures = Figures()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Remember]:
        worker = asyncio.get_running_loop().create_task(self._work())
        try:
            yield self
        finally:
            try:
                async with asyncio.timeout(self._grace_s):
                    await self.settled()
            except TimeoutError:
                self.figures.lost += self._queue.qsize() + 1
                logger.warning("memories lost: the proxy ended before they were stored", answers=self._queue.qsize() + 1)
            worker.cancel()
            await asyncio.wait([worker])

    def submit(self, said: Said) -> None:
        """Take *said* over. A full queue is said in the log, never to the chat."""
        if not said.blocks and said.spoken is None:
            return
        try:
            self._queue.put_nowait(said)
        except asyncio.QueueFull:
            self.figures.lost += 1
            logger.warning("memories lost: the queue is full", trace=said.trace, blocks=len(said.blocks))

    async def settled(self) -> None:
        """Return when everything submitted so far has been worked through."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            said = await self._queue.get()
            figures = Figures()
            try:
                await self._keep(hear(said, self._options), figures)
            except (StoreError, EmbedError) as exc:
                figures.lost = 1
                logger.warning("memories lost", trace=said.trace, blocks=len(said.blocks), why=str(exc))
            except Exception:
                # A mistake of ours about one answer: the answers behind it are others'.
                figures.lost = 1
                logger.exception("memories lost", trace=said.trace, blocks=len(said.blocks))
            finally:
                self.figures.add(figures)
                self._queue.task_done()

    async def _keep(self, heard: Heard, figures: Figures) -> None:
        figures.add(heard.figures)
        turn = await self._keep_turn(heard, figures)
        revision = Revision(self._store, heard, turn=turn, options=self._options, figures=figures)
        await revision.write(self._embedder)
        figures.dropped_for_room += await self._memory_growth.wrote(heard.owner, figures.stored, heard.at)
        figures.dropped_for_room += await self._turn_growth.wrote(heard.owner, figures.turns, heard.at)
        if counts := figures.as_dict():
            logger.info("remembered", trace=heard.trace, **counts)

    async def _keep_turn(self, heard: Heard, figures: Figures) -> Kept | None:
        """A message that makes the model forget something repeats what shall be forgotten: it is not kept."""
        if not heard.told.forgotten:
            return await self._turns.keep(heard, figures)
        await self._turns.drop(heard)
        return None
