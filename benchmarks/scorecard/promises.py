"""What is promised, put to the test: the harnesses of ``tests/crash``, ``tests/faults`` and ``tests/isolation``, in a short form."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.rows import Effort
from benchmarks.scorecard.figures import Figure, ours
from benchmarks.scorecard.peers import ROOT
from benchmarks.scorecard.stage import Stage
from proxy import logs
from proxy.config import Log

RANDOM_KILLS = 20
PEOPLE, REQUESTS = 100, 3000


def crash(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Killed at points of the write path and at random times, with an answer under way."""
    from tests.crash.harness import crash as killed
    from tests.crash.victim import all_points

    points = list(all_points())
    points = points[:: max(1, round(1 / effort.share))] if effort.share < 1 else points
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(killed(Path(folder), points, times=effort.of(RANDOM_KILLS)))
    wrong = sorted({*outcome.lost, *outcome.doubled})
    note = f"{len(points)} points of the write path and {effort.of(RANDOM_KILLS)} random times" + _named(wrong)
    yield ours("answers disturbed by a kill", "", outcome.users, note=note)
    yield ours("… of which something was lost", "", len(outcome.lost), at_most=0)
    yield ours("… of which something was doubled or otherwise wrong", "", len(outcome.doubled), at_most=0)


def faults(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Memory's side broken under the whole proxy; each answer is compared with the one without memory."""
    chosen = ["-k", "test_clock"] if effort.share < 0.1 else []
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        argv = [sys.executable, "-m", "pytest", "tests/faults", "-q", "-p", "no:cacheprovider", f"--junitxml={results}", *chosen]
        subprocess.run(argv, cwd=ROOT, capture_output=True, check=False, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        cases = list(ET.parse(results).iter("testcase"))
    failed = [case.get("name", "?") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    note = f"{skipped} more could not be brought about here" if skipped else ""
    yield ours("faults brought about", "", len(cases) - skipped, note=note)
    yield ours("… that cost an answer or a memory", "", len(failed), at_most=0, note=_named(failed).removeprefix(": "))


def isolation(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Users whose names are made to collide, at work at the same time."""
    from tests.isolation.__main__ import run

    logs.configure(Log(level="error"))
    found = asyncio.run(run(PEOPLE, max(PEOPLE, effort.of(REQUESTS))))
    yield ours("requests of users with colliding names", "", found.requests, note=f"{PEOPLE} users of 4 tenants")
    yield ours("… to which their own memories came", "", found.own)
    yield ours("… to which another's memories came", "", found.foreign_injected, at_most=0)
    yield ours("memories stored for another", "", found.foreign_listed, at_most=0)
    yield ours("requests that failed", "", found.failed, at_most=0)


def _named(names: list[str]) -> str:
    return f": {', '.join(names[:5])}" if names else ""
