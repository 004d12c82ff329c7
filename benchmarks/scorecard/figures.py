"""What a row of the scorecard says: figures of ours, each with what stands beside it, and the JSON that they become.

A *figure* is one quantity, measured of one or several *contenders*: proxies, sizes of a store, or ways to do the same.
``scorecard.json`` is a ``Report``; the table and the page are made from it alone. Its shape::

    {"format": 1,
     "machine": {"cores": 2, "arch": "x86_64", "system": "Linux", "python": "3.11.2", "memory_proxy": "0.1.0"},
     "rows": [{"row": "abort", "section": "Overhead", "title": …, "command": "scripts/scorecard abort",
               "effort": "full" | "quick", "at": ISO 8601, "seconds": 12.3, "load": [before, after],
               "missing": null | why the row could not be measured,
               "figures": [{"figure": …, "unit": "ms", "ours": a contender,
                            "measured": {contender: {"median": 1.2, "least": 1.1, "most": 1.4, "rounds": 7}},
                            "missing": {contender: why it could not be measured},
                            "bar": null | {"at_most": 20} | {"at_least": 0.8}, "met": null | true | false, "note": ""}]}]}

Every ratio is measured in one run: its rounds are ratios, each of two measurements that followed one another.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rows import Row

FORMAT = 1
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """*rounds*: what each round measured, by contender. *ours* is the contender that a bar is for."""

    name: str
    unit: str
    ours: str
    rounds: Mapping[str, Sequence[float]]
    missing: Mapping[str, str] = field(default_factory=dict)
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    def as_json(self) -> Json:
        return {
            "figure": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "measured": {name: _spread(rounds) for name, rounds in self.rounds.items()},
            "missing": dict(self.missing),
            "bar": {key: bar for key, bar in self._bars.items() if bar is not None} or None,
            "met": self._met,
            "note": self.note,
        }

    @property
    def _bars(self) -> dict[str, float | None]:
        return {"at_most": self.at_most, "at_least": self.at_least}

    @property
    def _met(self) -> bool | None:
        if self.ours not in self.rounds or set(self._bars.values()) == {None}:
            return None
        median = statistics.median(self.rounds[self.ours])
        return (self.at_most is None or median <= self.at_most) and (self.at_least is None or median >= self.at_least)


def _spread(rounds: Sequence[float]) -> Json:
    return {"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds), "rounds": len(rounds)}


def ours(name: str, unit: str, *rounds: float, **more: Any) -> Figure:
    """A figure with nothing beside it."""
    return Figure(name, unit, OURS, {OURS: rounds}, **more)


OURS = "memory-proxy"


def ratio(name: str, unit: str, over: Sequence[float], under: Sequence[float], **more: Any) -> Figure:
    """*over* by *under*, round by round."""
    return ours(name, unit, *(a / b for a, b in zip(over, under, strict=True)), **more)


def of_row(row: Row) -> Figure:
    """A row of ``scripts/bench``."""
    return ours(row.figure, row.unit, *row.rounds, at_most=row.at_most, at_least=row.at_least)
