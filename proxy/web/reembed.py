"""``/memory/v1/reembed``: moving the store to another embedding model.

``POST {"model", "provider"?, "url"?, "api_key_env"?}`` begins, or goes on: 202. ``GET`` says how far it is. ``DELETE`` stops it.
All three answer ``{"object": "reembedding", "state", "model", "provider", "from", "done", "total", "why"}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from proxy.config import Embedding, other_model
from proxy.errors import BadRequest, ConfigError
from proxy.memory.reembedding import Progress
from proxy.web.services import MEMORY

_FIELDS = ("model", "provider", "url", "api_key_env")


async def start(request: web.Request) -> web.Response:
    """202; 409 while the store is moved to another already."""
    reembedding = request.app[MEMORY].reembedding
    wanted = wanted_embedding(_body(await request.read()), reembedding.embedding, os.environ)
    return _json(202, reembedding.start(wanted))


async def look(request: web.Request) -> web.Response:
    return _json(200, request.app[MEMORY].reembedding.progress)


async def stop(request: web.Request) -> web.Response:
    """What is done stays done, and the next ``POST`` goes on there."""
    return _json(200, await request.app[MEMORY].reembedding.stop())


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(data)
    except ValueError as exc:
        raise BadRequest("The body must be JSON.") from exc
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object with the model.")
    for name, value in body.items():
        if name not in _FIELDS:
            raise BadRequest(f"There is no {name!r}; there are {', '.join(_FIELDS)}.", param=name)
        if not isinstance(value, str) or not value.strip():
            raise BadRequest("This must be a text that is not empty.", param=name)
    return body


def wanted_embedding(body: Mapping[str, str], current: Embedding, environ: Mapping[str, str]) -> Embedding:
    """*current* with what *body* changes. Raises ``BadRequest``."""
    if "model" not in body:
        raise BadRequest("Name the model to move to.", param="model")
    try:
        return other_model(current, body, environ)
    except ConfigError as exc:
        raise BadRequest(str(exc), param=str(exc).partition(":")[0].removeprefix("embedding.")) from exc


def _json(status: int, progress: Progress) -> web.Response:
    tree = {
        "object": "reembedding",
        "state": progress.state,
        "model": progress.model,
        "provider": progress.provider,
        "from": progress.origin,
        "done": progress.done,
        "total": progress.total,
        "why": progress.why,
    }
    return web.Response(status=status, body=orjson.dumps(tree), content_type="application/json")
