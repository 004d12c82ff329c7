"""Whoever is to be forgotten: everything of one owner, wherever it is.

    what waits to be remembered    dropped, in memory and in the journal with its dead letters (``Remember.without``)
    what is being remembered now   waited for, and then removed with the rest
    memories, turns, the past      removed from the store, and with them the recent searches that found them
    what messages were given       forgotten (``Replay``), and what their chats recalled and told (``Traces``)
    files                          written without it; on a Qdrant server that is the server's part (``MemoryStore.purge``)

An answer that is handed over later is new, also if its request came before: whoever wants to be forgotten stops first.
Of texts that were embedded, vectors may stay in memory for a while, under digests that name nobody; figures hold no text at all.
What an owner shared with the whole tenant is the tenant's. Blocks of the disk that files have given back are not overwritten.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from proxy.core.models import Owner
from proxy.memory.store import MemoryStore

logger = structlog.get_logger()


class Pending(Protocol):
    """What stands before the store. ``Remember`` is one."""

    def without(self, owner: Owner) -> AbstractAsyncContextManager[None]:
        """What was handed over of *owner* is dropped for good; while the block is in, nothing is written."""


class Recollection(Protocol):
    """What is only in memory, such as ``Replay`` and ``Traces``."""

    def forget(self, owner: Owner) -> None: ...


class Erasure:
    """Forgets owners."""

    def __init__(self, pending: Pending, store: MemoryStore, *recollections: Recollection) -> None:
        self._pending = pending
        self._store = store
        self._recollections = recollections
        self._under_way: set[asyncio.Task[int]] = set()

    async def erase(self, owner: Owner) -> int:
        """Return when nothing of *owner* is left; how many memories and turns there were. Goes on if the caller gives up.

        Takes seconds, as the embedded store is written anew: about 3 s per 10,000 points of all owners.
        Raises ``StoreError`` or ``JournalError`` if something may be left: it can be called again.
        """
        erasing = asyncio.get_running_loop().create_task(self._erase(owner))
        self._under_way.add(erasing)
        erasing.add_done_callback(self._under_way.discard)
        return await asyncio.shield(erasing)

    async def _erase(self, owner: Owner) -> int:
        async with self._pending.without(owner):
            try:
                count = await self._store.erase(owner)
            finally:
                for each in self._recollections:
                    each.forget(owner)
        await self._store.purge()
        logger.info("an owner was erased", points=count)
        return count
