"""Whoever looks on while answers are remembered: what it is told, and what it may not do, which is to get in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proxy.memory.figures import Figures
from proxy.memory.heard import Heard
from proxy.memory.keep_turn import Kept
from proxy.memory.revision import Revised


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one answer; *turn*: where the message is kept, if it is. After a failure it may come twice."""

    heard: Heard
    revised: Revised
    turn: Kept | None
    figures: Figures


class Witness(Protocol):
    """Called in the loop, answers by the trace of their request. Nothing of it may raise, or take long."""

    def waits(self, trace: str, why: str | None = None) -> None:
        """An answer has been handed over, or waits on because of *why*."""

    def heard(self, heard: Heard) -> None:
        """It was read; again whenever another block of it has come."""

    def done(self, outcome: Outcome) -> None: ...

    def dead(self, trace: str, why: str) -> None:
        """It is among the dead letters."""

    def lost(self, trace: str, why: str) -> None: ...


class Nobody:
    """A ``Witness`` who looks away."""

    def waits(self, trace: str, why: str | None = None) -> None: ...
    def heard(self, heard: Heard) -> None: ...
    def done(self, outcome: Outcome) -> None: ...
    def dead(self, trace: str, why: str) -> None: ...
    def lost(self, trace: str, why: str) -> None: ...
