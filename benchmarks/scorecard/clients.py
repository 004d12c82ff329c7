"""Those who ask: clients that cost as little as can be, so that they are not what is measured."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, TypeVar, cast

import uvloop

from benchmarks import wire
from benchmarks.scorecard.upstream import SHORT, Script

T = TypeVar("T")
USERS = 100
PATIENCE_S = 30.0
"""Guards against a proxy that does not answer; nothing is expected to take this long."""

_NUMBERS = count()


class Refused(Exception):
    """An answer other than 200."""


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def chat(*, anew: bool = True, headers: bytes = b"", script: Script = SHORT, stream: bool = True) -> bytes:
    """A chat request in the sixth message of a conversation: *anew* a question, a user's turn and a conversation of its own each time."""
    number = next(_NUMBERS) if anew else 0
    question = {"role": "user", "content": f"{wire.QUESTION} It is number {number}."}
    body = {
        "model": "gpt-4o",
        "messages": [*wire.CONVERSATION[:-1], question],
        "temperature": 0.7,
        "stream": stream,
        "seed": script.seed,
    }
    who = b"X-Memory-User: user-%d\r\nX-Memory-Session: %d\r\n" % (number % USERS, number)
    return wire.request(b"/v1/chat/completions", json.dumps(body).encode(), who + headers)


@dataclass(slots=True)
class Answer:
    """*arrivals*: when each packet with chunks came; *chunks* so far."""

    asked_at: float
    arrivals: list[float] = field(default_factory=list)
    chunks: int = 0

    @property
    def first_ms(self) -> float:
        return (self.arrivals[0] - self.asked_at) * 1000


class Client(asyncio.Protocol):
    """One connection, made anew if the other side has closed it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._where = host, int(port)
        self._transport: asyncio.Transport | None = None
        self.answer = Answer(0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's classes

    async def begin(self, request: bytes) -> Answer:
        """Ask; the answer fills itself."""
        if self._transport is None or self._transport.is_closing():
            await asyncio.get_running_loop().create_connection(lambda: self, *self._where)
        loop = asyncio.get_running_loop()
        self._head = b""
        self._is_stream = False
        self.begun, self.ended = loop.create_future(), loop.create_future()
        self.answer = Answer(perf_counter())
        assert self._transport is not None
        self._transport.write(request)
        return self.answer

    async def ask(self, request: bytes) -> Answer:
        answer = await self.begin(request)
        async with asyncio.timeout(PATIENCE_S):
            await self.ended
        return answer

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if self._is_stream:
            self._count(data, now)
        else:
            self._read(data, now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or EOFError("the connection was closed"))

    def _read(self, data: bytes, now: float) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return
        lower = head.lower()
        if b" 200 " not in head.partition(b"\r\n")[0] + b" ":
            self._fail(Refused(self._head[:300].decode("utf-8", "replace")))
        elif b"\r\ntransfer-encoding: chunked" in lower:
            self._is_stream = True
            self._count(rest, now)
        elif len(rest) >= int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0]):
            self._arrive(1, now)
            self._end(rest)

    def _count(self, data: bytes, now: float) -> None:
        if chunks := data.count(b"data: {"):
            self._arrive(chunks, now)
        if data.endswith(wire.LAST_CHUNK):
            self._end(data)

    def _arrive(self, chunks: int, now: float) -> None:
        self.answer.arrivals.append(now)
        self.answer.chunks += chunks
        if not self.begun.done():
            self.begun.set_result(None)

    def _end(self, data: bytes) -> None:
        if not self.answer.arrivals:
            self._fail(Refused(f"an answer without chunks: {data[:200]!r}"))
        elif not self.ended.done():
            self.ended.set_result(data)

    def _fail(self, error: Exception) -> None:
        with suppress(AttributeError):  # a connection that was lost before anything was asked
            for future in (self.begun, self.ended):
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # retrieved here: nobody may be waiting


async def with_clients(address: str, number: int, work: Callable[[Client], Awaitable[T]]) -> list[T]:
    """*work* of as many clients at the same time, each on a connection of its own."""
    clients = [Client(address) for _ in range(number)]
    try:
        return list(await asyncio.gather(*(work(client) for client in clients)))
    finally:
        for client in clients:
            client.close()


async def without_a_pause(address: str, number: int, asked: Callable[[], bytes], *, requests: int) -> list[Answer]:
    async def work(client: Client) -> list[Answer]:
        return [await client.ask(asked()) for _ in range(max(1, requests // number))]

    return [answer for each in await with_clients(address, number, work) for answer in each]


async def at_random(address: str, number: int, asked: Callable[[], bytes], *, rate: float, seconds: float) -> list[Answer]:
    """Each client asks *rate* times a second for so many *seconds*, when it likes, as people do."""

    async def work(client: Client) -> list[Answer]:
        found = []
        for _ in range(max(1, round(rate * seconds))):
            await asyncio.sleep(random.uniform(0, 2) / rate)
            found.append(await client.ask(asked()))
        return found

    return [answer for each in await with_clients(address, number, work) for answer in each]
