"""A limit to what one owner may have: beyond it, the least valuable goes."""

from __future__ import annotations

from datetime import datetime

import structlog

from proxy.core.models import Memory, Owner
from proxy.memory.retirement import settled
from proxy.memory.store import MemoryStore, Which
from proxy.memory.validity import is_over
from proxy.memory.worth import worth

logger = structlog.get_logger()

_SHARE_DROPPED = 20
"""One in so many goes at once, so that a full store isn't read anew at every write."""

_COUNT_EVERY = 64
"""Writes after which an owner's are counted although there should be room: other processes may write too."""

_MAX_OWNERS = 10_000


class Growth:
    """Watches over memories of *types*: of each owner at most *limit* stay, past versions included."""

    def __init__(self, store: MemoryStore, types: tuple[str, ...], limit: int) -> None:
        self._store = store
        self._which = Which(types=types, past=True)
        self._limit = limit
        self._room: dict[str, int] = {}

    async def wrote(self, owner: Owner, count: int, at: datetime) -> int:
        """*owner* has *count* more since *at*: how many others had to go for them."""
        if not count:
            return 0
        dropped, room = 0, self._room.pop(owner.key, 0) - count
        if room < 0:
            dropped, room = await self._measure(owner, at)
        self._room[owner.key] = room
        if len(self._room) > _MAX_OWNERS:
            del self._room[next(iter(self._room))]
        return dropped

    async def _measure(self, owner: Owner, at: datetime) -> tuple[int, int]:
        """How many were dropped, and how many may come until the next measuring."""
        count = await self._store.count(owner, self._which)
        if count <= self._limit:
            return 0, min(self._limit - count, _COUNT_EVERY)
        dropped = await self._drop(owner, count, count - self._limit + self._limit // _SHARE_DROPPED, at)
        logger.warning("dropped for room", types=self._which.types, count=count, limit=self._limit, dropped=dropped)
        return dropped, min(self._limit - count + dropped, _COUNT_EVERY)

    async def _drop(self, owner: Owner, count: int, surplus: int, at: datetime) -> int:
        def value(memory: Memory) -> tuple[bool, float]:
            return not is_over(memory, at), worth(memory, at)

        gone = sorted(await self._store.list(owner, self._which, limit=count), key=value)[:surplus]
        await self._store.revise(owner, await settled(self._store, owner, gone))
        return await self._store.delete(owner, [each.id for each in gone])
