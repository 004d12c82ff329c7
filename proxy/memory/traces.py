"""What the latest chats recalled, and what became of their answers. In memory only: a restart forgets all of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from proxy import config
from proxy.core.models import Owner
from proxy.memory.trace import Trace


@dataclass(frozen=True, slots=True)
class _Kept:
    trace: Trace
    until_s: float


class Traces:
    """The latest ``max_entries``, each for ``keep_s``. Whoever changes one must be in the loop, as everybody here."""

    def __init__(self, options: config.Traces, *, clock_s: Callable[[], float] = monotonic) -> None:
        self.enabled = options.enabled
        self.content = options.content
        self._max_entries = options.max_entries
        self._keep_s = options.keep_s
        self._clock_s = clock_s
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def put(self, trace: Trace) -> None:
        self._expire()
        self._kept[trace.id] = _Kept(trace, self._clock_s() + self._keep_s)
        if len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)

    def get(self, id_: str) -> Trace | None:
        self._expire()
        kept = self._kept.get(id_)
        return None if kept is None else kept.trace

    def latest(self, *, user: str | None = None, tenant: str | None = None, limit: int) -> list[Trace]:
        """The latest *limit*, newest first; all of them, or those of *user*, or of *tenant*'s users."""
        self._expire()
        found: list[Trace] = []
        for kept in reversed(self._kept.values()):
            if len(found) == limit:
                break
            if _is_of(kept.trace.owner, user, tenant):
                found.append(kept.trace)
        return found

    def forget(self, owner: Owner) -> None:
        for id_ in [id_ for id_, kept in self._kept.items() if kept.trace.owner == owner]:
            del self._kept[id_]

    def _expire(self) -> None:
        now = self._clock_s()
        while self._kept and next(iter(self._kept.values())).until_s <= now:
            self._kept.popitem(last=False)


def _is_of(owner: Owner | None, user: str | None, tenant: str | None) -> bool:
    if owner is None:
        return user is None and tenant is None
    return user in (None, owner.user) and tenant in (None, owner.tenant)
