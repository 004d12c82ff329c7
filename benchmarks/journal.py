"""What it adds to the end of an answer that its memory block is on the disk before the end leaves.

One proxy with the journal and one without stand before the same upstream, and are asked in turn. The clock runs from the packet that
holds the end of the block, the finish chunk and ``[DONE]`` to the moment at which the client has all of it. Meanwhile each
proxy embeds and stores what earlier answers told.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, redirect_stderr
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from benchmarks import wire
from benchmarks.processes import Process, process
from benchmarks.rows import Effort, Row, value
from proxy import config, logs
from proxy.app import listening, new_event_loop, tune_garbage_collection

ANSWERS = 300
PAUSE_S = 0.02
_NUMBERS = count()


def journal(effort: Effort) -> Iterator[Row]:
    rounds = asyncio.run(_rounds(effort))
    figure = "a block on the disk before its answer's end: time added,"
    yield value(f"{figure} p50", [each.median_ms for each in rounds], unit="ms", form=".2f", at_most=2)
    yield value(f"{figure} p99", [each.p99_ms for each in rounds], unit="ms", form=".2f", at_most=20)


@dataclass(frozen=True, slots=True)
class _Added:
    median_ms: float
    p99_ms: float


async def _rounds(effort: Effort) -> list[_Added]:
    """Upstream and client are in this process, and share a clock."""
    upstream = _Upstream()
    server = await asyncio.get_running_loop().create_server(lambda: _Answering(upstream), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with (
        process(_serve, address, True, loop_factory=new_event_loop) as journalled,
        process(_serve, address, False, loop_factory=new_event_loop) as plain,
    ):
        journalled.started(), plain.started()
        await _round(journalled, plain, upstream, 5)  # warms up
        found = [await _round(journalled, plain, upstream, max(5, effort.of(ANSWERS))) for _ in range(effort.rounds)]
    server.close()
    return found


async def _round(journalled: Process, plain: Process, upstream: _Upstream, answers: int) -> _Added:
    with_journal, without = [], []
    for _ in range(answers):
        with_journal.append(await _end_ms(journalled, upstream))
        without.append(await _end_ms(plain, upstream))
        await asyncio.sleep(PAUSE_S)
    usual = statistics.median(without)
    return _Added(statistics.median(with_journal) - usual, statistics.quantiles(with_journal, n=100)[-1] - usual)


async def _end_ms(server: Process, upstream: _Upstream) -> float:
    upstream.number = next(_NUMBERS)
    reader, writer = await asyncio.open_connection(*server.host_and_port)
    writer.write(wire.chat_request(stream=True, headers=b"X-Memory-User: user %d\r\n" % upstream.number))
    async with asyncio.timeout(60):
        await reader.readuntil(b"Noted.")
        started = perf_counter()
        upstream.end()
        await reader.readuntil(wire.LAST_CHUNK)
    ended = perf_counter()
    writer.close()
    return (ended - started) * 1000


class _Upstream:
    """Answers with a block; its end comes when ``end`` is called."""

    number = 0

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(wire.STREAM_HEAD + b"".join(map(_packet, ("Noted.", "\n<memory>", _block(self.number)))))

    def end(self) -> None:
        assert self.transport is not None
        self.transport.write(_packet("</memory>") + wire.http_chunk(wire.DONE) + wire.LAST_CHUNK)


def _packet(text: str) -> bytes:
    return wire.http_chunk(wire.event(text))


def _block(number: int) -> str:
    contents = [
        f"Moves service number {number} to Ireland",
        "Is afraid of losing a payment",
        f"Has {number} customers in Frankfurt",
    ]
    return json.dumps({"memories": [{"content": each, "category": "fact"} for each in contents]})


class _Answering(asyncio.Protocol):
    def __init__(self, upstream: _Upstream) -> None:
        self._upstream = upstream
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]) if end else 0
        if end and len(body) >= length:
            self._data = b""
            self._upstream.begin(self._transport)


@asynccontextmanager
async def _serve(upstream: str, enabled: bool) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w") as log:
        with redirect_stderr(log):  # one line a request is written, as in operation
            logs.configure(config.Log(format="json"))
        tune_garbage_collection()
        settings = config.Config(
            listen=config.Listen(port=0),
            upstream=config.Upstream(f"{upstream}/v1"),
            store=config.Store(path=folder),
            journal=config.Journal(enabled=enabled),
        )
        async with listening(settings) as served:
            yield served.address
