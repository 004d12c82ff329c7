"""What the memory API says of itself."""

from __future__ import annotations

from functools import cache

import orjson
from aiohttp import web

from proxy.web.api.openapi import document
from proxy.web.api.table import OPERATIONS


@cache
def _document() -> bytes:
    return orjson.dumps(document(OPERATIONS))


async def openapi(_: web.Request) -> web.Response:
    """The OpenAPI document."""
    return web.Response(body=_document(), content_type="application/json")
