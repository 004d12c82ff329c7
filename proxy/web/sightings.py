"""How the upstreams were last seen, as requests found them: nobody asks an upstream how it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from proxy.errors import ProxyError

FAILURES = ("unreachable", "broken", "timeout", "5xx")
OUTCOMES = ("2xx", "3xx", "4xx", *FAILURES)


@dataclass(slots=True)
class Sighting:
    """Of one upstream since the start. *outcomes*: how its requests ended. Times are ``None`` before there was any.

    *answered* and *failed*: the last time that it did, and *why* it failed then. *since*: from when on it only did what it did last.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    answered: datetime | None = None
    failed: datetime | None = None
    since: datetime | None = None
    why: str | None = None
    failing: bool = False

    def saw(self, status: int) -> None:
        """An answer has begun. One of the server's own errors is a failure, a refusal is not."""
        self.outcomes[f"{status // 100}xx"] += 1
        if status >= 500:
            self._fail(f"status {status}")
        else:
            self.answered = datetime.now(UTC)
            self._turn(failing=False, at=self.answered)

    def lost(self, exc: ProxyError) -> None:
        """No answer began, or it broke off."""
        self.outcomes[(exc.code or "").removeprefix("upstream_")] += 1
        self._fail(str(exc))

    def _fail(self, why: str) -> None:
        self.failed, self.why = datetime.now(UTC), " ".join(why.split())
        self._turn(failing=True, at=self.failed)

    def _turn(self, *, failing: bool, at: datetime) -> None:
        if self.since is None or failing is not self.failing:
            self.since, self.failing = at, failing
