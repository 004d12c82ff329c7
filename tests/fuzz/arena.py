"""A proxy in a process of its own between raw sockets, and what must hold whatever comes from either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes import word_vector
from tests.processes import ProxyProcess, proxy_process

# Guards against a hang; nothing is expected to take this long.
PATIENCE_S = 30
MB = 1024 * 1024
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Answer = bytes | Iterable[bytes]


class Broken(AssertionError):
    """Something that must hold did not."""


@dataclass(frozen=True)
class Arrived:
    """A request as the upstream read it."""

    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")


@dataclass(frozen=True)
class Case:
    """What a client *sends*, and what the upstream *answers* to each request of it.

    *body*: of a request with one of its own, to be found upstream as it was or edited. *status*: what the client must get,
    ``None``: whatever is not our mistake; 0: nothing. *upstream*: the paths that must arrive there, ``None``: any.
    *grows_mb*: how much memory the proxy may take for it. *leaves_after_s*: of a client that may have to wait for ever.
    """

    name: str
    sends: Answer
    answers: Answer = PLAIN
    body: bytes | None = None
    status: frozenset[int] | None = None
    upstream: tuple[str, ...] | None = None
    grows_mb: int = 64
    leaves_after_s: float | None = None


@dataclass
class Upstream:
    """Answers vectors to those who ask for them, and *answer* to everybody else; it reads strictly."""

    answer: Answer = PLAIN
    arrived: list[Arrived] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while await self._serve(reader, writer):
                    pass
            except (ValueError, asyncio.LimitOverrunError) as exc:
                self.wrong.append(f"a request that can't be read: {exc}")
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        arrived = await _request(reader)
        if arrived.path.endswith("/embeddings"):
            writer.write(_vectors(json.loads(arrived.body)["input"]))
            await writer.drain()
            return True
        self.arrived.append(arrived)
        await _send(writer, self.answer)
        return False


async def _request(reader: asyncio.StreamReader) -> Arrived:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = [line.split(b":", 1) for line in head.split(b"\r\n")[1:-2]]
    named = {name.lower(): value.strip() for name, value in fields}
    if len(named) < len([name for name, _ in fields if name.lower() in (b"content-length", b"transfer-encoding", b"host")]):
        raise ValueError(f"a header twice: {head!r}")
    if b"transfer-encoding" not in named:
        return Arrived(head, await reader.readexactly(int(named.get(b"content-length", b"0"))))
    if b"content-length" in named or named[b"transfer-encoding"] != b"chunked":
        raise ValueError(f"a length in two ways: {head!r}")
    return Arrived(head, b"".join([chunk async for chunk in _chunks(reader)]))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


async def _send(writer: asyncio.StreamWriter, data: Answer) -> None:
    for piece in [data] if isinstance(data, bytes) else data:
        writer.write(piece)
        await writer.drain()


def _vectors(texts: list[str]) -> bytes:
    data = [{"object": "embedding", "index": i, "embedding": word_vector(text)} for i, text in enumerate(texts)]
    body = json.dumps({"object": "list", "model": "words", "data": data, "usage": {}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@dataclass
class Arena:
    proxy: ProxyProcess
    upstream: Upstream

    async def play(self, case: Case) -> bytes:
        """What the client got. Raises ``Broken``."""
        self.upstream.answer, self.upstream.arrived, self.upstream.wrong = case.answers, [], []
        before = self.proxy.resident_bytes
        self.proxy.forget_peak()
        try:
            got = await asyncio.wait_for(self._ask(case.sends, case.leaves_after_s), PATIENCE_S)
            await asyncio.wait_for(self._lives(), PATIENCE_S)
        except TimeoutError:
            raise Broken(f"{case.name}: hangs") from None
        self._check(case, got, self.proxy.peak_bytes - before)
        return got

    async def _ask(self, data: Answer, leaves_after_s: float | None = None) -> bytes:
        """All that comes back until the proxy closes the connection, which it's asked for, or the client leaves."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        sending = asyncio.ensure_future(_send(writer, data))
        got = b""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(leaves_after_s):
                while piece := await reader.read(MB):
                    got = (got + piece)[:MB]
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()
        return got

    async def _lives(self) -> None:
        got = await self._ask(b"GET /health/live HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
        if not got.startswith(b"HTTP/1.1 200 "):
            raise Broken(f"/health/live answers {got[:100]!r}")

    def _check(self, case: Case, got: bytes, grown: int) -> None:
        status = int(got[9:12]) if got else 0
        paths = tuple(each.path for each in self.upstream.arrived)
        complaints = self.proxy.new_complaints()
        checks = {
            f"status {status}": status != 500 if case.status is None else status in case.status,
            f"upstream got {paths}": case.upstream in (None, paths),
            f"upstream got {self.upstream.wrong}": not self.upstream.wrong,
            f"it grew by {grown // MB} MB": grown <= case.grows_mb * MB,
            f"the proxy complains: {complaints}": not complaints,
            "the body was changed": case.body is None or all(is_edit(each.body, case.body) for each in self.upstream.arrived),
        }
        wrong = [what for what, holds in checks.items() if not holds]
        if wrong:
            raise Broken(f"{case.name}: {'; '.join(wrong)}; the client got {got[:300]!r}")


def is_edit(body: bytes, of: bytes) -> bool:
    """Whether all of *of* is in *body*, in order, and still reads as what it was wherever a text was not added to."""
    if body == of:
        return True
    at = iter(body)
    return all(byte in at for byte in of) and _frame(body) == _frame(of)


def _frame(body: bytes) -> object:
    """All but the texts of the messages, to which ours are added, and the system message that may be new."""
    value = json.loads(body)
    others = [each for each in value["messages"] if each.get("role") != "system"]
    return repr({**value, "messages": [{**each, "content": None} for each in others]})


@asynccontextmanager
async def arena(folder: Path, **options: object) -> AsyncIterator[Arena]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    process = proxy_process(url, folder, **options)
    proxy = await asyncio.to_thread(process.__enter__)
    try:
        yield Arena(proxy, upstream)
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)
        server.close()
