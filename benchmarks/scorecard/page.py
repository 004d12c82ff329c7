"""``docs/scorecard.md``, made of the report's JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.scorecard.figures import Json
from benchmarks.scorecard.plots import compared, have_matplotlib, plot
from benchmarks.scorecard.table import beside, own, verdict

_HEAD = """# Scorecard

What memory-proxy costs, what it keeps right, and what stands beside it: measured on one machine, offline, with the scripted model API
of the benchmarks behind every proxy. `scripts/scorecard` makes this page; [`benchmarks.md`](benchmarks.md#the-scorecard) says how each figure is measured,
[`scale.md`](scale.md) what millions and billions of memories need.

"""


def write(report: Json, page: Path) -> None:
    """The page, and its plots in a folder beside it that has its name."""
    plots = page.with_suffix("")
    plots.mkdir(parents=True, exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    plotted = set()
    if have_matplotlib():
        for row in report["rows"]:
            if compared(row):
                plot(row, plots / f"{row['row']}.svg")
                plotted.add(row["row"])
    page.write_text(render(report, plotted=plotted), encoding="utf-8")


def render(report: Json, *, plotted: set[str]) -> str:
    return _HEAD + "\n".join(_parts(report, plotted)) + "\n"


def _parts(report: Json, plotted: set[str]) -> Iterator[str]:
    machine = report["machine"]
    yield (
        f"{machine['cores']} cores {machine['arch']}, {machine['system']}, Python {machine['python']}, memory-proxy {machine['memory_proxy']}. "
        "Each figure is the median of its rounds, with the least and the most of them in brackets."
    )
    quick = [f"`{row['row']}`" for row in report["rows"] if row["effort"] != "full"]
    if quick:
        yield f"\n**Measured with `--quick`, for a first look and not for a claim:** {', '.join(quick)}."
    if not plotted:
        yield "\nWithout plots: matplotlib was not installed (`pip install matplotlib` in `.venv`)."
    for section, rows in groupby(report["rows"], key=lambda row: row["section"]):
        yield f"\n## {section}"
        for row in rows:
            yield from _row(row, plotted)


def _row(row: Json, plotted: set[str]) -> Iterator[str]:
    yield f"\n### {row['title']}\n"
    yield f"`{row['command']}` · {row['at'][:10]} · {row['seconds']:.0f} s · load {row['load'][0]:.1f} before, {row['load'][1]:.1f} after\n"
    if row["missing"]:
        yield f"Not measured: {row['missing']}"
    if row["figures"]:
        yield _table(row["figures"])
    yield from (f"\n{each['figure']}: {each['note']}." for each in row["figures"] if each["note"])
    if row["row"] in plotted:
        yield f"\n![{row['title']}](scorecard/{row['row']}.svg)"


def _table(figures: Sequence[Json]) -> str:
    lines = ["| figure | ours | | beside it |", "| --- | --- | --- | --- |"]
    lines += [f"| {_cell(each['figure'])} | {_cell(own(each))} | {verdict(each)} | {_cell(beside(each))} |" for each in figures]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
