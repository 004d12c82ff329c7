"""Chats through a running proxy, and a look at their traces."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from tests.fakes import RunningProxy


class Talk:
    """One who chats with *proxy*."""

    def __init__(self, proxy: RunningProxy, client: aiohttp.ClientSession) -> None:
        self.proxy = proxy
        self.client = client

    async def say(self, text: str, *items: object, forget: tuple[str, ...] = (), user: str = "ann", mode: str = "full") -> str:
        """The trace of a chat whose answer tells *items*, when all is stored."""
        self.proxy.model.text = f"Ok.\n<memory>{json.dumps({'memories': items, 'forget': forget})}</memory>"
        body = {"model": "m", "user": user, "messages": [{"role": "user", "content": text}]}
        headers = {"X-Memory-Mode": mode}
        async with self.client.post(f"{self.proxy.url}/chat/completions", json=body, headers=headers) as response:
            await response.read()
        await self.proxy.settled()
        return response.headers["X-Memory-Trace"]

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.client.get(f"{self.proxy.address}/memory/v1/traces{path}") as response:
            assert (response.status, response.content_type) == (status, "application/json")
            return await response.json()
