"""Whether the proxy says in time that it lives: ``/health/live`` beside clients that chat without a pause, each question a new one.

The clients are a process of their own: what they wait for among themselves is not the proxy's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from statistics import quantiles

from benchmarks import wire
from benchmarks.processes import Process, process
from benchmarks.rows import Effort, Row, value
from benchmarks.servers import Pace, serve_default, serve_upstream
from proxy.app import new_event_loop

CLIENTS = 64
MEMORIES = 1000
PROBES = 200
EVERY_S = 0.02
PACE = Pace(chunks=50, interval_s=0.01)
"""Half a second an answer: more questions than one thread can embed."""
LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def health(effort: Effort) -> Iterator[Row]:
    with process(serve_upstream, PACE) as upstream:
        address = upstream.started().address
        with (
            process(serve_default, address, MEMORIES, loop_factory=new_event_loop) as server,
            process(crowd, *server.started().host_and_port, loop_factory=new_event_loop) as clients,
        ):
            clients.started()
            rounds = [_p99_ms(server, effort.of(PROBES)) for _ in range(effort.rounds + 1)][1:]  # the first warms up
    yield value(f"/health/live under {CLIENTS} clients with recall on: p99", rounds, unit="ms", at_most=50)


def _p99_ms(server: Process, probes: int) -> float:
    return quantiles([_live_ms(server) for _ in range(probes)], n=100)[98]


def _live_ms(server: Process) -> float:
    """On a connection of its own, as an orchestrator asks."""
    time.sleep(EVERY_S)
    started = time.perf_counter()
    with socket.create_connection(server.host_and_port) as connection:
        connection.sendall(LIVE)
        if not connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("not alive")
    return (time.perf_counter() - started) * 1000


@asynccontextmanager
async def crowd(host: str, port: int) -> AsyncIterator[str]:
    numbers = count()
    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(_chat(host, port, numbers)) for _ in range(CLIENTS)]
        yield "here and there"
        for client in clients:
            client.cancel()


async def _chat(host: str, port: int, numbers: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while True:
        writer.write(wire.question(f"{wire.QUESTION} It is number {next(numbers)}.", wire.FOR_ANN, stream=True))
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("no answer")
        await reader.readuntil(wire.LAST_CHUNK)
