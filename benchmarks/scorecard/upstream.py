"""The scripted model API behind all contenders, in a process of its own, at the least cost: it shares the machine with them.

How a chat is answered stands in the request's ``seed``, which every proxy passes on: see ``Script``.
``/embeddings`` gives vectors that depend on the texts. Three paths are for the scorecard alone: ``/asked`` answers when a
request has come that is answered with silence, ``/left`` when its connection has been closed, with the time; ``/embedded`` says how
many texts have been embedded so far.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter
from typing import cast

from benchmarks import wire

DIMENSIONS = 64
_STREAM = re.compile(rb'"stream":\s*true')
_SEED = re.compile(rb'"seed":\s*(\d+)')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Script:
    """*chunks* tokens, each in a packet of its own, on average *interval_us* apart; then the end, or *silence*."""

    chunks: int
    interval_us: int = 0
    silence: bool = False

    @property
    def seed(self) -> int:
        return (self.chunks * 1_000_000 + self.interval_us) * 2 + self.silence

    @classmethod
    def read(cls, seed: int) -> Script:
        paced, silence = divmod(seed, 2)
        chunks, interval_us = divmod(paced, 1_000_000)
        return cls(chunks, interval_us, bool(silence))


SHORT = Script(chunks=20, interval_us=500)


class _Silenced:
    """A request that is answered with silence: when its connection was closed."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.left_at = 0.0

    def end(self) -> None:
        self.left_at = perf_counter()
        self.left.set()


@asynccontextmanager
async def serve() -> AsyncIterator[str]:
    state = _State()
    server = await asyncio.get_running_loop().create_server(lambda: _Answering(state), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class _State:
    def __init__(self) -> None:
        self.silenced = _Silenced()  # the latest
        self.asked = asyncio.Event()
        self.embedded = 0
        self.waiting: set[asyncio.Task[None]] = set()


class _Answering(asyncio.Protocol):
    def __init__(self, state: _State) -> None:
        self._state = state
        self._data = b""
        self._silenced: _Silenced | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's classes

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._silenced is not None:
            self._silenced.end()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if end and len(rest) >= length:
            self._data = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            self._chat(body)
        elif path.endswith(b"/embeddings"):
            self._transport.write(self._embed(json.loads(body)["input"]))
        elif path == b"/embedded":
            self._tell(self._state.embedded)
        else:
            task = asyncio.get_running_loop().create_task(self._wait(path))
            self._state.waiting.add(task)
            task.add_done_callback(self._state.waiting.discard)

    def _chat(self, body: bytes) -> None:
        seed = _SEED.search(body)
        script = Script.read(int(seed[1])) if seed else SHORT
        if script.silence:
            self._silenced = self._state.silenced = _Silenced()
            self._state.asked.set()
        if not _STREAM.search(body):
            self._transport.write(_COMPLETION)
        elif script.chunks or not script.silence:
            self._transport.write(wire.STREAM_HEAD)
            self._stream(_packets(script), script.interval_us / 1e6)

    def _stream(self, packets: Iterator[bytes], interval_s: float) -> None:
        packet = next(packets, None)
        if packet is not None and not self._transport.is_closing():
            self._transport.write(packet)
            # Evenly spaced, the streams would fall into step, in each round in another.
            asyncio.get_running_loop().call_later(interval_s * random.uniform(0.5, 1.5), self._stream, packets, interval_s)

    def _embed(self, texts: list[str]) -> bytes:
        self._state.embedded += len(texts)
        data = [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(texts)]
        return wire.whole(json.dumps({"object": "list", "model": "counted", "data": data, "usage": {}}).encode())

    async def _wait(self, path: bytes) -> None:
        if path == b"/asked":
            await self._state.asked.wait()
            self._state.asked.clear()
        else:
            await self._state.silenced.left.wait()
        self._tell(self._state.silenced.left_at)

    def _tell(self, number: float) -> None:
        if not self._transport.is_closing():  # who asked may have lost patience
            self._transport.write(wire.whole(json.dumps(number).encode()))


def _packets(script: Script) -> Iterator[bytes]:
    yield from islice(cycle(_TOKEN_PACKETS), script.chunks)
    if not script.silence:
        yield wire.http_chunk(wire.DONE) + wire.LAST_CHUNK


def _vector(text: str) -> list[float]:
    source = random.Random(zlib.crc32(text.encode()))
    return [source.uniform(-1, 1) for _ in range(DIMENSIONS)]


_COMPLETION = wire.whole(wire.completion())
_TOKEN_PACKETS = [wire.http_chunk(wire.event(token)) for token in wire.TOKENS]
