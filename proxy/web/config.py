"""``/memory/v1/config``: what is in force, what was changed since the start, and what is kept for the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from proxy.config import as_dict
from proxy.errors import BadRequest, ConfigError, ProxyError, RequestTooLarge, SettingsError
from proxy.settings import Settings

SETTINGS = web.AppKey("settings", Settings)

_MAX_BYTES = 64 * 1024
_SWITCH = {"true": True, "false": False}


async def show(request: web.Request) -> web.Response:
    return _answer(request.app[SETTINGS])


async def change(request: web.Request) -> web.Response:
    """All that is asked for, or a 400 that names the first option that can't be had."""
    settings, persist, tree = request.app[SETTINGS], _persist(request), await _tree(request)
    try:
        # In a thread, as it may wait for the disk. It goes on to its end if the client leaves meanwhile.
        await asyncio.to_thread(settings.change, tree, persist=persist)
    except ConfigError as exc:
        raise BadRequest(str(exc), param=exc.option) from exc
    except SettingsError as exc:
        raise ProxyError(str(exc)) from exc
    return _answer(settings)


def described(settings: Settings) -> dict[str, Any]:
    """What a client is told."""
    return {
        "object": "config",
        "config": as_dict(settings.config),
        "changed": {option: {"old": each.old, "new": each.new} for option, each in settings.changed.items()},
        "persisted": {
            option: {"value": value, "overridden_by": settings.overriding(option)} for option, value in settings.kept.items()
        },
    }


def _answer(settings: Settings) -> web.Response:
    return web.Response(body=orjson.dumps(described(settings)), content_type="application/json")


def _persist(request: web.Request) -> bool:
    text = request.query.get("persist", "false")
    if text not in _SWITCH:
        raise BadRequest("persist must be true or false.", param="persist")
    return _SWITCH[text]


async def _tree(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    if len(body) > _MAX_BYTES:
        raise RequestTooLarge(f"Settings take less than {_MAX_BYTES} bytes.")
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(tree, dict):
        raise BadRequest('The body must be an object of sections, such as {"recall": {"limit": 8}}.')
    return tree
