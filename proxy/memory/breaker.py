"""Whether a part that fails is worth asking: a circuit breaker as a value, with no tasks and no log, and a clock that it is given.

    closed ──three failures in a row, or a failed probe──→ open ──a probe that succeeds──→ on probation ──an answer──→ closed
                                                            ↑                                   │
                                                            └─────────one failure───────────────┘

*Late under load is not dead.* A failure counts only if nobody was answered since that call began: of a burst on a slow part
some are late, on a dead one all are.

*Probation.* A probe asks for less than calls do. Where it succeeds and they go on failing, the delay before the next one doubles.

*Why not a library.* Those for asyncio (aiobreaker, purgatory) make a request the probe, at a fixed delay, and don't take a call that
was cancelled for a failure; here that is how most failures look.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

FAILURES = 3
WINDOW_S = 30.0
"""Within this time failures are in a row."""
LONGEST_DELAY_S = 60.0
IDLE_S = 30.0
"""A part that nobody has heard of for so long is probed, so that its state is known before it is needed."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outage:
    """*since* when, by the breaker's clock, a part is out of order, and *why*, in one line."""

    since: float
    why: str


class Breaker:
    """Closed while ``outage`` is ``None``. Whoever owns it makes a probe whenever ``probe_in_s`` is 0, and reports it with ``probed``."""

    def __init__(self, *, delay_s: float = 1.0, clock: Clock = monotonic) -> None:
        self.outage: Outage | None = None
        self.clock = clock
        self._first_delay_s = self._delay_s = delay_s
        self._tolerance = FAILURES
        self._failed_at: deque[float] = deque(maxlen=FAILURES)
        self._answered_at = clock()
        self._probed_at = -math.inf

    def answered(self) -> None:
        """A call succeeded. Only probes end an outage: what is answered during one may have waited for minutes."""
        if self.outage is None:
            self._answered_at = self.clock()
            self._failed_at.clear()
            self._tolerance = FAILURES
            self._delay_s = self._first_delay_s

    def failed(self, why: str, *, began: float) -> None:
        """A call that *began* then failed, or was given up as late."""
        if self.outage is not None or began < self._answered_at:
            return
        self._failed_at.append(self.clock())
        if len(self._failed_at) >= self._tolerance and self._failed_at[-1] - self._failed_at[-self._tolerance] <= WINDOW_S:
            self._open(why)

    def probed(self, trouble: str | None) -> None:
        """A probe ended: ``None``, well, or why not."""
        self._probed_at = self.clock()
        if trouble is None:
            self._close()
        elif self.outage is None:
            self._open(trouble)
        else:
            self.outage = replace(self.outage, why=trouble)
            self._double_delay()

    @property
    def probe_in_s(self) -> float:
        """How long until the part is to be probed; a call that failed is looked into at once, though not all the time."""
        return max(0.0, self._probe_at() - self.clock())

    def _probe_at(self) -> float:
        if self.outage is not None:
            return max(self.outage.since, self._probed_at) + self._delay_s
        if self._failed_at and self._failed_at[-1] >= self._probed_at:
            return self._probed_at + self._first_delay_s
        return max(self._answered_at, self._probed_at) + IDLE_S

    def _open(self, why: str) -> None:
        if self._tolerance < FAILURES:
            self._double_delay()
        self.outage = Outage(self.clock(), why)

    def _close(self) -> None:
        if self.outage is not None:
            self.outage = None
            self._failed_at.clear()
            self._tolerance = 1
            self._answered_at = self.clock()

    def _double_delay(self) -> None:
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
