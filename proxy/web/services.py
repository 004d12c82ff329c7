"""What the handlers share; ``app.py`` makes it, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.core.routing import Routes
from proxy.memory.embedder import Embedder
from proxy.memory.erase import Erasure
from proxy.memory.guarded import Guards
from proxy.memory.plan import Planner
from proxy.memory.remember import Remember
from proxy.memory.replay import Replay
from proxy.memory.store import MemoryStore
from proxy.web.drain import Drain
from proxy.web.sightings import Sighting
from proxy.web.upstream import UpstreamClient


@dataclass(frozen=True, slots=True)
class Services:
    routes: Routes
    upstreams: UpstreamClient

    @property
    def sightings(self) -> dict[str, Sighting]:
        """How each upstream was last seen, by its name."""
        return {name: self.upstreams.sightings[name] for name in self.routes.names}


Points = Callable[[], Awaitable[int | None]]
"""How many points the store has; ``None`` while it is out of order. Who waits no longer says nothing about the store."""


@dataclass(frozen=True, slots=True)
class MemoryServices:
    store: MemoryStore
    embedder: Embedder
    guards: Guards
    planner: Planner
    remember: Remember
    drain: Drain
    erasure: Erasure
    replay: Replay
    points: Points


MEMORY = web.AppKey("memory", MemoryServices)
SERVICES = web.AppKey("services", Services)
