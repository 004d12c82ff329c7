"""How many requests may be under way at a time: a limit that is never met in good times, so that bad ones don't end in no memory.

Our own paths have no limit: whoever asks how the proxy is must be told when it is worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from proxy.errors import TooBusy


class Room:
    """For *most* requests; how many have *taken* some now, and how many were *refused*."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.refused = 0

    @contextmanager
    def for_one(self) -> Iterator[None]:
        """Raises ``TooBusy`` if there is none left."""
        if self.taken >= self.most:
            self.refused += 1
            raise TooBusy("More requests are under way than limits.requests allows; try again.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


ROOM = web.AppKey("room", Room)
