"""``/health/live``: the process answers. ``/health/ready``: it can do its work."""

from __future__ import annotations

import orjson
from aiohttp import web

from proxy.memory.guarded import Guards, Health

GUARDS: web.AppKey[Guards] = web.AppKey("guards")


async def live(_: web.Request) -> web.Response:
    """200, always."""
    return _json(200, {"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """200, or 503 while a part is out of order; the body says which, since when and why. Asks nobody: the guards know."""
    found = {guard.name: guard.health for guard in request.app[GUARDS]}
    well = all(each.since is None for each in found.values())
    checks = {name: _check(each) for name, each in found.items()}
    return _json(200 if well else 503, {"status": "ok" if well else "unavailable", "checks": checks})


def _check(health: Health) -> dict[str, str]:
    if health.since is None:
        return {"state": "ok"}
    return {"state": "out of order", "since": health.since.isoformat(timespec="seconds"), "why": health.why or ""}


def _json(status: int, tree: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(tree), content_type="application/json")
