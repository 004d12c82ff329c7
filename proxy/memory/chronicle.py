"""Looks on while chats recall and answers are remembered, and makes traces and events of it.

Nothing that goes wrong here reaches a chat or a memory: it is said in the log, and the trace lacks it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Concatenate, ParamSpec

from proxy.core.context import Redact
from proxy.core.redaction import redact
from proxy.memory.events import Event, Events
from proxy.memory.guarded import Guards
from proxy.memory.heard import Heard
from proxy.memory.plan import Plan
from proxy.memory.seldom import Seldom
from proxy.memory.trace import trace_of
from proxy.memory.traces import Traces
from proxy.memory.witness import Outcome

P = ParamSpec("P")


def _harmless(method: Callable[Concatenate[Chronicle, P], None]) -> Callable[Concatenate[Chronicle, P], None]:
    def tried(self: Chronicle, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as exc:  # noqa: BLE001 (a mistake of ours here must not cost the chat)
            self.seldom.warn("a trace is not whole", why=type(exc).__name__, step=method.__name__)

    return tried


class Chronicle:
    """A ``Witness``, who also sees what each chat recalls."""

    def __init__(self, traces: Traces, events: Events, *, redact: Redact = redact) -> None:
        self.seldom = Seldom()
        self._redact = redact
        self._traces = traces
        self._events = events

    @_harmless
    def planned(self, plan: Plan) -> None:
        """A chat is about to go upstream."""
        if self._traces.enabled:
            self._traces.put(trace_of(plan, content=self._traces.content, redact=self._redact))
        if self._events.has_listeners and plan.turn is not None and plan.turn.found is not None:
            figures = {"tokens": sum(each.tokens for each in plan.turn.found.notes), "trouble": plan.turn.trouble}
            self._events.publish(Event("recalled", plan.owner, plan.trace, plan.turn.recalled, figures))

    @_harmless
    def waits(self, trace: str, why: str | None = None) -> None:
        self._set(trace, "waiting", why)

    @_harmless
    def heard(self, heard: Heard) -> None:
        trace = self._traces.get(heard.trace)
        if trace is not None:
            trace.heard(heard)

    @_harmless
    def done(self, outcome: Outcome) -> None:
        trace = self._traces.get(outcome.heard.trace)
        if trace is not None:
            trace.done(outcome)
        if self._events.has_listeners:
            for event in _events(outcome):
                self._events.publish(event)

    @_harmless
    def dead(self, trace: str, why: str) -> None:
        self._set(trace, "dead", why)

    @_harmless
    def lost(self, trace: str, why: str) -> None:
        self._set(trace, "lost", why)

    def watch(self, guards: Guards) -> None:
        """From now on, tell when one of *guards* is out of order, and when it is back."""
        for guard in guards:
            guard.on_degraded(partial(self._degraded, guard.name))
            guard.on_recovered(partial(self._recovered, guard.name))

    @_harmless
    def _degraded(self, part: str, why: str) -> None:
        self._events.publish(Event("degraded", figures={"part": part, "why": why}))

    @_harmless
    def _recovered(self, part: str) -> None:
        self._events.publish(Event("recovered", figures={"part": part}))

    def _set(self, id_: str, state: str, why: str | None) -> None:
        trace = self._traces.get(id_)
        if trace is not None:
            trace.answer.state, trace.answer.why = state, why


def _events(outcome: Outcome) -> list[Event]:
    """What the answer stored, corrected and forgot, as far as there is any of it."""
    heard, revised = outcome.heard, outcome.revised
    stored = [each.id for each in revised.fates if each.became == "stored" and each.id]
    turn = outcome.turn.id if outcome.turn is not None and outcome.figures.turns else None
    by = {each.replaces: each.id for each in revised.fates if each.replaces}
    replaced = [each for each in revised.ended if each not in heard.told.forgotten]
    forgotten = [each for each in revised.ended if each in heard.told.forgotten]
    events = [
        Event("stored", heard.owner, heard.trace, stored, {"turn": turn}) if stored or turn else None,
        Event("replaced", heard.owner, heard.trace, replaced, {"by": [by.get(each) for each in replaced]}) if replaced else None,
        Event("forgotten", heard.owner, heard.trace, forgotten) if forgotten else None,
    ]
    return [each for each in events if each is not None]
