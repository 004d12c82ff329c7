"""What a process and its children take of the machine, from Linux's ``/proc``; and servers that are started as commands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 120.0
PROC = Path("/proc")


class NotStarted(Exception):
    """A server that is not there, or ended before it answered."""


def cpu_s(pid: int) -> float:
    """CPU time, user and system, that the process and its children have used; of threads that have ended, none."""
    return sum(_nanoseconds(task) for each in _tree(pid) for task in (PROC / str(each) / "task").glob("*/schedstat")) / 1e9


def resident_mb(pid: int) -> float:
    return sum(status(each, "VmRSS") for each in _tree(pid)) / 1e6


def status(pid: int | str, key: str) -> int:
    """Bytes of *key*, such as ``VmRSS``, ``RssAnon``, ``RssFile``."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = (PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
    return 0


def _nanoseconds(file: Path) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(file.read_bytes().split()[0])
    return 0


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for file in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in file.read_bytes().split():
                yield from _tree(int(child))


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


@contextmanager
def command(argv: Sequence[str], *, ready: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[int]:
    """A server, from when *ready*, a URL, answers; its process id. It ends with the block, and its children with it.

    It gets nothing of this process's environment but what every command needs.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(argv, stdout=log, stderr=log, cwd=cwd, env=kept | dict(env or {}), start_new_session=True) as process,
    ):
        try:
            _wait_for(ready, process, log.fileno())
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"ended with status {process.returncode}: {_end_of(log)}")
        if _answers(url):
            return
        time.sleep(0.05)
    raise NotStarted(f"did not answer within {START_S:.0f} s: {_end_of(log)}")


def _answers(url: str) -> bool:
    """Whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            answer.read()
    except urllib.error.HTTPError as exc:
        exc.close()
    except OSError:
        return False
    return True


def _end_of(log: int) -> str:
    size = os.fstat(log).st_size
    return " ".join(os.pread(log, 300, max(0, size - 300)).decode("utf-8", "replace").split())
