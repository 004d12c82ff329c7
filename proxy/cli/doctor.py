"""``memory-proxy doctor``: one line for each thing that a proxy needs, and what to do about those that fail.

It looks at what the configuration names or, with ``--url``, asks a running proxy, which knows since when something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from proxy.cli.arguments import add_config, add_remote, config_path, load_config, remote
from proxy.cli.models import expect_model
from proxy.cli.running import examine
from proxy.config import Config, check_reach, client_keys, kept_options, read_kept, settings_path
from proxy.errors import (
    ConfigError,
    EmbedError,
    JournalError,
    MemoryProxyError,
    StoreError,
    StoreLocked,
    StoreMismatch,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands

Check = Callable[[], str]
"""Says what it found, or raises what is wrong."""


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "doctor", help="check configuration, store, journal, embedder and upstream", epilog="example: memory-proxy doctor"
    )
    add_config(parser)
    add_remote(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    console = Console(highlight=False, soft_wrap=True)
    if args.url is not None:
        return _ask(console, args)
    try:
        config = load_config(args)
        check_reach(config)
        client_keys(config.auth)
    except ConfigError as exc:
        _report(console, "configuration", str(exc), ok=False)
        return 1
    _report(console, "configuration", str(config_path(args) or "defaults and environment"), ok=True)
    passed = [_passes(console, name, check) for name, check in _checks(config)]
    return 0 if all(passed) else 1


def _ask(console: Console, args: argparse.Namespace) -> int:
    """Raises ``ConfigError`` for what is no URL, or no token."""
    with remote(args) as proxy:
        findings = list(examine(proxy))
    for each in findings:
        _report(console, each.name, each.found, ok=each.well)
    return 0 if all(each.well for each in findings) else 1


def _checks(config: Config) -> Iterator[tuple[str, Check]]:
    connect_timeout_s = config.upstream.connect_timeout_s
    kept = settings_path(config)
    if os.path.lexists(kept):
        yield "settings", partial(_settings, kept)
    yield "store", lambda: asyncio.run(_store(config))
    yield "journal", partial(_journal, config)
    yield "embedder", lambda: asyncio.run(_embedder(config))
    yield "upstream", partial(_upstream, config.upstream.base_url, connect_timeout_s)
    for each in config.upstreams:
        yield f"upstream {each.name}", partial(_upstream, each.base_url, connect_timeout_s)


def _passes(console: Console, name: str, check: Check) -> bool:
    try:
        _report(console, name, check(), ok=True)
    except MemoryProxyError as exc:
        _report(console, name, " ".join(str(exc).split()), ok=False)
        return False
    return True


def _report(console: Console, name: str, found: str, *, ok: bool) -> None:
    console.print(Text("ok  ", "green") if ok else Text("FAIL", "bold red"), Text(f"{name}: {found}"))


def _settings(path: Path) -> str:
    try:
        read_kept(path)
    except OSError as exc:
        raise ConfigError(f"{path} can't be read: {exc.strerror}; correct its owner, or remove it") from exc
    options = [f"{option} ({variable} overrides it)" if variable else option for option, _, variable in kept_options(path)]
    return f"{path}, kept from a running proxy: {', '.join(options) or 'nothing'}"


async def _store(config: Config) -> str:
    from proxy.memory.embedding import open_embedder
    from proxy.memory.stores import open_store

    expect_model(config.embedding)
    where = config.store.path if config.store.kind == "edge" else config.store.url
    try:
        async with (
            open_embedder(config.embedding) as embedder,
            open_store(config.store, embedder.dimensions, config.embedding) as store,
        ):
            count = await store.count(None)
    except StoreLocked:
        return f"{config.store.kind} in {where}, in use by another process, such as a running proxy"
    except StoreMismatch:
        raise  # it says what to do
    except StoreError as exc:
        advice = "choose another store.path" if config.store.kind == "edge" else "start the server, or correct store.url"
        raise StoreError(f"{exc}; {advice}") from exc
    return f"{config.store.kind} in {where}, memories: {count}"


def _journal(config: Config) -> str:
    from proxy.memory.sqlite_journal import journal_path, look

    path = journal_path(config)
    if not config.journal.enabled:
        return "switched off"
    try:
        counts = look(path)
    except JournalError as exc:
        if "locked" in str(exc):
            return f"{path}, in use by another process, such as a running proxy"
        raise JournalError(f"{path}: {exc}; the next start moves a broken file aside") from exc
    return f"{path}, waiting: {counts.waiting}, given up: {counts.dead}"


async def _embedder(config: Config) -> str:
    from proxy.memory.embedding import open_embedder

    expect_model(config.embedding)
    try:
        async with open_embedder(config.embedding) as embedder:
            await embedder.embed_query("Is anybody there?")
            return f"{embedder.name}, vectors of {embedder.dimensions}"
    except EmbedError as exc:
        advice = (
            "start the server, or correct embedding.url" if config.embedding.provider == "openai" else "memory-proxy models pull"
        )
        raise EmbedError(f"{exc}; {advice}") from exc


def _upstream(url: str, timeout_s: float) -> str:
    """Any answer will do; without a key it is mostly a refusal."""
    try:
        return f"{url} answers (status {_status(f'{url}/models', timeout_s)} without a key)"
    except (OSError, HTTPException) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise UpstreamUnreachable(f"{url}: {reason}; correct base_url, or the way there") from exc


def _status(url: str, timeout_s: float) -> int:
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(connect(parts.hostname or "", parts.port, timeout=timeout_s)) as connection:
        connection.request("GET", parts.path)
        return connection.getresponse().status
