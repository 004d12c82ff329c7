"""The memory API for commands without a running proxy: the very same, served for as long as the command takes.

So there is one implementation of everything. It answers on a port of its own of this machine, to who knows a token that nobody is told.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.cli.arguments import PATIENCE_S
from proxy.cli.models import expect_model
from proxy.cli.remote import Remote
from proxy.config import Auth, Config, Listen
from proxy.errors import JournalError, StoreError, StoreLocked

if TYPE_CHECKING:
    from proxy.app import Listening

GRACE_S = 5.0
"""What waits in the journal is worked off as at any start; what takes longer than this goes on at the next one."""


@contextmanager
def local_api(config: Config) -> Iterator[Remote]:
    """The memory API on the store that *config* names.

    Raises ``StoreLocked`` if a running proxy has it, ``ModelError`` without the embedding model, ``StoreError`` or ``ConfigError``.
    """
    expect_model(config.embedding)
    _expect_journal(config)
    config = _private(config)
    with _served(config) as address, Remote(address, config.auth.admin_token, timeout_s=PATIENCE_S) as proxy:
        yield proxy


def _private(config: Config) -> Config:
    """For this process alone: with no clients no keys are needed."""
    listen = Listen(host="127.0.0.1", port=0, grace_s=min(config.listen.grace_s, GRACE_S))
    return replace(config, listen=listen, auth=Auth(admin_token=secrets.token_urlsafe(32)))


def _expect_journal(config: Config) -> None:
    """A server store takes several writers; but erasing must reach the journal, too, and that has one owner."""
    from proxy.memory.sqlite_journal import journal_path, look

    if config.store.kind == "edge" or not config.journal.enabled:
        return
    try:
        look(journal_path(config))
    except JournalError as exc:
        if "locked" in str(exc):
            raise StoreLocked(f"{journal_path(config)} is open in another process: go through that proxy with --url") from exc


@contextmanager
def _served(config: Config) -> Iterator[str]:
    """The address of a proxy in a thread of its own."""
    from proxy import logs
    from proxy.app import new_event_loop

    logs.configure_for_command()
    stop, ready = asyncio.Event(), Future[str]()
    with asyncio.Runner(loop_factory=new_event_loop) as runner, ThreadPoolExecutor(1, "memory-api") as thread:
        loop = runner.get_loop()
        serving = thread.submit(_run, runner, config, ready, stop)
        try:
            yield ready.result()
        finally:
            loop.call_soon_threadsafe(stop.set)
            serving.result()


def _run(runner: asyncio.Runner, config: Config, ready: Future[str], stop: asyncio.Event) -> None:
    try:
        runner.run(_serve(config, ready, stop))
    except BaseException as exc:
        if not ready.done():
            ready.set_exception(exc)
        raise


async def _serve(config: Config, ready: Future[str], stop: asyncio.Event) -> None:
    """Until *stop*, which may also come before it is *ready*: who presses Ctrl+C waits for nothing."""
    loop = asyncio.get_running_loop()
    listening, stopping = loop.create_task(_listen(config, ready)), loop.create_task(stop.wait())
    await asyncio.wait([listening, stopping], return_when=asyncio.FIRST_COMPLETED)
    for task in (listening, stopping):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def _listen(config: Config, ready: Future[str]) -> None:
    from proxy.app import listening

    async with listening(config) as proxy:
        _check_parts(proxy)
        ready.set_result(proxy.address)
        await asyncio.Event().wait()


def _check_parts(proxy: Listening) -> None:
    """A running proxy waits for what is out of order; a command says so."""
    from proxy.web.services import MEMORY

    broken = [f"the {each.name}: {each.health.why}" for each in proxy.application[MEMORY].guards if each.health.why is not None]
    if broken:
        raise StoreError(f"out of order: {'; '.join(broken)}")
