"""The time of day, as memories know it: within a process it never goes back.

What ended would hold again, and what was just told would be of the future, if somebody set the machine's clock back. Then time goes
on from where it was, at the pace of the monotonic clock, until the other has caught up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic


class Clock:
    """*wall* may jump, *steady_s* only goes on."""

    def __init__(self, wall: Callable[[], datetime], steady_s: Callable[[], float]) -> None:
        self._wall = wall
        self._steady_s = steady_s
        self._latest = wall()
        self._read_s = steady_s()

    def now(self) -> datetime:
        read_s = self._steady_s()
        self._latest = max(self._wall(), self._latest + timedelta(seconds=read_s - self._read_s))
        self._read_s = read_s
        return self._latest


_CLOCK = Clock(lambda: datetime.now(UTC), monotonic)


def now() -> datetime:
    return _CLOCK.now()


def render(time: datetime) -> str:
    """As JSON has it: ISO 8601 in UTC, with microseconds and a ``Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
