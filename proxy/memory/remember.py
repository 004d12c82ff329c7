"""The write path: what an answer's blocks say, and the message itself → memories in the store, behind the answer's back.

One task takes answers out of the backlog, oldest first. An answer stays in the journal until the store has all of it, and whatever is
done again after a crash or a failure comes to the same (``revision``, ``keep_turn``).

1 ``backlog``: read, cleaned (``heard``), and on the disk (``journal``)  2 ``keep_turn``: the user's message
3 ``revision``: what is known, corrected or new  4 ``growth``: room for it
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from proxy.core.models import MEMORY_TYPES, TURN, Owner
from proxy.errors import EmbedError, JournalError, MemoryProxyError, StoreError
from proxy.memory.backlog import Backlog, Waiting
from proxy.memory.embedder import Embedder
from proxy.memory.figures import Figures
from proxy.memory.growth import Growth
from proxy.memory.heard import Heard
from proxy.memory.journal import Journal, NoJournal
from proxy.memory.keep_turn import Kept, TurnKeeper
from proxy.memory.revision import Revision
from proxy.memory.said import Keeping, Said, Spoken
from proxy.memory.store import MemoryStore

__all__ = ["Keeping", "Remember", "Said", "Spoken"]

logger = structlog.get_logger()

_ATTEMPTS = 10
_LONGEST_WAIT_S = 60.0
_NO_JOURNAL = NoJournal()


class Remember:
    """``note`` and ``submit`` take answers over; ``running`` owns the task that stores them, and at its end waits *grace_s* for it.

    What is in the *journal* waits there while the store or the embedder is out of order, also beyond the end; what isn't, because
    the journal took nothing, is tried once. *deadline_s*: the longest that ``note`` waits. *retry_s*: until what failed is tried
    again; it doubles up to a minute. ``figures`` counts what became of everything.
    Whoever else reads memories and writes them again holds ``writing`` meanwhile.
    """

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        *,
        options: Keeping,
        queue_size: int,
        grace_s: float,
        journal: Journal = _NO_JOURNAL,
        deadline_s: float = 0.25,
        retry_s: float = 1.0,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._options = options
        self._turns = TurnKeeper(store, embedder, options)
        self._memory_growth = Growth(store, MEMORY_TYPES, options.memories_per_user)
        self._turn_growth = Growth(store, (TURN,), options.turns_per_user)
        self.journal = journal
        self._backlog = Backlog(self.journal, options, queue_size=queue_size, deadline_s=deadline_s, lose=self._lose)
        self._grace_s = grace_s
        self._unsafe = 0  # whether what is being worked on would be lost
        self._retry_s = retry_s
        self._outage_s = 0.0
        self.figures = Figures()
        self.writing = asyncio.Lock()
        self._erased: set[str] = set()  # the keys of owners, since the worker last asked what is next

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Remember]:
        worker = asyncio.get_running_loop().create_task(self._work())
        try:
            yield self
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace_s):
                    await self.settled()
            worker.cancel()
            await asyncio.wait([worker])
            if lost := self._backlog.unsafe + self._unsafe:
                self.figures.lost += lost
                logger.warning("memories lost: the proxy ended before they were stored", answers=lost)

    async def note(self, said: Said) -> None:
        """Return when the blocks that *said* has so far are on the disk, or can't be; its answer goes on. Never raises."""
        await self._backlog.note(said)

    def submit(self, said: Said) -> None:
        """Take *said* over, as its answer has ended. What finds no room is said in the log, never to the chat."""
        if said.blocks or said.spoken is not None:
            self._backlog.put(said)

    async def settled(self) -> None:
        """Return when everything submitted so far has been worked through, or waits for the store to come back."""
        await self._backlog.settled()

    def resume(self) -> None:
        """The store or the embedder is back: try at once what waits for it."""
        self._backlog.resume()

    async def retry_dead(self) -> int:
        """Try the dead letters again; how many there were. Raises ``JournalError``."""
        count = await self.journal.retry_dead()
        self._backlog.resume()
        return count

    @asynccontextmanager
    async def without(self, owner: Owner) -> AsyncIterator[None]:
        """What waits of *owner* is dropped for good; while the block is in, nothing is written. Raises ``JournalError``."""
        async with self.writing:
            self._backlog.drop(owner)
            self._erased.add(owner.key)
            await self.journal.erase(owner.key)
            yield

    def _lose(self, said: Said, why: str) -> None:
        self.figures.lost += 1
        logger.warning("memories lost: %s", why, trace=said.trace, blocks=len(said.blocks))

    async def _work(self) -> None:
        while True:
            self._erased.clear()
            waiting = await self._backlog.take()
            self._unsafe = not waiting.safe
            try:
                await self._work_on(waiting)
            except JournalError as exc:
                # It is done once more, which changes nothing.
                await self._wait_out(str(exc))
            self._unsafe = 0

    async def _work_on(self, waiting: Waiting) -> None:
        figures = Figures()
        try:
            async with self.writing:
                if waiting.safe and waiting.heard.owner.key in self._erased:
                    return  # read before that: what the journal has of it now is new, and comes again
                await self._keep(waiting.heard, figures)
        except Exception as exc:  # noqa: BLE001 (a mistake of ours about one answer must not cost the others', behind it)
            await self._failed(waiting, exc)
        else:
            self.figures.add(figures)
            self._recovered()
            await self._backlog.done(waiting)

    async def _failed(self, waiting: Waiting, exc: Exception) -> None:
        trace, why = waiting.heard.trace, _why(exc)
        if not waiting.safe:
            self.figures.lost += 1
            logger.warning("memories lost", trace=trace, items=len(waiting.heard.told.items), why=why, **_traceback(exc))
        elif await self._is_out_of_order():
            await self._wait_out(why)
        elif waiting.attempts + 1 < _ATTEMPTS:
            logger.warning("remembering failed, and is tried again", trace=trace, why=why, **_traceback(exc))
            await self._backlog.put_off(waiting, min(self._retry_s * 2**waiting.attempts, _LONGEST_WAIT_S))
        else:
            self.figures.dead += 1
            logger.error("put among the dead letters", trace=trace, why=why, **_traceback(exc))
            await self._backlog.bury(waiting, why)

    async def _is_out_of_order(self) -> bool:
        """Whether the store or the embedder fails whatever it is asked for; else the answer itself is to blame."""
        try:
            await self._store.touch()
            await self._embedder.touch()
        except (StoreError, EmbedError):
            return True
        return False

    async def _wait_out(self, why: str) -> None:
        if not self._outage_s:
            logger.warning("remembering has to wait", why=why)
        self._outage_s = min(2 * self._outage_s or self._retry_s, _LONGEST_WAIT_S)
        await self._backlog.pause(self._outage_s)

    def _recovered(self) -> None:
        if self._outage_s:
            logger.warning("remembering goes on")
        self._outage_s = 0.0

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


def _why(exc: Exception) -> str:
    """Of a mistake of ours only the kind: its text may quote what was said."""
    return str(exc) if isinstance(exc, MemoryProxyError) else type(exc).__name__


def _traceback(exc: Exception) -> dict[str, Exception]:
    return {} if isinstance(exc, MemoryProxyError) else {"exc_info": exc}
