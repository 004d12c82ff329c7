"""What stays right over time, and what of a prompt stays the same: the rows of ``scripts/bench`` that say it, gathered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.keeping import keeping
from benchmarks.month import month
from benchmarks.prefix import prefix
from benchmarks.rows import Effort
from benchmarks.scorecard.figures import OURS, Figure, of_row
from benchmarks.scorecard.stage import Stage


def cache(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Ours beside the ways in which others put memories into a prompt, emulated on the same chat."""
    measured: dict[str, dict[str, list[float]]] = defaultdict(dict)
    bars: dict[str, float | None] = {}
    for row in prefix(effort):
        name, _, figure = row.figure.partition(": ")
        measured[figure][name] = list(row.rounds)
        bars.setdefault(figure, row.at_least)
    for figure, ways in measured.items():
        yield Figure(figure, "", OURS, ways, at_least=bars[figure])


def kept(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    yield from map(of_row, keeping(effort))


def lived(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    yield from map(of_row, month(effort))
