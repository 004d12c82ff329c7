"""Warnings that every request would repeat."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import structlog

logger = structlog.get_logger()

EVERY_S = 60.0


class Seldom:
    """Says each event at most once a minute, and *times*: how often it came since it was last said."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._times: dict[str, int] = {}

    def warn(self, event: str, **why: object) -> None:
        self._times[event] = self._times.get(event, 0) + 1
        now = self._clock()
        if now - self._said_at.get(event, -EVERY_S) >= EVERY_S:
            self._said_at[event] = now
            logger.warning(event, **why, times=self._times.pop(event))
