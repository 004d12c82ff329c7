"""Answers between the chat and the store: in the journal or, while that takes nothing, in a queue in memory.

The chat hands them in and never waits for more than the disk; one worker takes them out, oldest first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import structlog

from proxy.core.models import Owner
from proxy.errors import JournalError
from proxy.memory.heard import Heard, hear, parse, render
from proxy.memory.journal import Journal, Nothing
from proxy.memory.said import Keeping, Said

logger = structlog.get_logger()

_NOT_YET_S = 1.0
"""How long a journal is left alone that can't be read from."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer whose turn has come. *safe*: it stays in the journal until it is done; *attempts* were made in vain."""

    heard: Heard
    safe: bool = False
    attempts: int = 0


class Backlog:
    """*deadline_s*: the longest that the chat waits for the disk. *lose* is called with what is lost, and why, *tell* with what was heard."""

    def __init__(
        self,
        journal: Journal,
        options: Keeping,
        *,
        queue_size: int,
        deadline_s: float,
        lose: Callable[[Said, str], None],
        tell: Callable[[Heard], None],
    ) -> None:
        self._journal = journal
        self._options = options
        self._queue: asyncio.Queue[Said] = asyncio.Queue(queue_size)
        self._deadline_s = deadline_s
        self._lose = lose
        self._tell_of = tell
        self._appending: set[asyncio.Future[None]] = set()
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._resumed: asyncio.Event | None = None
        self._readable = True

    @property
    def unsafe(self) -> int:
        """How many wait where a crash would lose them."""
        return self._queue.qsize()

    # For the chat.

    async def note(self, said: Said) -> None:
        """Return when what *said* holds so far is on the disk, or can't be for now. Its answer is still under way."""
        begun = replace(said, blocks=tuple(said.blocks), spoken=said.spoken and replace(said.spoken, reply=str))
        with suppress(JournalError):
            appending = self._append(begun, ready=False)
            await asyncio.wait([appending], timeout=self._deadline_s)

    def put(self, said: Said) -> None:
        """Take *said* over, whose answer has ended."""
        said = replace(said, blocks=tuple(said.blocks))
        try:
            appending = self._append(said, ready=True)
        except JournalError:
            self._queue_up(said)
        else:
            appending.add_done_callback(partial(self._appended, said))

    def _append(self, said: Said, *, ready: bool) -> asyncio.Future[None]:
        heard: list[Heard] = []  # in the journal's thread; told of in the loop's

        def body() -> str:
            heard.append(hear(said, self._options))
            return render(heard[-1])

        appending = self._journal.append(said.trace, said.owner.key, body, ready=ready)
        self._appending.add(appending)
        appending.add_done_callback(self._appending.discard)
        appending.add_done_callback(lambda _: self._tell_of(heard[-1]) if heard else None)
        return appending

    def _appended(self, said: Said, appending: asyncio.Future[None]) -> None:
        if appending.cancelled() or appending.exception() is not None:
            self._queue_up(said)
        else:
            self._tell()

    def _queue_up(self, said: Said) -> None:
        try:
            self._queue.put_nowait(said)
        except asyncio.QueueFull:
            self._lose(said, "the queue is full")
        else:
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        if self._resumed is None:
            self._settled.clear()

    # For the worker.

    async def take(self) -> Waiting:
        """The next answer; waits until there is one."""
        while True:
            self._news.clear()
            found = await self._next()
            if isinstance(found, Waiting):
                return found
            if found is not None and not self._news.is_set():
                await self._wait_for(self._news, found.in_s)

    async def done(self, waiting: Waiting) -> None:
        """The store has it. What was noted of it may be in the journal even if the whole isn't."""
        try:
            await self._journal.done(waiting.heard.trace)
        except JournalError:
            if waiting.safe:
                raise

    async def put_off(self, waiting: Waiting, seconds: float) -> None:
        await self._journal.put_off(waiting.heard.trace, seconds)

    async def bury(self, waiting: Waiting, why: str) -> None:
        await self._journal.bury(waiting.heard.trace, why)

    async def pause(self, seconds: float) -> None:
        """Wait so long, whatever comes, or until ``resume``."""
        self._resumed = asyncio.Event()
        await self._wait_for(self._resumed, seconds)
        self._resumed = None

    async def _wait_for(self, event: asyncio.Event, seconds: float | None) -> None:
        self._settled.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        self._settled.clear()

    async def _next(self) -> Waiting | Nothing | None:
        """``None``: what was next could not be read, and there may be more."""
        if not self._queue.empty():
            return self._from_queue()
        try:
            return await self._from_journal()
        except JournalError as exc:
            if self._readable:
                logger.error("the journal can't be read", why=str(exc))  # noqa: TRY400
            self._readable = False
            return Nothing(_NOT_YET_S)

    def _from_queue(self) -> Waiting | None:
        said = self._queue.get_nowait()
        try:
            heard = hear(said, self._options)
        except Exception:
            # A mistake of ours about one answer: the answers behind it are others'.
            logger.exception("an answer can't be read", trace=said.trace)
            self._lose(said, "it can't be read")
            return None
        self._tell_of(heard)
        return Waiting(heard)

    async def _from_journal(self) -> Waiting | Nothing | None:
        found = await self._journal.next()
        self._readable = True
        if isinstance(found, Nothing):
            return found
        try:
            return Waiting(parse(found.body), safe=True, attempts=found.attempts)
        except ValueError as exc:
            logger.error("put among the dead letters: it can't be read", trace=found.trace)  # noqa: TRY400
            await self._journal.bury(found.trace, str(exc))
            return None

    # For others.

    def drop(self, owner: Owner) -> None:
        """Forget what waits of *owner*, but for what is in the journal."""
        for _ in range(self._queue.qsize()):
            said = self._queue.get_nowait()
            if said.owner != owner:
                self._queue.put_nowait(said)

    def resume(self) -> None:
        """Look at once for what there is to do."""
        if self._resumed is not None:
            self._resumed.set()
        self._settled.clear()
        self._news.set()

    async def settled(self) -> None:
        """Return when all that was put in has been worked on, or waits for the store to come back."""
        while self._appending:
            await asyncio.wait(self._appending)
        await self._settled.wait()
