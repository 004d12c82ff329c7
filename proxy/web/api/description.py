"""What the memory API says of itself: a document for programs, and a page for people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from proxy.web.api.openapi import document
from proxy.web.api.operation import JSON, Call, Operation
from proxy.web.api.page import SECURITY, render

HTML = "text/html"


class Document(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")


def with_description(calls: Sequence[Operation]) -> tuple[Operation, ...]:
    """*calls*, and those that describe them and themselves. The document is made when it is first asked for."""

    @cache
    def described() -> bytes:
        return orjson.dumps(document(operations))

    @cache
    def page() -> bytes:
        return render(document(operations)).encode()

    # In a thread: to make them takes as long as thirty chats, and others wait for the loop.

    async def get_openapi(_: Call) -> web.Response:
        return web.Response(body=await asyncio.to_thread(described), content_type=JSON)

    async def get_docs(_: Call) -> web.Response:
        return web.Response(body=await asyncio.to_thread(page), content_type=HTML, charset="utf-8", headers=SECURITY)

    operations = (
        *calls,
        Operation("GET", "/openapi.json", get_openapi, "The OpenAPI document", {200: Document}, tag="about"),
        Operation("GET", "/docs", get_docs, "The same as a page", {200: None}, tag="about", media=HTML),
    )
    return operations
