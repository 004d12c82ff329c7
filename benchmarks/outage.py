"""What a chat waits for memory while the store is down: new questions and the same with ``X-Memory-Mode: off``, in turns."""

from __future__ import annotations

import socket
import statistics
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from time import perf_counter

from benchmarks import wire
from benchmarks.processes import Process, process
from benchmarks.rows import Effort, Row, value
from benchmarks.servers import Pace, serve_upstream, serve_without_store
from proxy.app import new_event_loop

PAIRS = 200
OFF = b"X-Memory-Mode: off\r\n"


def outage(effort: Effort) -> Iterator[Row]:
    with process(serve_upstream, Pace()) as upstream:
        address = upstream.started().address
        with (
            process(serve_without_store, address, loop_factory=new_event_loop) as server,
            closing(_Client(server.started())) as client,
        ):
            rounds = [_added_ms(client, effort.of(PAIRS)) for _ in range(effort.rounds + 1)][1:]  # the first warms up
    yield value("added to a chat while the store is down, p50", rounds, unit="ms", form=".2f", at_most=1.0)


def _added_ms(client: _Client, pairs: int) -> float:
    times = [(client.chat_ms(OFF, b"off"), client.chat_ms(wire.FOR_ANN, b"degraded; reason=store")) for _ in range(pairs)]
    return statistics.median(each[1] for each in times) - statistics.median(each[0] for each in times)


class _Client:
    """One connection, blocking: nothing of this process stands between the packet and the clock."""

    def __init__(self, server: Process) -> None:
        self._socket = socket.create_connection(server.host_and_port)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._numbers = count()

    def close(self) -> None:
        self._socket.close()

    def chat_ms(self, headers: bytes, status: bytes) -> float:
        request = wire.question(f"{wire.QUESTION} It is number {next(self._numbers)}.", headers)
        started = perf_counter()
        self._socket.sendall(request)
        head, answer = self._receive_head()
        ms = (perf_counter() - started) * 1000
        if not head.startswith(b"HTTP/1.1 200") or b"X-Memory-Status: " + status not in head:
            raise RuntimeError(head)
        self._receive_rest(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]) - len(answer))
        return ms

    def _receive_head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def _receive_rest(self, size: int) -> None:
        while size > 0:
            size -= len(self._receive())

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError
        return data
