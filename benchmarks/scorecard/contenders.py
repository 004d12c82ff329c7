"""Everything that stands between a client and the scripted model API, started once for all rows that compare.

Ours is the command as users run it, with 10,000 made-up memories of 100 users, configured as it comes; only ``recall.min_score`` is 0,
so that made-up memories are found, and ``recall.deadline_ms`` long, so that what is measured is never cut short.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

from benchmarks.library import fill
from benchmarks.processes import Process, process
from benchmarks.scorecard import upstream
from benchmarks.scorecard.clients import USERS, Client, chat, run
from benchmarks.scorecard.peers import PEERS, ROOT, Started, version
from benchmarks.scorecard.system import NotStarted, command, free_port, resident_mb
from benchmarks.servers import serve_bare
from proxy.app import new_event_loop

MEMORIES = 10_000
DIRECT, NGINX, BARE = "direct", "nginx", "bare aiohttp"
OFF, ON, AGAIN = "ours, memory off", "ours, memory on", "ours, same question again"
INT8 = "ours, memory on, int8"
SETTLING_S = 1.0

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream model {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """*pid* is none for the way without a proxy. *resident_mb*: idle, before the first row."""

    name: str
    address: str
    pid: int | None = None
    asked: Callable[..., bytes] = chat
    resident_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Field:
    """All who could be started, in order, and why the others could not."""

    upstream: Process
    contenders: Sequence[Contender]
    missing: dict[str, str]

    def named(self, name: str) -> Contender:
        return next(each for each in self.contenders if each.name == name)


@contextmanager
def line_up(*, peers: bool, memories: int) -> Iterator[Field]:
    with ExitStack() as stack, process(upstream.serve, loop_factory=new_event_loop) as model:
        address = model.started().address
        found, missing = [Contender(DIRECT, address)], {}
        servers: dict[str, Callable[[str], AbstractContextManager[Started]]] = {
            NGINX: nginx,
            BARE: bare,
            ON: partial(ours, memories=memories),
            INT8: partial(ours, memories=memories, embedding__precision="int8"),
        }
        if peers:
            servers |= {version(name): start for name, start in PEERS.items()}
        for name, start in servers.items():
            try:
                found += _as_contenders(name, *stack.enter_context(start(address)))
            except (NotStarted, OSError) as exc:
                missing[name] = str(exc)
        yield Field(model, list(_settled(found)), missing)


def _as_contenders(name: str, address: str, pid: int) -> list[Contender]:
    if name != ON:
        return [Contender(name, address, pid)]
    return [
        Contender(OFF, address, pid, partial(chat, headers=b"X-Memory-Mode: off\r\n")),
        Contender(ON, address, pid),
        Contender(AGAIN, address, pid, partial(chat, anew=False)),
    ]


def _settled(contenders: Sequence[Contender]) -> Iterator[Contender]:
    """When they have answered something, so that what is loaded with the first request is there."""
    run(_asked_once(contenders))
    for each in contenders:
        yield each if each.pid is None else replace(each, resident_mb=resident_mb(each.pid))


async def _asked_once(contenders: Sequence[Contender]) -> None:
    for each in contenders:
        client = Client(each.address)
        for stream in (False, True):
            await client.ask(each.asked(stream=stream))
        client.close()
    await asyncio.sleep(SETTLING_S)


@contextmanager
def bare(address: str) -> Iterator[Started]:
    with process(_bare, address) as server:
        yield server.started().address, server.pid


@asynccontextmanager
async def _bare(address: str) -> AsyncIterator[str]:
    logging.disable()  # it has no error handling: clients that leave are tracebacks
    async with serve_bare(address) as own:
        yield own


@contextmanager
def nginx(address: str) -> Iterator[Started]:
    program = which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise NotStarted("not installed: apt-get install nginx-light")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, upstream=address.removeprefix("http://"), port=port), encoding="ascii")
        own = f"http://127.0.0.1:{port}"
        with command([program, "-e", f"{folder}/error.log", "-c", str(config)], ready=f"{own}/embedded") as pid:
            yield own, pid


@contextmanager
def ours(address: str, *, memories: int = MEMORIES, **options: Any) -> Iterator[Started]:
    """``memory-proxy serve``; *options* as ``section__key``."""
    with filled(memories) as folder, serving(address, folder, **options) as started:
        yield started


@contextmanager
def filled(memories: int = MEMORIES) -> Iterator[Path]:
    """A folder with so many memories. They are written in a process of its own: what that takes stays there."""
    with tempfile.TemporaryDirectory(prefix="memory-proxy-scorecard-") as folder:
        if memories:
            with process(_filled, folder, memories) as filling:
                filling.started()
        yield Path(folder)


@contextmanager
def serving(address: str, folder: Path, **options: Any) -> Iterator[Started]:
    """The command over what is in *folder*."""
    port = free_port()
    settings = {
        "listen__port": port,
        "upstream__base_url": f"{address}/v1",
        "store__path": folder,
        "recall__min_score": 0,
        "recall__deadline_ms": 10_000,
        "log__format": "json",
    }
    env = {f"MEMORY_PROXY_{name.upper()}": str(value) for name, value in (settings | options).items()}
    own = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "proxy", "serve"]
    with command(argv, ready=f"{own}/health/ready", env=env | {"PYTHONPATH": str(ROOT)}, cwd=folder) as pid:
        yield own, pid


@asynccontextmanager
async def _filled(folder: str, memories: int) -> AsyncIterator[str]:
    await fill(folder, memories, USERS)
    yield ""
