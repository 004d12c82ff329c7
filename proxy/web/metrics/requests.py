"""What requests do, counted as they end: some microseconds each."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from proxy.memory.turn import Turn
from proxy.web.passage import ROUTES, Passage

_ANSWERS = ("stream", "whole")
_STEPS = ("profile", "embed", "search", "select", "whole")
_TROUBLES = ("busy", "deadline", "embedder", "store", "user")
# A chat takes seconds, of which memory may take a hundredth; a model that thinks takes minutes.
_CHAT_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OWN_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_HELD_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Series(dict[K, V], Generic[K, V]):
    """The series of one metric by their labels: prometheus_client looks each up under a lock, which takes longer than to count.

    Those that will be there are *known* from the start, so that a first event is an increase.
    """

    def __init__(self, make: Callable[[K], V], known: tuple[K, ...]) -> None:
        super().__init__()
        self._make = make
        for each in known:
            self[each]

    def __missing__(self, key: K) -> V:
        made = self[key] = self._make(key)
        return made


class RequestMetrics:
    """Registered with *registry*."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, seconds = partial(_counter, registry), partial(_histogram, registry)
        requests = counter("requests", "Requests that ended, by route and status; 499: the client left.", "route", "status")
        first_byte = seconds("chat_first_byte", "From a chat's head to its answer's first byte.", _CHAT_S, "answer")
        whole = seconds("chat", "From a chat's head to its answer's end.", _CHAT_S, "answer")
        recall = seconds("recall", "What looking for memories took, by step; whole: all of them.", _OWN_S, "step")
        degraded = counter(
            "degraded_chats", "Chats that went upstream without all their memories, by what was missing.", "reason"
        )
        self._requests = _Series(lambda key: requests.labels(*key), tuple(product(ROUTES, (200,))))
        self._first_byte = _Series(first_byte.labels, _ANSWERS)
        self._chat = _Series(whole.labels, _ANSWERS)
        self._recall = _Series(recall.labels, _STEPS)
        self._degraded = _Series(degraded.labels, _TROUBLES)
        self._own = seconds(
            "chat_own", "What memory added to a chat: before it went upstream, and before what follows a block.", _OWN_S
        )
        self._held = seconds(
            "held_back", "How long text of a streamed answer waited, for a block or what might become one.", _HELD_S
        )
        self._recalled = counter("memories_recalled", "Memories and turns that were put into requests.")

    def ended(self, passage: Passage) -> None:
        self._requests[passage.route, passage.status].inc()
        if passage.route == "chat":
            self._chat_ended(passage)

    def _chat_ended(self, passage: Passage) -> None:
        answer = "stream" if passage.streams else "whole"
        self._chat[answer].observe(passage.seconds)
        if passage.first_byte_s is not None:
            self._first_byte[answer].observe(passage.first_byte_s)
        if passage.hold is not None:
            self._held.observe(passage.hold.seconds)
        if passage.plan is not None:
            self._own.observe(passage.own_s)
            self._recalled_with(passage.plan.given)

    def _recalled_with(self, turn: Turn) -> None:
        self._recalled.inc(len(turn.recalled))
        if turn.trouble is not None:
            self._degraded[turn.trouble].inc()
        if turn.steps:
            for step, seconds in turn.steps.items():
                self._recall[step].observe(seconds)
            self._recall["whole"].observe(sum(turn.steps.values()))


def _counter(registry: CollectorRegistry, name: str, about: str, *labels: str) -> Counter:
    return Counter(f"memory_proxy_{name}", about, labels, registry=registry)


def _histogram(registry: CollectorRegistry, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"memory_proxy_{name}_seconds", about, labels, buckets=buckets, registry=registry)
