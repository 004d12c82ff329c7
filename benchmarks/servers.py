"""The three servers that the benchmarks start: a scripted upstream, the bare proxy, and ours."""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice

from aiohttp import web

from benchmarks import bare_proxy, wire
from benchmarks.processes import Process, process
from proxy import logs
from proxy.app import listening, new_event_loop, tune_garbage_collection
from proxy.config import Config, Listen, Log, Recall, Store, Upstream
from proxy.core.models import Memory, Owner
from proxy.memory.store import Entry
from proxy.memory.stores import open_store

OWNER = Owner("ann")
DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Pace:
    """How a streamed answer comes: *chunks* tokens, each in a packet of its own, on average *interval_s* apart.

    Evenly spaced, the streams would fall into step, in each round in another.
    """

    chunks: int = 20
    interval_s: float = 0.0005


@dataclass(frozen=True, slots=True)
class Proxies:
    bare: Process
    ours: Process


@contextmanager
def proxies(*, memories: int = 0, pace: Pace | None = None) -> Iterator[Proxies]:
    """The bare proxy and ours in front of one upstream; *memories* of ``OWNER`` are stored in ours."""
    with process(serve_upstream, pace or Pace()) as upstream:
        address = upstream.started().address
        with process(serve_bare, address) as bare, process(serve_ours, address, memories, loop_factory=new_event_loop) as ours:
            yield Proxies(bare.started(), ours.started())


@asynccontextmanager
async def serve_upstream(pace: Pace) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(lambda: _Answering(pace), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class _Answering(asyncio.Protocol):
    """Answers each request once all of it is there, at the least cost: it shares the machine with what is measured."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]) if end else 0
        if end and len(rest) >= length:
            self._data = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        if b"/embeddings" in head:
            self._transport.write(_EMBEDDING)
        elif b'"stream": true' in body:
            self._transport.write(wire.STREAM_HEAD)
            self._stream(_packets(self._pace.chunks))
        else:
            self._transport.write(_COMPLETION)

    def _stream(self, packets: Iterator[bytes]) -> None:
        packet = next(packets, None)
        if packet is not None and not self._transport.is_closing():
            self._transport.write(packet)
            asyncio.get_running_loop().call_later(self._pace.interval_s * random.uniform(0.5, 1.5), self._stream, packets)


_EMBEDDING, _COMPLETION = wire.whole(wire.EMBEDDING), wire.whole(wire.completion())


def _packets(chunks: int) -> Iterator[bytes]:
    yield from islice(cycle(_TOKEN_PACKETS), chunks)
    yield wire.http_chunk(wire.DONE) + wire.LAST_CHUNK


_TOKEN_PACKETS = [wire.http_chunk(wire.event(token)) for token in wire.TOKENS]


@asynccontextmanager
async def serve_bare(upstream: str) -> AsyncIterator[str]:
    runner = web.AppRunner(bare_proxy.make_app(upstream), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "http://{}:{}".format(*runner.addresses[0])


@asynccontextmanager
async def serve_ours(upstream: str, memories: int) -> AsyncIterator[str]:
    """As it comes, but for the floor and the deadline: made-up memories shall be found, and on a busy machine too."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(path=folder)
        await _fill(store, memories)
        async with _serving(upstream, store, Recall(min_score=0, deadline_ms=10_000)) as address:
            yield address


@asynccontextmanager
async def serve_default(upstream: str, memories: int) -> AsyncIterator[str]:
    """With the deadline that it comes with."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(path=folder)
        await _fill(store, memories)
        async with _serving(upstream, store, Recall(min_score=0)) as address:
            yield address


@asynccontextmanager
async def serve_stored(folder: str) -> AsyncIterator[str]:
    """With what is stored in *folder*, before no upstream."""
    async with _serving("http://127.0.0.1:9", Store(path=folder), Recall()) as address:
        yield address


@asynccontextmanager
async def serve_without_store(upstream: str) -> AsyncIterator[str]:
    """Before a Qdrant server that isn't there."""
    async with _serving(upstream, Store(kind="qdrant", url="http://127.0.0.1:9"), Recall()) as address:
        yield address


@asynccontextmanager
async def _serving(upstream: str, store: Store, recall: Recall) -> AsyncIterator[str]:
    with tempfile.TemporaryFile("w") as log:
        with redirect_stderr(log):  # one line a request is written, as in operation
            logs.configure(Log(format="json"))
        tune_garbage_collection()
        config = Config(listen=Listen(port=0), upstream=Upstream(f"{upstream}/v1"), store=store, recall=recall)
        async with listening(config) as served:
            yield served.address


async def _fill(settings: Store, memories: int) -> None:
    async with open_store(settings, DIMENSIONS) as store:
        await store.upsert(OWNER, made_up(memories))


def made_up(count: int, seed: int = 0) -> list[Entry]:
    """Memories with the words of prose and random vectors. A search reads every point of its owner, so near or far is the same."""
    source, now = random.Random(seed), datetime.now(UTC)
    words = wire.PROSE.split()
    return [
        Entry(
            Memory(str(uuid.UUID(int=source.getrandbits(128), version=4)), " ".join(source.sample(words, 12)), now, now),
            [source.random() - 0.5 for _ in range(DIMENSIONS)],
        )
        for _ in range(count)
    ]
