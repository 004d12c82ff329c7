"""What happens to memories, for whoever listens: told at once, kept for nobody. No contents.

A listener that doesn't keep up is cut off, and knows it: nobody waits for it, and what it has not taken has a limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from proxy.core.models import Owner
from proxy.errors import TooBusy
from proxy.memory import clock

EventType = Literal["recalled", "stored", "replaced", "forgotten", "expired", "degraded", "recovered"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
MAX_WAITING = 1000
"""Events that a listener may be behind."""
MAX_LISTENERS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """*owner*: whose memories; ``None``: it concerns everybody. *trace*: of the request that it comes from.

    *figures*: what else there is to say, as JSON has it, by names that are none of the fields'.
    """

    type: EventType
    owner: Owner | None = None
    trace: str | None = None
    ids: Sequence[str] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=clock.now)

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "at": clock.render(self.at),
            "user": self.owner and self.owner.user,
            "tenant": self.owner and self.owner.tenant,
            "trace": self.trace,
            "ids": [*self.ids],
            **self.figures,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: those of *user*, of *tenant*'s users, or of all; and of these *types*. What concerns everybody is always meant."""

    user: str | None = None
    tenant: str | None = None
    types: Collection[str] = EVENT_TYPES

    def has(self, event: Event) -> bool:
        if event.type not in self.types:
            return False
        owner = event.owner
        return owner is None or (self.user in (None, owner.user) and self.tenant in (None, owner.tenant))


class Listener:
    """One who listens. *ended*: done when no more will come, with ``closing`` or ``slow``."""

    def __init__(self, wanted: Wanted) -> None:
        self.ended: asyncio.Future[Literal["closing", "slow"]] = asyncio.get_running_loop().create_future()
        self._wanted = wanted
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()

    async def next(self) -> Event:
        """The next event; waits until there is one."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def tell(self, event: Event) -> None:
        if self.ended.done() or not self._wanted.has(event):
            return
        if len(self._waiting) >= MAX_WAITING:
            self.end("slow")
            return
        self._waiting.append(event)
        self._news.set()

    def end(self, why: Literal["closing", "slow"]) -> None:
        if not self.ended.done():
            self.ended.set_result(why)


class Events:
    """``publish`` in the loop. Who would only make an event for it asks ``has_listeners`` first."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def publish(self, event: Event) -> None:
        for each in self._listeners:
            each.tell(event)

    @contextmanager
    def listening(self, wanted: Wanted) -> Iterator[Listener]:
        """Raises ``TooBusy`` beyond ``MAX_LISTENERS``."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooBusy(f"{MAX_LISTENERS} listen already; come back when one has left.")
        listener = Listener(wanted)
        if self._closed:
            listener.end("closing")
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Send everybody away, now and from now on."""
        self._closed = True
        for each in self._listeners:
            each.end("closing")
