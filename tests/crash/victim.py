"""The proxy in a process that kills itself at a named point of the write path, as a crash would: ``SIGKILL``, nothing is tidied up.

A point is *where* in which function, and the how-manieth time: ``store.upsert:after:2``. It only counts while the file ``armed`` is
in the proxy's folder, so that what comes before can be prepared in peace.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from proxy import app, logs
from proxy.config import load
from proxy.memory import backlog, edge, edge_shard, growth, guarded, keep_turn, remember, revision, sqlite_journal
from proxy.web import relay

PLACES: dict[str, tuple[object, str]] = {
    "chat.note": (remember.Remember, "note"),
    "chat.last_bytes": (relay.RelayedResponse, "write_eof"),
    "chat.submit": (remember.Remember, "submit"),
    "heard.render": (backlog, "render"),
    "journal.append": (sqlite_journal.SqliteJournal, "append"),
    "journal.put": (sqlite_journal._Tables, "put"),
    "journal.commit": (sqlite_journal._Tables, "commit"),
    "journal.next": (sqlite_journal._Tables, "next"),
    "journal.delete": (sqlite_journal._Tables, "delete"),
    "worker.take": (backlog.Backlog, "take"),
    "worker.keep": (remember.Remember, "_keep"),
    "worker.done": (backlog.Backlog, "done"),
    "turn.keep": (keep_turn.TurnKeeper, "keep"),
    "revision.write": (revision.Revision, "write"),
    "revision.learn": (revision.Revision, "_learn"),
    "revision.retire": (revision, "retire"),
    "embedder.documents": (guarded.GuardedEmbedder, "embed_documents"),
    "store.upsert": (edge.EdgeStore, "upsert"),
    "store.revise": (edge.EdgeStore, "revise"),
    "shard.upsert": (edge_shard.Shard, "upsert"),
    "shard.revise": (edge_shard.Shard, "revise"),
    "growth.wrote": (growth.Growth, "wrote"),
}


class Points:
    """Counts how often the point is passed, and does not come back the last time."""

    def __init__(self, point: str, armed: Path) -> None:
        self.place, self._when, number = point.split(":")
        self._left = int(number)
        self._armed = armed

    def passed(self, when: str) -> None:
        if when == self._when and self._armed.exists():
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            self.passed("before")
            result = await function(*args, **kwargs)
            self.passed("after")
            return result

        @functools.wraps(function)
        def at_once(*args: Any, **kwargs: Any) -> Any:
            self.passed("before")
            result = function(*args, **kwargs)
            self.passed("after")
            return result

        return later if inspect.iscoroutinefunction(function) else at_once


def run(settings: dict[str, object], point: str | None, pipe: Connection) -> None:
    """Serve until the pipe says so or ends; tells its address through it."""
    if point is not None:
        points = Points(point, Path(str(settings["store.path"])) / "armed")
        holder, name = PLACES[points.place]
        setattr(holder, name, points.wrap(getattr(holder, name)))
    asyncio.run(_serve(settings, pipe))


async def _serve(settings: dict[str, object], pipe: Connection) -> None:
    config = load(None, environ={}, overrides=settings)
    logs.configure(config.log)
    async with app.listening(config) as proxy:
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), told.set)
        pipe.send(proxy.address)
        await told.wait()
        asyncio.get_running_loop().remove_reader(pipe.fileno())


def all_points() -> Iterator[str]:
    """Each place before and after, and those that are passed more often than once, later too."""
    for place in PLACES:
        yield f"{place}:before:1"
        yield f"{place}:after:1"
    for place in ("journal.commit", "store.upsert", "revision.learn", "shard.revise"):
        yield f"{place}:before:2"
        yield f"{place}:after:2"
