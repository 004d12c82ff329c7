"""The metrics of one proxy, and how they are asked for."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, Info, PlatformCollector, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from proxy import __version__
from proxy.config import Store
from proxy.web.metrics.parts import PartMetrics
from proxy.web.metrics.requests import RequestMetrics

# When a series began is of use to few, and a second line for each.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """A registry of its own: several proxies may be at work in one process."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        self._parts = PartMetrics(store)
        self._registry.register(self._parts)
        Info("memory_proxy", "Of what is running here.", registry=self._registry).info({"version": __version__})
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    async def render(self, app: web.Application, accept: str) -> tuple[bytes, str]:
        """All of them now, and their content type, as *accept* asks: Prometheus' text, or OpenMetrics."""
        asked = await self._parts.ask(app)
        # From here on nobody else's turn comes.
        self._parts.show(app, asked)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


METRICS = web.AppKey("metrics", Metrics)


async def show(request: web.Request) -> web.Response:
    """``/metrics``. Answers although parts are out of order: what they can't say is left out."""
    body, content_type = await request.app[METRICS].render(request.app, request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})
