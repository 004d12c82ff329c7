"""The journal as an SQLite file, and the one thread that works on it.

*Group commit.* A commit waits for the disk. Whatever is asked for meanwhile shares the next one: a hundred answers that end at
once cost two commits. A call returns when its commit has reached the disk.

*Only one process.* The file is locked while it is open: a second proxy would remember everything a second time.

*No clock.* Entries are worked on in the order in which they came, which their numbers tell; a clock may go backwards.
How long an entry is put off counts in this process only: a new one tries everything at once.

*Erased is erased.* What is deleted is overwritten with zeros; what the write-ahead log still holds of it goes when ``erase``
or ``forget_done`` truncates that.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import structlog

from proxy.config import Config
from proxy.errors import JournalError
from proxy.memory.health import Health
from proxy.memory.journal import Counts, Journal, NoJournal, Nothing, Written

_VERSION = 1
_SCHEMA = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    trace TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    ready INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    created TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX next_entry ON entries (ready, number);
CREATE TABLE dead (
    trace TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created TEXT NOT NULL,
    died TEXT NOT NULL,
    why TEXT NOT NULL,
    body TEXT NOT NULL
);
"""
_COUNT = (
    "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM dead), (SELECT created FROM entries ORDER BY number LIMIT 1)"
)
_PAGE_BYTES = 4096
_WAL_BYTES = 4 * 1024 * 1024
_PROBE = "probe"
_LONGEST_PROBE_S = 60.0
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

T = TypeVar("T")
logger = structlog.get_logger()


def journal_path(config: Config) -> Path:
    return Path(config.journal.path or Path(config.store.path) / "journal.sqlite3")


@asynccontextmanager
async def open_journal(path: Path, *, max_bytes: int, retry_s: float = 1.0) -> AsyncIterator[Journal]:
    """The journal in the file *path*, made if it isn't there. One that can't be had is said in the log, and stood in for."""
    journal = SqliteJournal(path, max_bytes=max_bytes, retry_s=retry_s)
    try:
        await journal.open()
    except JournalError as exc:
        logger.error("going on without a journal: what waits in memory is lost in a crash", path=str(path), why=str(exc))  # noqa: TRY400
        await journal.close()
        yield NoJournal(str(exc))
        return
    try:
        yield journal
    finally:
        await journal.close()


def look(path: Path) -> Counts:
    """What is in the file *path* that no proxy has open; changes nothing. Raises ``JournalError``, "database is locked" if one has."""
    if not path.exists():
        return Counts()
    with _renamed_errors(), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", timeout=0, uri=True)) as connection:
        return _counts(connection.execute(_COUNT).fetchone())


class SqliteJournal:
    """The asynchronous side: collects calls, and has them worked off together. *refused*: how many appends have failed.

    While appends fail it tries by itself whether there is room again, so that its health is right although nobody writes:
    after *retry_s*, and then after twice as long each time, up to a minute.
    """

    def __init__(self, path: Path, *, max_bytes: int, retry_s: float = 1.0) -> None:
        self._tables = _Tables(path, max_bytes)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._waiting: deque[_Call[Any]] = deque()
        self._probe: asyncio.TimerHandle | None = None
        self._retry_s = self._probe_in_s = retry_s
        self.health = Health()
        self.refused = 0

    async def open(self) -> None:
        await self._call(self._tables.open, alone=True)

    async def close(self) -> None:
        await self._call(self._tables.close, alone=True)
        if self._probe is not None:
            self._probe.cancel()
        self._thread.shutdown(wait=False)

    def append(self, trace: str, owner: str, body: Callable[[], str], *, ready: bool) -> asyncio.Future[None]:
        future = self._call(lambda: self._tables.put(trace, owner, body(), ready=ready))
        future.add_done_callback(self._appended)
        return future

    async def next(self) -> Written | Nothing:
        now = asyncio.get_running_loop().time()
        return await self._call(lambda: self._tables.next(now))

    async def done(self, trace: str) -> None:
        await self._call(lambda: self._tables.delete(trace))

    async def put_off(self, trace: str, seconds: float) -> None:
        due = asyncio.get_running_loop().time() + seconds
        await self._call(lambda: self._tables.put_off(trace, due))

    async def bury(self, trace: str, why: str) -> None:
        await self._call(lambda: self._tables.bury(trace, why))

    async def retry_dead(self) -> int:
        return await self._call(self._tables.retry_dead)

    async def erase(self, owner: str) -> int:
        count = await self._call(lambda: self._tables.erase(owner))
        await self.forget_done()
        return count

    async def forget_done(self) -> None:
        await self._call(self._tables.forget_deleted, alone=True)

    async def counts(self) -> Counts:
        return await self._call(self._tables.counts)

    def _call(self, work: Callable[[], T], *, alone: bool = False) -> asyncio.Future[T]:
        """What *work* gives, when it is committed. *alone*: outside of transactions."""
        loop = asyncio.get_running_loop()
        call = _Call(work, loop.create_future(), alone=alone)
        self._waiting.append(call)
        try:
            loop.run_in_executor(self._thread, self._work_off, loop)
        except RuntimeError as exc:
            raise JournalError("the journal is closed") from exc
        return call.future

    def _work_off(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: everything that waits by now. Those behind it whose work is done already find nothing."""
        calls = [self._waiting.popleft() for _ in range(len(self._waiting))]
        for alone, group in groupby(calls, lambda each: each.alone):
            if alone:
                for each in group:
                    each.run()
            else:
                self._tables.commit(list(group))
        if calls:
            loop.call_soon_threadsafe(_tell_all, calls)

    def _appended(self, future: asyncio.Future[None]) -> None:
        exc = None if future.cancelled() else future.exception()
        self.refused += isinstance(exc, JournalError)
        self._tell(str(exc) if isinstance(exc, JournalError) else None)

    def _tell(self, why: str | None) -> None:
        """Once when writing begins to fail, and once when it doesn't any more."""
        if why is not None and self.health.well:
            logger.error("the journal takes nothing more: what waits in memory is lost in a crash", why=why)
            self.health = Health(why)
            self._probe_in_s = self._retry_s
            self._probe_later()
        elif why is None and not self.health.well:
            logger.warning("the journal is in order again", refused=self.refused)
            self.health = Health()

    def _probe_later(self) -> None:
        self._probe = asyncio.get_running_loop().call_later(self._probe_in_s, self._try_to_write)
        self._probe_in_s = min(2 * self._probe_in_s, _LONGEST_PROBE_S)

    def _try_to_write(self) -> None:
        if not self.health.well:
            with suppress(JournalError):
                self._call(self._tables.probe).add_done_callback(self._probed)

    def _probed(self, future: asyncio.Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._probe_later()
        else:
            self._tell(None)


class _Call(Generic[T]):
    """Work that somebody waits for, and what came of it."""

    def __init__(self, work: Callable[[], T], future: asyncio.Future[T], *, alone: bool) -> None:
        self.future = future
        self.alone = alone
        self._work = work
        self._result: list[T] = []
        self._error: Exception | None = None

    def run(self) -> bool:
        """Whether it may be committed. A mistake in it is told to who waits, and to nobody else."""
        self._result, self._error = [], None
        try:
            self._result.append(self._work())
        except sqlite3.Error as exc:
            self.fail(exc)
        except Exception as exc:  # noqa: BLE001 (it is raised where somebody waits)
            self._error = exc
        return self._error is None

    def fail(self, exc: Exception) -> None:
        self._error = JournalError(f"{type(exc).__name__}: {exc}")

    def tell(self) -> None:
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result[0])


def _tell_all(calls: Sequence[_Call[Any]]) -> None:
    for each in calls:
        each.tell()


class _Tables:
    """The synchronous side; every method runs in the one thread, those below ``commit`` within a transaction."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_pages = max(1, max_bytes // _PAGE_BYTES)
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises ``JournalError``. A file that is broken is moved aside, for people to look at, and a new one begun."""
        with _renamed_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            try:
                self._connection = _connect(self._path, self._max_pages)
            except sqlite3.DatabaseError as exc:
                if not _is_broken(exc):
                    raise
                logger.error("the journal is broken: a new one is begun", moved_to=str(_move_aside(self._path)), why=str(exc))  # noqa: TRY400
                self._path.touch(mode=0o600)
                self._connection = _connect(self._path, self._max_pages)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def commit(self, calls: Sequence[_Call[Any]]) -> None:
        """All of *calls* together or, if that fails, each by itself: one may find no room where the next only deletes."""
        if self._commit(calls) or len(calls) == 1:
            return
        for each in calls:
            self._commit([each])

    def _commit(self, calls: Sequence[_Call[Any]]) -> bool:
        good = False
        try:
            self._do("BEGIN IMMEDIATE")
            good = all(each.run() for each in calls)
            if good:
                self._do("COMMIT")
        except (sqlite3.Error, JournalError) as exc:
            good = False
            for each in calls:
                each.fail(exc)
        self._roll_back()
        return good

    def put(self, trace: str, owner: str, body: str, *, ready: bool) -> None:
        self._do(
            "INSERT INTO entries (trace, owner, ready, created, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (trace) DO UPDATE SET ready = excluded.ready, body = excluded.body",
            (trace, owner, ready, _now(), body),
        )

    def next(self, now: float) -> Written | Nothing:
        found = "SELECT trace, body, attempts FROM entries WHERE ready = 1 AND due <= ? ORDER BY number LIMIT 1"
        for row in self._do(found, (now,)):
            return Written(*row)
        [[due]] = self._do("SELECT min(due) FROM entries WHERE ready = 1")
        return Nothing(None if due is None else due - now)

    def delete(self, trace: str) -> None:
        self._do("DELETE FROM entries WHERE trace = ?", (trace,))

    def put_off(self, trace: str, due: float) -> None:
        self._do("UPDATE entries SET attempts = attempts + 1, due = ? WHERE trace = ?", (due, trace))

    def bury(self, trace: str, why: str) -> None:
        self._do(
            "INSERT OR REPLACE INTO dead SELECT trace, owner, created, ?, ?, body FROM entries WHERE trace = ?",
            (_now(), why, trace),
        )
        self.delete(trace)

    def retry_dead(self) -> int:
        self._do(
            "INSERT OR IGNORE INTO entries (trace, owner, ready, created, body) "
            "SELECT trace, owner, 1, created, body FROM dead ORDER BY created"
        )
        return self._do("DELETE FROM dead").rowcount

    def erase(self, owner: str) -> int:
        waiting = self._do("DELETE FROM entries WHERE owner = ?", (owner,)).rowcount
        return waiting + self._do("DELETE FROM dead WHERE owner = ?", (owner,)).rowcount

    def counts(self) -> Counts:
        return _counts(self._do(_COUNT).fetchone())

    def probe(self) -> None:
        """Write as much as a small entry takes, and leave nothing of it."""
        self.put(_PROBE, "", " " * _PAGE_BYTES, ready=False)
        self.delete(_PROBE)

    def forget_deleted(self) -> None:
        """Not within a transaction."""
        self._do("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _do(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise JournalError("the journal is closed")
        return self._connection.execute(statement, values)

    def _roll_back(self) -> None:
        """What was not committed. After some errors SQLite has done so by itself."""
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _counts(row: tuple[int, int, str | None]) -> Counts:
    waiting, dead, oldest = row
    return Counts(waiting, dead, None if oldest is None else datetime.fromisoformat(oldest))


def _connect(path: Path, max_pages: int) -> sqlite3.Connection:
    """The file, locked and checked, with every answer in it ready that a crash has cut short: what is whole of it counts."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            f"journal_size_limit = {_WAL_BYTES}",
            f"max_page_count = {max_pages}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _check(connection)
        _create_tables(connection)
        connection.execute("UPDATE entries SET ready = 1, due = 0 WHERE NOT ready OR due")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    [[found]] = connection.execute("PRAGMA quick_check(1)")
    if found != "ok":
        raise _Broken(found)


def _create_tables(connection: sqlite3.Connection) -> None:
    [[version]] = connection.execute("PRAGMA user_version")
    if version > _VERSION:
        raise JournalError(f"it was written by a later version of the proxy (schema {version}, this one knows {_VERSION})")
    if version < _VERSION:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")


class _Broken(sqlite3.DatabaseError):
    """What the check has found."""


def _is_broken(exc: sqlite3.DatabaseError) -> bool:
    return isinstance(exc, _Broken) or getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _move_aside(path: Path) -> Path:
    """The file and its write-ahead log, which SQLite looks for beside it."""
    aside = path.with_name(f"{path.name}.broken-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    path.rename(aside)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").rename(f"{aside}-wal")
    return aside


@contextmanager
def _renamed_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(str(exc)) from exc


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
