"""Figures as text: the lines that are printed, and the cells of the page. Made of their JSON alone."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.scorecard.figures import OURS, Json

WIDTHS = (64, 44, 6, 78, 28)
USUAL = {OURS, "ours, memory on"}
HEAD = ("figure", "ours", "", "beside it", "alone")


def head() -> str:
    return f"{_line(*HEAD)}\n|{'|'.join('-' * (width + 2) for width in WIDTHS)}|"


def lines(row: Json) -> Iterator[str]:
    """Of one row: a line for each figure, or one that says why there is none."""
    if row["missing"]:
        yield _line(row["title"], f"not measured: {row['missing']}", "", "", f"`{row['command']}`")
    for figure in row["figures"]:
        yield _line(figure["figure"], own(figure), verdict(figure), beside(figure), f"`{row['command']}`")


def own(figure: Json) -> str:
    """``1.23 (1.1 – 1.4) ms, bar ≤ 1.5``, and which of ours, where that isn't the usual one."""
    name = figure["ours"]
    if name not in figure["measured"]:
        return f"not measured: {figure['missing'].get(name, 'no figure')}"
    whose = "" if name in USUAL else f"{name}: "
    bar = f", bar {_bar(figure)}" if figure["bar"] else ""
    return f"{whose}{spread(figure['measured'][name])} {figure['unit']}".rstrip() + bar


def beside(figure: Json) -> str:
    others = {name: each for name, each in figure["measured"].items() if name != figure["ours"]}
    measured = [f"{name} {spelt(each['median'])}" for name, each in others.items()]
    missing = [f"{name} not measured ({_short(why)})" for name, why in figure["missing"].items() if name != figure["ours"]]
    return "; ".join([*measured, *missing])


def verdict(figure: Json) -> str:
    return {None: "", True: "ok", False: "over"}[figure["met"]]


def spread(measured: Json) -> str:
    if measured["least"] == measured["most"]:
        return spelt(measured["median"])
    return f"{spelt(measured['median'])} ({spelt(measured['least'])} – {spelt(measured['most'])})"


def spelt(number: float) -> str:
    """With about three digits."""
    size = abs(number)
    if size >= 100 or number == round(number):
        return f"{number:,.0f}"
    return f"{number:.1f}" if size >= 10 else f"{number:.2f}" if size >= 1 else f"{number:.3f}"


def _bar(figure: Json) -> str:
    signs = {"at_most": "≤", "at_least": "≥"}
    return ", ".join(f"{signs[kind]} {bar:g}" for kind, bar in figure["bar"].items())


def _short(why: str) -> str:
    return why if len(why) < 50 else f"{why[:48]} …"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + " |"
