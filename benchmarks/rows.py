"""What a benchmark says: one row a figure, with its bar beside it; and how much work it may take to find out."""

from __future__ import annotations

import argparse
import operator
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

WIDTHS = (82, 38, 11, 4, 27)


@dataclass(frozen=True, slots=True)
class Effort:
    """*rounds* is how often both sides take their turn; *share* is the part of each round's usual work that is done."""

    rounds: int
    share: float = 1.0

    def of(self, count: int) -> int:
        return max(1, round(count * self.share))


FULL = Effort(rounds=7)
QUICK = Effort(rounds=3, share=0.25)


@dataclass(frozen=True, slots=True)
class Row:
    """*met* is ``None`` where there is no bar, or where nothing could be measured.

    *rounds*, *unit* and the two bars say the same in numbers; of a ratio these are the ratios.
    """

    figure: str
    measured: str
    bar: str = ""
    met: bool | None = None
    rounds: Sequence[float] = ()
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def line(self, command: str) -> str:
        """One line of the table; *command* measures it alone."""
        verdict = "" if self.met is None else "ok" if self.met else "over"
        return _line(self.figure, self.measured, self.bar, verdict, f"`{command}`")


Benchmark = Callable[[Effort], Iterator[Row]]


def head() -> str:
    rule = "|".join("-" * (width + 2) for width in WIDTHS)
    return f"{_line('figure', 'median of the rounds (least – most)', 'bar', '', 'alone')}\n|{rule}|"


def ratio(figure: str, rounds: Sequence[tuple[float, float]], *, unit: str, at_most: float | None = None) -> Row:
    """Rounds of (the bare proxy's cost, ours): the median of their ratios, and both medians."""
    spread = Spread([ours / bare for bare, ours in rounds])
    bare, ours = (statistics.median(costs) for costs in zip(*rounds, strict=True))
    measured = f"{spread.text('.2f')} × = {ours:.0f} / {bare:.0f} {unit}"
    return Row(figure, measured, *_bar(spread.median, operator.le, "≤", at_most, "×"), spread.rounds, "×", at_most)


def value(figure: str, rounds: Sequence[float], *, unit: str, form: str = ".1f", at_most: float | None = None) -> Row:
    """A figure of which less is better."""
    spread = Spread(rounds)
    return Row(
        figure, f"{spread.text(form)} {unit}", *_bar(spread.median, operator.le, "≤", at_most, unit), rounds, unit, at_most
    )


def speed(figure: str, rounds: Sequence[float], *, unit: str, at_least: float | None = None) -> Row:
    """A figure of which more is better."""
    spread = Spread(rounds)
    bar = _bar(spread.median, operator.ge, "≥", at_least, unit)
    return Row(figure, f"{spread.text('.0f')} {unit}", *bar, rounds, unit, at_least=at_least)


def once(
    figure: str,
    measured: float,
    *,
    unit: str = "",
    form: str = ".3f",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """A figure that comes out the same each time, so that one round is enough."""
    meets, sign, bar = (operator.le, "≤", at_most) if at_least is None else (operator.ge, "≥", at_least)
    text = f"{measured:{form}} {unit}".rstrip()
    return Row(figure, text, *_bar(measured, meets, sign, bar, unit), [measured], unit, at_most, at_least)


def alone(name: str, benchmark: Benchmark) -> None:
    """The whole of ``python -m benchmarks.<name> [--quick]``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=sys.modules[benchmark.__module__].__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of the work: for a first look, not for a claim")
    effort = QUICK if parser.parse_args().quick else FULL
    print(head(), flush=True)
    for row in benchmark(effort):
        print(row.line(f"scripts/bench {name}"), flush=True)


class Spread:
    """Several measurements of one figure; the median counts."""

    def __init__(self, rounds: Sequence[float]) -> None:
        self.rounds = rounds
        self.median = statistics.median(rounds)

    def text(self, form: str) -> str:
        return f"{self.median:{form}} ({min(self.rounds):{form}} – {max(self.rounds):{form}})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _bar(
    measured: float, meets: Callable[[float, float], bool], sign: str, bar: float | None, unit: str
) -> tuple[str, bool | None]:
    return ("", None) if bar is None else (f"{sign} {bar:g} {unit}".rstrip(), meets(measured, bar))


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + " |"
