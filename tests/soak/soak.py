"""The measurement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.processes import ProxyProcess, proxy_process
from tests.soak.mix import MANY, Clients, SoakModel

MB = 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """What a proxy has of the machine, at rest.

    *anonymous_bytes*: what of its memory is in no file. The rest is mapped: the program, and the store's files with its log, of which
    the system may drop every page.
    """

    resident_bytes: int
    anonymous_bytes: int
    open_files: int


@dataclass(frozen=True)
class Report:
    before: Taken
    after: Taken
    done: Counter[str]
    failed: Counter[str]
    complaints: list[str]

    @property
    def growth_percent(self) -> float:
        return 100 * (self.after.resident_bytes / self.before.resident_bytes - 1)

    def lines(self) -> list[str]:
        return [
            f"requests         {self.done.total()}: " + ", ".join(f"{count} {kind}" for kind, count in self.done.most_common()),
            f"failed           {self.failed.total()}" + "".join(f"\n  {count} × {what}" for what, count in self.failed.items()),
            f"complaints       {len(self.complaints)}" + "".join(f"\n  {each}" for each in self.complaints[:5]),
            (
                f"resident memory  {self.before.resident_bytes / MB:.1f} MB → {self.after.resident_bytes / MB:.1f} MB"
                f" ({self.growth_percent:+.1f} %)"
            ),
            f"  in no file     {self.before.anonymous_bytes / MB:.1f} MB → {self.after.anonymous_bytes / MB:.1f} MB",
            f"open files       {self.before.open_files} → {self.after.open_files}",
        ]


async def soak(
    folder: Path, *, warm_up_s: float, seconds: float, rate: float, every_s: float = 60, numbers: int = MANY, **options: object
) -> Report:
    """Ask for *warm_up_s*, look, ask for *seconds*, look again. Prints a line *every_s*, for who waits. *numbers*: see ``Clients``."""
    async with _proxy(folder, numbers, **options) as proxy, _session() as session:
        clients = Clients(session, f"{proxy.address}/v1", rate, numbers=numbers)
        await clients.ask_for(warm_up_s)
        before = await _at_rest(proxy)
        while seconds > 0:
            await clients.ask_for(min(seconds, every_s))
            seconds -= every_s
            print(f"  {proxy.resident_bytes / MB:.1f} MB, {proxy.open_files} files, {clients.done.total()} requests", flush=True)
        after = await _at_rest(proxy)
        complaints = [str(line) for line in proxy.new_complaints()]
        return Report(before, after, clients.done, clients.failed, complaints)


async def _at_rest(proxy: ProxyProcess) -> Taken:
    """Once nothing is under way any more, for a moment."""
    await asyncio.sleep(2)
    return Taken(proxy.resident_bytes, proxy.anonymous_bytes, proxy.open_files)


def _session() -> aiohttp.ClientSession:
    """A connection for each request: what is open at rest is then the proxy's own."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))


@asynccontextmanager
async def _proxy(folder: Path, numbers: int, **options: object) -> AsyncIterator[ProxyProcess]:
    model = SoakModel()
    model.numbers = numbers
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", model.answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    process = proxy_process(url, folder, upstream__keepalive_s=1, **options)
    try:
        yield await asyncio.to_thread(process.__enter__)
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)
        await runner.cleanup()
