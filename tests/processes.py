"""The proxy as a process of its own: what it takes of the machine can then be told, and signals sent to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

# Guards against a process that hangs; nothing is expected to take this long.
PATIENCE_S = 60


class _Log:
    """What a process writes, in a file as it may be much."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._more = threading.Condition(threading.RLock())
        self._ended = False
        self._told = 0

    def copy(self, source: IO[bytes]) -> None:
        """Take all that comes of *source*, to its end."""
        for line in source:
            self._write(line)
        self._write(b"", ended=True)

    def lines(self) -> list[dict[str, Any]]:
        """A line that is no JSON, as of a traceback, is one of the level ``raw``."""
        with self._more:
            self._file.seek(0)
            return [_line(each) for each in self._file.read().decode("utf-8", "replace").splitlines()]

    def news(self) -> list[dict[str, Any]]:
        """The lines since this was last asked."""
        with self._more:
            self._file.seek(self._told)
            news = self._file.read()
            self._told += len(news)
            return [_line(each) for each in news.decode("utf-8", "replace").splitlines()]

    def wait_for(self, event: str) -> dict[str, Any]:
        with self._more:
            while not (found := [line for line in self.lines() if line.get("event") == event]):
                assert not self._ended, f"the proxy has ended: {self.lines()}"
                assert self._more.wait(PATIENCE_S), f"the proxy hangs before {event!r}: {self.lines()}"
            return found[0]

    def _write(self, line: bytes, *, ended: bool = False) -> None:
        with self._more:
            self._file.seek(0, os.SEEK_END)
            self._file.write(line)
            self._ended = ended
            self._more.notify_all()


@dataclass
class ProxyProcess:
    """One at work, and the log that it writes."""

    address: str
    process: subprocess.Popen[bytes]
    _log: _Log = field(repr=False)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def resident_bytes(self) -> int:
        return self._status("VmRSS")

    @property
    def peak_bytes(self) -> int:
        """The most that was resident since ``forget_peak``."""
        return self._status("VmHWM")

    @property
    def anonymous_bytes(self) -> int:
        """What of the resident memory is in no file."""
        return self._status("RssAnon")

    @property
    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def logged(self, event: str) -> dict[str, Any]:
        """The first line about *event*, once it is there."""
        return self._log.wait_for(event)

    def new_complaints(self) -> list[dict[str, Any]]:
        """The lines that say that something of ours is wrong, and were not told before."""
        return [line for line in self._log.news() if line["level"] in ("error", "critical", "raw")]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE_S)

    def _status(self, key: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


@contextmanager
def proxy_process(upstream: str, folder: Path, **options: object) -> Iterator[ProxyProcess]:
    """``memory-proxy serve`` before *upstream*, which is its embedder too; *options* as ``section__key``. Killed at the end."""
    settings = {
        "listen__port": 0,
        "upstream__base_url": upstream,
        "store__path": folder,
        "embedding__provider": "openai",
        "embedding__model": "words",
        "embedding__url": upstream,
        "recall__deadline_ms": 10_000,
        "log__format": "json",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_PROXY_")}
    environ |= {f"MEMORY_PROXY_{name.upper()}": str(value) for name, value in (settings | options).items()}
    environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "proxy", "serve"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder, env=environ) as process,
    ):
        assert process.stderr is not None
        lines = _Log(log)
        copying = threading.Thread(target=lines.copy, args=(process.stderr,))
        copying.start()
        try:
            yield ProxyProcess(str(lines.wait_for("listening")["address"]), process, lines)
        finally:
            process.kill()
            copying.join()


def _line(text: str) -> dict[str, Any]:
    try:
        return {"level": "raw", **json.loads(text)}
    except ValueError:
        return {"level": "raw", "event": text}
