"""``scripts/scorecard [--quick] [--data FILE …] [ROW …]``: how good it is, beside the others; one table, one JSON file, one page.

All rows, or those that are named; with names, what else is in the JSON file stays.
A full run writes ``scorecard.json``, ``docs/scorecard.md`` and ``docs/scale.md``, one with ``--quick`` the same under ``build/scorecard``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rows import FULL, QUICK, Effort
from benchmarks.scorecard import cluster, page, table
from benchmarks.scorecard.contents import ROWS, Entry
from benchmarks.scorecard.figures import FORMAT, Json
from benchmarks.scorecard.peers import ROOT
from benchmarks.scorecard.stage import Stage
from proxy import __version__

JSON, PAGE, SCALE = "scorecard.json", "scorecard.md", "scale.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/scorecard", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one or more of {', '.join(ROWS)}; without, all")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: for a first look, not for a claim")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="conversations and questions; see docs/benchmarks.md",
    )
    parser.add_argument("--no-peers", action="store_true", help="leave other people's proxies out, also where they are installed")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help=f"write {JSON} and {PAGE} there")
    parser.add_argument("--page", action="store_true", help="measure nothing: make the page anew from the JSON file")
    options = parser.parse_args(arguments)
    unknown = [each for each in options.rows if each not in ROWS]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; choose from {', '.join(ROWS)}")
    where = _where(options.to, quick=options.quick)
    if options.page:
        _write(json.loads(where[0].read_text(encoding="utf-8")), *where)
        return 0
    with ExitStack() as stack:
        stage = Stage(stack, data=options.data, peers=not options.no_peers)
        measured = list(measure(options.rows or list(ROWS), QUICK if options.quick else FULL, stage))
    report = merged(_kept(where[0]) if options.rows else [], measured)
    _write(report, *where)
    print(f"\nwritten: {where[0]}, {where[1]}")
    return 0


def _where(folder: Path | None, *, quick: bool) -> tuple[Path, Path]:
    """Of the JSON file, and of the page."""
    if folder is None and not quick:
        return ROOT / JSON, ROOT / "docs" / PAGE
    folder = folder or ROOT / "build" / "scorecard"
    return folder / JSON, folder / PAGE


def measure(names: Sequence[str], effort: Effort, stage: Stage) -> Iterator[Json]:
    """Each row, printed as soon as it is known. What fails is a row that says so."""
    print(
        f"{os.cpu_count()} cores {platform.machine()}, load {os.getloadavg()[0]:.1f}; {effort.rounds} rounds\n\n{table.head()}",
        flush=True,
    )
    for name in names:
        row = _measured(name, ROWS[name], effort, stage)
        print("\n".join(table.lines(row)), flush=True)
        yield row


def _measured(name: str, entry: Entry, effort: Effort, stage: Stage) -> Json:
    began, load = time.monotonic(), os.getloadavg()[0]
    figures: list[Json] = []
    missing = None
    try:
        figures += (each.as_json() for each in entry.measure(effort, stage))
    except Exception as exc:  # noqa: BLE001  one row that can't be measured keeps no other from it
        missing = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    return {
        "row": name,
        "section": entry.section,
        "title": entry.title,
        "command": " ".join(["scripts/scorecard", *(f"--data {each.name}" for each in stage.data if entry.takes_data), name]),
        "effort": "full" if effort is FULL else "quick",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "missing": missing,
        "figures": figures,
    }


def merged(kept: Sequence[Json], measured: Sequence[Json]) -> Json:
    """The report, its rows in the order of the contents."""
    rows = {row["row"]: row for row in [*kept, *measured] if row["row"] in ROWS}
    return {"format": FORMAT, "machine": _machine(), "rows": [rows[name] for name in ROWS if name in rows]}


def _kept(file: Path) -> list[Json]:
    if not file.exists():
        return []
    report = json.loads(file.read_text(encoding="utf-8"))
    return list(report["rows"]) if report["format"] == FORMAT else []


def _machine() -> Json:
    return {
        "cores": os.cpu_count(),
        "arch": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "memory_proxy": __version__,
    }


def _write(report: Json, file: Path, where: Path) -> None:
    where.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write(report, where)
    cluster.write(report, where.with_name(SCALE))


if __name__ == "__main__":
    sys.exit(main())
