"""What is known of one request when it is over: its line in the log and its part of the metrics are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from aiohttp import web

from proxy.core.blocks import Block
from proxy.core.traceparent import TRACEPARENT, trace_id
from proxy.memory.plan import Plan

Route = Literal["chat", "passthrough", "tunnel", "api", "ui", "health", "metrics"]
ROUTES: tuple[Route, ...] = ("chat", "passthrough", "tunnel", "api", "ui", "health", "metrics")

_OWN: dict[str, Route] = {"memory": "api", "ui": "ui", "health": "health", "metrics": "metrics"}
"""Our own paths, by their first part."""

_MODEL_CHARS = 100


class Hold:
    """How long, in *seconds*, text of an answer waited in its filter."""

    __slots__ = ("_since", "on", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.on = False
        self._since = 0.0

    def turn(self, on: bool) -> None:
        """From now on text waits, or it doesn't."""
        now = perf_counter()
        if self.on:
            self.seconds += now - self._since
        self.on, self._since = on, now


@dataclass(slots=True)
class Passage:
    """Filled in by whoever has a part in the request. Times are ``perf_counter``'s, *_s* is seconds.

    *first_byte*: when the first of the answer's body went to the client. *own_s*: what memory took before the request went on, and
    before the answer did. *hold*: only of answers that are looked into while they stream. *trace_id*: of the caller's ``traceparent``.
    """

    route: Route
    trace_id: str | None = None
    began: float = field(default_factory=perf_counter)
    upstream: str | None = None
    plan: Plan | None = None
    blocks: Sequence[Block] = ()
    streams: bool = False
    first_byte: float | None = None
    own_s: float = 0.0
    hold: Hold | None = None
    status: int = 0
    seconds: float = 0.0

    @contextmanager
    def ours(self) -> Iterator[None]:
        """What happens in the block is our share of the time."""
        began = perf_counter()
        try:
            yield
        finally:
            self.own_s += perf_counter() - began

    def end(self, status: int) -> None:
        self.status, self.seconds = status, perf_counter() - self.began

    @property
    def first_byte_s(self) -> float | None:
        return None if self.first_byte is None else self.first_byte - self.began

    def line(self) -> dict[str, object]:
        """What a chat adds to its line in the log: ids and figures, and nothing that was said."""
        line: dict[str, object] = {} if self.trace_id is None else {"trace_id": self.trace_id}
        if self.plan is not None:
            line |= {
                "trace": self.plan.trace,
                "model": _printable(self.plan.model),
                "memory": self.plan.report["X-Memory-Status"],
                "memories": len(self.plan.given.recalled),
                "blocks": len(self.blocks),
                "first_byte_ms": None if self.first_byte_s is None else round(self.first_byte_s * 1000, 1),
                "own_ms": round(self.own_s * 1000, 1),
            }
        return line


PASSAGE = web.RequestKey("passage", Passage)


def passage_of(request: web.BaseRequest) -> Passage:
    """Begun now, unless it has begun before."""
    passage = request.get(PASSAGE)
    if passage is None:
        traceparent = request.headers.get(TRACEPARENT)
        passage = request[PASSAGE] = Passage(_route(request.path), None if traceparent is None else trace_id(traceparent))
    return passage


def _route(path: str) -> Route:
    return _OWN.get(path.split("/", 2)[1] if path.startswith("/") else "", "passthrough")


def _printable(model: str | None) -> str | None:
    """The caller's text: only what could be a model's name."""
    return model if model is not None and len(model) <= _MODEL_CHARS and model.isprintable() else None
