"""Memories whose time is over by itself, told of while somebody listens. What was corrected or forgotten is told of by whoever did it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import groupby

import structlog

from proxy.core.models import Owner
from proxy.errors import StoreError
from proxy.memory import clock
from proxy.memory.events import Event, Events
from proxy.memory.store import Kept, MemoryStore

logger = structlog.get_logger()

EVERY_S = 30.0
_PAGE = 500
_MAX_IDS = 100
"""In one event."""


class Expiry:
    """Looks every *every_s* seconds for what ended since it looked last."""

    def __init__(self, store: MemoryStore, events: Events, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._events = events
        self._every_s = every_s
        self._seen_until = clock.now()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Expiry]:
        looking = asyncio.get_running_loop().create_task(self._look_on())
        try:
            yield self
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except StoreError:
                continue  # the guard says so; what ended meanwhile is told when the store is back
            except Exception:
                logger.exception("expired memories can't be told of")

    async def look(self) -> None:
        """Tell what ended since the last look, if anybody listens. Raises ``StoreError``."""
        now = clock.now()
        if self._events.has_listeners:
            await self._tell(self._seen_until, now)
        self._seen_until = now

    async def _tell(self, since: datetime, until: datetime) -> None:
        after: str | None = None
        while found := await self._store.expired(since, until, after, limit=_PAGE):
            ended = [each for each in found if each.memory.updated_at != each.memory.valid_until]
            for owner, kept in groupby(sorted(ended, key=_key), key=lambda each: each.owner):
                self._publish(owner, [*kept])
            if len(found) < _PAGE:
                break
            after = found[-1].memory.id

    def _publish(self, owner: Owner, ended: Sequence[Kept]) -> None:
        ids = [each.memory.id for each in ended]
        for at in range(0, len(ids), _MAX_IDS):
            self._events.publish(Event("expired", owner, ids=ids[at : at + _MAX_IDS]))


def _key(kept: Kept) -> str:
    return kept.owner.key
