"""A small plot for each row that has something to compare: horizontal bars, one group a figure, as SVG. Needs matplotlib."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.scorecard.figures import Json
from benchmarks.scorecard.table import spelt

OURS, OURS_TOO, OTHERS, INK = "#2f6f9f", "#8fb5d0", "#c4cacd", "#333333"
BAR_HEIGHT, ROOM, HEAD = 0.2, 0.42, 0.35
"""Inches: of a bar, around the bars of a figure, above all."""

WIDE = 30
"""From this factor between the longest and the shortest on, lengths are logarithms."""


def have_matplotlib() -> bool:
    return find_spec("matplotlib") is not None


def compared(row: Json) -> list[Json]:
    """The figures of *row* that have something beside them."""
    return [each for each in row["figures"] if len(each["measured"]) > 1]


def plot(row: Json, file: Path) -> None:
    """*row* has something to compare. The same figures make the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figures = compared(row)
    bars = [len(each["measured"]) for each in figures]
    with mpl.rc_context({"svg.hashsalt": row["row"], "svg.fonttype": "none", "font.size": 8, "font.family": "sans-serif"}):
        canvas = Figure(figsize=(7, HEAD + sum(bars) * BAR_HEIGHT + len(bars) * ROOM), layout="constrained")
        for axes, each in zip(canvas.subplots(len(figures), squeeze=False, height_ratios=bars)[:, 0], figures, strict=True):
            _bars(axes, each)
        canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=False)


def _bars(axes: Any, figure: Json) -> None:
    names = list(figure["measured"])
    spreads = [figure["measured"][name] for name in names]
    medians = [max(each["median"], 0) for each in spreads]
    colours = [OURS if name == figure["ours"] else OURS_TOO if name.startswith("ours") else OTHERS for name in names]
    errors = [
        [max(median - max(each["least"], 0), 0) for median, each in zip(medians, spreads, strict=True)],
        [max(each["most"] - median, 0) for median, each in zip(medians, spreads, strict=True)],
    ]
    axes.barh(names, medians, color=colours, xerr=errors, error_kw={"ecolor": INK, "elinewidth": 0.7})
    for i, each in enumerate(spreads):
        axes.text(max(each["most"], 0), i, f"  {spelt(each['median'])}", va="center", color=INK)
    positive = [each for each in medians if each > 0]
    if positive and max(positive) > WIDE * min(positive):
        axes.set_xscale("log")
    axes.set_title(f"{figure['figure']} ({figure['unit']})" if figure["unit"] else figure["figure"], loc="left", fontsize=8)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
