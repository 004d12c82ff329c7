"""Servers in processes of their own, so that the CPU time of each can be told apart."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from multiprocessing.connection import Connection

Serving = AbstractAsyncContextManager[str]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Process:
    """A server elsewhere, which tells its address and, when asked, the CPU time (user and system) it has used."""

    address: str

    def __init__(self, pipe: Connection, pid: int) -> None:
        self._pipe = pipe
        self.pid = pid

    def started(self) -> Process:
        """Itself, once it has an address; ``EOFError`` if it fails to start."""
        self.address = self._pipe.recv()
        return self

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.removeprefix("http://").partition(":")
        return host, int(port)

    def cpu_s(self) -> float:
        self._pipe.send(None)
        used: float = self._pipe.recv()
        return used


@contextlib.contextmanager
def process(serving: Callable[..., Serving], *arguments: object, loop_factory: LoopFactory | None = None) -> Iterator[Process]:
    """Runs ``serving(*arguments)``, which yields an address, until the block is left; does not wait for its start."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    child = spawn.Process(target=_run, args=(there, serving, arguments, loop_factory), daemon=True)
    child.start()
    assert child.pid is not None
    there.close()  # so that a child which fails to start is an EOFError here, not a wait for ever
    try:
        yield Process(here, child.pid)
    finally:
        child.terminate()
        child.join()


def _run(
    pipe: Connection, serving: Callable[..., Serving], arguments: tuple[object, ...], loop_factory: LoopFactory | None
) -> None:
    async def run() -> None:
        orphaned = asyncio.Event()
        async with serving(*arguments) as address:
            pipe.send(address)
            asyncio.get_running_loop().add_reader(pipe.fileno(), _answer, pipe, orphaned)
            await orphaned.wait()

    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())


def _answer(pipe: Connection, orphaned: asyncio.Event) -> None:
    try:
        pipe.recv()
        pipe.send(time.process_time())
    except (EOFError, OSError):
        # Whoever asks was killed: one that went on would take a core for ever, and spoil what others measure.
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        orphaned.set()
