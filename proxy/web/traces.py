"""``/memory/v1/traces``: what chats recalled, and what became of their answers."""

from __future__ import annotations

import orjson
from aiohttp import web

from proxy.errors import BadRequest, NotFound
from proxy.web.services import MEMORY

_LIMIT = 50
_MOST = 1000


async def one(request: web.Request) -> web.Response:
    """Raises ``NotFound`` for one that there never was, or that is too old, or was forgotten."""
    trace = request.app[MEMORY].traces.get(request.match_info["id"])
    if trace is None:
        raise NotFound("There is no such trace: they are kept for traces.keep_s, and not beyond a restart.")
    return _json(trace.as_dict())


async def several(request: web.Request) -> web.Response:
    """Newest first: all, or those of ``user`` (of the tenant ``default``, unless another is named), or of ``tenant``.

    Raises ``BadRequest``.
    """
    user = request.query.get("user")
    tenant = request.query.get("tenant", None if user is None else "default")
    limit = _limit(request.query.get("limit", str(_LIMIT)))
    found = request.app[MEMORY].traces.latest(user=user, tenant=tenant, limit=limit + 1)
    data = [each.as_dict() for each in found[:limit]]
    return _json({"object": "list", "data": data, "has_more": len(found) > limit, "next_cursor": None})


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST:
        return int(text)
    raise BadRequest(f"limit must be a whole number from 1 to {_MOST}.", param="limit")


def _json(tree: object) -> web.Response:
    return web.Response(body=orjson.dumps(tree), content_type="application/json")
