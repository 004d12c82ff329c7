"""What the handlers share; ``app.py`` makes it, once."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from proxy.core.routing import Routes
from proxy.memory.embedder import Embedder
from proxy.memory.erase import Erasure
from proxy.memory.guarded import Guards
from proxy.memory.plan import Planner
from proxy.memory.reembedding import Reembedding
from proxy.memory.remember import Remember
from proxy.memory.store import MemoryStore
from proxy.web.drain import Drain
from proxy.web.upstream import UpstreamClient


@dataclass(frozen=True, slots=True)
class Services:
    routes: Routes
    upstreams: UpstreamClient


@dataclass(frozen=True, slots=True)
class MemoryServices:
    store: MemoryStore
    embedder: Embedder
    guards: Guards
    planner: Planner
    remember: Remember
    drain: Drain
    erasure: Erasure
    reembedding: Reembedding


MEMORY = web.AppKey("memory", MemoryServices)
SERVICES = web.AppKey("services", Services)
# Which upstream a request went to, for its line in the log.
UPSTREAM_NAME = web.RequestKey("upstream_name", str)
