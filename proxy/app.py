"""The composition root: names every concrete class, and owns what must be opened and closed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler

from proxy import logs, resources
from proxy.config import Config, Extract
from proxy.core.redaction import redact
from proxy.core.routing import Routes, is_chat
from proxy.errors import ConfigError, NotFound
from proxy.memory.chronicle import Chronicle
from proxy.memory.curation import Curation
from proxy.memory.engine import Engine, open_engine
from proxy.memory.erase import Erasure
from proxy.memory.events import Events
from proxy.memory.expiry import Expiry
from proxy.memory.journal import Journal, NoJournal
from proxy.memory.plan import Planner
from proxy.memory.recall import Recall
from proxy.memory.reembedding import Reembedding
from proxy.memory.remember import Keeping, Remember
from proxy.memory.replay import Replay
from proxy.memory.searching import Searching
from proxy.memory.sqlite_journal import journal_path, open_journal
from proxy.memory.traces import Traces
from proxy.memory.transfer import Transfer
from proxy.memory.turn import Turns
from proxy.settings import Settings
from proxy.web import health
from proxy.web.admin import AdminDoor
from proxy.web.api.operation import route
from proxy.web.api.settings import SETTINGS
from proxy.web.api.table import OPERATIONS
from proxy.web.chat import chat
from proxy.web.doors import DOORS, Caller, open_doors
from proxy.web.drain import Drain
from proxy.web.metrics import METRICS, Metrics, show
from proxy.web.middleware import log_and_answer_errors
from proxy.web.not_http import SERVER_LOG
from proxy.web.passage import Route, passage_of
from proxy.web.passthrough import passthrough
from proxy.web.room import ROOM, Room
from proxy.web.services import MEMORY, SERVICES, MemoryServices, Services
from proxy.web.tls import tls_context
from proxy.web.tunnel import tunnel, wants_tunnel
from proxy.web.upstream import open_upstreams

logger = structlog.get_logger()

_M_ARENA_MAX = -8
"""As in glibc's malloc.h."""


def make_app(config: Config) -> web.Application:
    """The application, with everything opened when it starts and closed, in reverse order, when it ends."""

    async def lifespan(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            upstreams = await stack.enter_async_context(open_upstreams(config.upstream, config.limits))
            app[SERVICES] = Services(routes=Routes(config.upstream.base_url, config.upstreams), upstreams=upstreams)
            app[MEMORY] = memory = await stack.enter_async_context(_open_memory(config))
            app[DOORS], app[ROOM] = open_doors(config), Room(config.limits.requests)
            app[SETTINGS] = Settings(config, partial(_in_force, memory.recall))
            yield

    app = web.Application(client_max_size=config.limits.request_bytes, middlewares=[log_and_answer_errors])
    app.cleanup_ctx.append(lifespan)
    app.on_shutdown.append(_send_listeners_away)
    if config.metrics.enabled:
        app[METRICS] = Metrics(config.store)
    _add_routes(app, AdminDoor(config.auth), figures=show if config.metrics.enabled else _not_here)
    return app


async def _send_listeners_away(app: web.Application) -> None:
    """Before aiohttp waits for handlers, of which theirs would never end."""
    app[MEMORY].events.close()


@asynccontextmanager
async def _open_memory(config: Config) -> AsyncIterator[MemoryServices]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(config))
        redaction = partial(redact, emails=config.extract.redact_emails, phones=config.extract.redact_phones)
        recall = Recall(engine.recall_store, engine.embedder, config.recall, redact=redaction, at_once=config.limits.recalls)
        grace_s = config.listen.grace_s
        keeping = _keeping(config)
        kept, bus = Traces(config.traces), Events()
        chronicle = Chronicle(kept, bus, redact=redaction)
        chronicle.watch(engine.guards)
        remember = Remember(
            engine.store,
            engine.embedder,
            options=keeping,
            queue_size=config.limits.remember_queue,
            grace_s=grace_s,
            journal=await stack.enter_async_context(_open_journal(config)),
            deadline_s=config.journal.deadline_ms / 1000,
            witness=chronicle,
        )
        for guard in engine.guards:
            guard.on_recovered(remember.resume)
        replay = Replay(config.limits.replay_bytes)
        await stack.enter_async_context(Expiry(engine.store, bus).running())
        yield MemoryServices(
            engine.store,
            engine.embedder,
            engine.guards,
            Planner(
                Turns(recall, replay),
                config.recall,
                config.extract,
                instruction=_instruction(config.extract),
                default_user=config.identity.default_user,
            ),
            await stack.enter_async_context(remember.running()),
            await stack.enter_async_context(Drain(max_answers=config.limits.drained_answers, grace_s=grace_s).running()),
            Erasure(remember, engine.store, replay, kept),
            Curation(engine.store, engine.embedder, remember, replay, keeping, tell=bus.publish),
            Searching(recall, engine.embedder),
            Transfer(engine.store, engine.embedder, remember, keeping),
            recall,
            kept,
            bus,
            chronicle,
            replay,
            engine.points,
            await stack.enter_async_context(_reembedding(config, engine, remember, recall).running()),
        )


def _in_force(recall: Recall, config: Config) -> None:
    """What is changed while the proxy runs: whoever uses an option that is ``live`` has it from here."""
    recall.reconfigure(config.recall)
    logs.set_level(config.log)


def _reembedding(config: Config, engine: Engine, remember: Remember, recall: Recall) -> Reembedding:
    server_s = config.store.timeout_s if config.store.kind == "qdrant" else 0.0
    return Reembedding(
        engine,
        config.embedding,
        writing=lambda: remember.writing,
        busy=lambda: recall.under_way > 0,
        linger_s=config.recall.deadline_ms / 1000 + server_s,
    )


def _open_journal(config: Config) -> AbstractAsyncContextManager[Journal]:
    if not config.journal.enabled:
        return nullcontext(NoJournal())
    return open_journal(journal_path(config), max_bytes=config.journal.max_bytes)


def _keeping(config: Config) -> Keeping:
    return Keeping(
        context_days=config.extract.context_days,
        turn_days=config.recall.turn_days,
        memories_per_user=config.limits.memories_per_user,
        turns_per_user=config.limits.turns_per_user,
        redact_emails=config.extract.redact_emails,
        redact_phones=config.extract.redact_phones,
    )


def _instruction(extract: Extract) -> str:
    if extract.prompt is None:
        return resources.prompt("extract")
    try:
        return Path(extract.prompt).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"extract.prompt: {extract.prompt} can't be read: {exc}") from exc


def _add_routes(app: web.Application, door: AdminDoor, *, figures: Handler) -> None:
    app.router.add_route("*", "/health/live", health.live)
    app.router.add_route("*", "/health/ready", health.ready)
    app.router.add_route("*", "/metrics", door.before_figures(figures))
    for path, calls in route(OPERATIONS).items():
        app.router.add_route("*", path, door.before(calls, methods=calls.methods))
    for path in ("/memory/v1", "/memory/v1/{tail:(?s:.*)}", "/ui", "/ui/{tail:(?s:.*)}"):
        app.router.add_route("*", path, door.before(_not_here))
    app.router.add_route("*", "/{tail:(?s:.*)}", _relayed)


async def _relayed(request: web.Request) -> web.StreamResponse:
    relayed, route = _handler(request)
    passage_of(request).route = route
    caller = request.app[DOORS].admit(request)
    with request.app[ROOM].for_one():
        return await relayed(request, caller)


def _handler(request: web.Request) -> tuple[Callable[[web.Request, Caller], Awaitable[web.StreamResponse]], Route]:
    if is_chat(request.method, request.raw_path):
        return chat, "chat"
    return (tunnel, "tunnel") if wants_tunnel(request) else (passthrough, "passthrough")


async def _not_here(request: web.Request) -> web.StreamResponse:
    """Our own paths, and nobody else's: they never go upstream."""
    raise NotFound(f"{request.path} is the proxy's own, and there is nothing there.")


def server_options(config: Config) -> dict[str, Any]:
    """What aiohttp's server must be told: everywhere its defaults would change, cut or outlive a request."""
    return {
        "access_log": None,
        "auto_decompress": False,
        "handler_cancellation": True,
        # Longer than a load balancer's minute; and as long may a client take for its first head.
        "keepalive_timeout": 75,
        "logger": SERVER_LOG,
        "max_field_size": config.limits.header_bytes,
        "max_line_size": config.limits.header_bytes,
        "shutdown_timeout": config.listen.grace_s,
    }


@dataclass(frozen=True, slots=True)
class Listening:
    """A proxy at work, and where."""

    address: str
    application: web.Application


@asynccontextmanager
async def listening(config: Config) -> AsyncIterator[Listening]:
    """Serve until the block is left; then finish what is under way, for at most ``listen.grace_s``."""
    tls = tls_context(config.listen)
    application = make_app(config)
    runner = web.AppRunner(application, **server_options(config))
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.listen.host, config.listen.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as exc:
            raise ConfigError(f"listen: can't listen on {config.listen.host}:{config.listen.port}: {exc.strerror}") from exc
        host, port = runner.addresses[0][:2]
        name, scheme = f"[{host}]" if ":" in host else host, "http" if tls is None else "https"
        yield Listening(f"{scheme}://{name}:{port}", application)
    finally:
        await runner.cleanup()


def serve(config: Config) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once. Raises ``ConfigError`` if the address can't be had."""
    logs.configure(config.log)
    tune_garbage_collection()
    tune_allocator()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(config))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's: a relayed chunk takes some seventh less CPU than on asyncio's own."""
    return uvloop.new_event_loop()


def tune_garbage_collection() -> None:
    """Look for cycles seldom: a request makes hundreds of objects and next to no cycles, and each look costs more than a request.

    Worth a tenth of the CPU per request; the modules that are loaded by now are never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def tune_allocator() -> None:
    """Let glibc have two arenas. By default each thread may get its own, and what the store frees in one stays there.

    Worth a third of the resident memory after some thousand chats.
    """
    with suppress(OSError, AttributeError):  # there is only glibc's
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


async def _serve(config: Config) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening(config) as proxy:
        logger.info("listening", address=proxy.address, upstream=config.upstream.base_url)
        await stop.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # else a second SIGINT would only cancel, and wait for what is under way
        logger.info("stopping", grace_s=config.listen.grace_s)
