"""``/health/live``: the loop turns. ``/health/ready``: the proxy can do its work, and how each part is.

Nobody is asked: guards, journal and requests know. Only our own parts make the answer a 503. An upstream that fails is no reason to
take the proxy away: a client that asks it learns more from the upstream's own error than from a proxy that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import orjson
from aiohttp import web

from proxy.memory.health import Health
from proxy.web.services import MEMORY, SERVICES, MemoryServices
from proxy.web.sightings import Sighting


async def live(_: web.Request) -> web.Response:
    """200, always."""
    return _json(200, {"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """200, or 503 while the store, the embedder or the journal is out of order.

    ``checks`` says of each its ``state`` (``ok``, ``out of order`` or ``off``), ``since`` when and, if it is out of order, ``why``;
    ``upstreams`` how each was last seen: ``state`` (``ok``, ``failing`` or ``not seen``), ``since``, when it last ``answered`` and
    ``failed``, and ``why``. Times are ISO 8601 in UTC.
    """
    parts = dict(healths(request.app[MEMORY]))
    well = all(each.well for each in parts.values())
    body = {
        "status": "ok" if well else "unavailable",
        "checks": {name: _check(each) for name, each in parts.items()},
        "upstreams": {name: _seen(each) for name, each in request.app[SERVICES].sightings.items()},
    }
    return _json(200 if well else 503, body)


def healths(memory: MemoryServices) -> Iterator[tuple[str, Health]]:
    """Our own parts by name."""
    for guard in memory.guards:
        yield guard.name, guard.health
    yield "journal", memory.remember.journal.health


def _check(health: Health) -> dict[str, str]:
    return _without_none({"state": health.state, "since": _time(health.since), "why": health.why})


def _seen(sighting: Sighting) -> dict[str, str]:
    return _without_none(
        {
            "state": "not seen" if sighting.since is None else "failing" if sighting.failing else "ok",
            "since": _time(sighting.since),
            "answered": _time(sighting.answered),
            "failed": _time(sighting.failed),
            "why": sighting.why,
        }
    )


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")


def _without_none(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _json(status: int, tree: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(tree), content_type="application/json")
