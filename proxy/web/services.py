"""What the handlers share; ``app.py`` makes it, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.core.routing import Routes
from proxy.memory.chronicle import Chronicle
from proxy.memory.curation import Curation
from proxy.memory.embedder import Embedder
from proxy.memory.erase import Erasure
from proxy.memory.events import Events
from proxy.memory.guarded import Guards
from proxy.memory.plan import Planner
from proxy.memory.recall import Recall
from proxy.memory.reembedding import Reembedding
from proxy.memory.remember import Remember
from proxy.memory.replay import Replay
from proxy.memory.searching import Searching
from proxy.memory.store import MemoryStore
from proxy.memory.traces import Traces
from proxy.memory.transfer import Transfer
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
    curation: Curation
    searching: Searching
    transfer: Transfer
    recall: Recall
    traces: Traces
    events: Events
    chronicle: Chronicle
    replay: Replay
    points: Points
    reembedding: Reembedding


MEMORY = web.AppKey("memory", MemoryServices)
SERVICES = web.AppKey("services", Services)
