"""``python -m benchmarks [--quick] [NAME …]``: the figures that the proxy must reach, measured on this machine.

``python -m benchmarks recall --data FILE [--facts]`` measures what is found of the conversations in a file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence

from benchmarks import recall
from benchmarks.abort import abort
from benchmarks.embedder import embedder
from benchmarks.filtering import filtering
from benchmarks.first_token import first_token
from benchmarks.health import health
from benchmarks.journal import journal
from benchmarks.keeping import keeping
from benchmarks.library import library
from benchmarks.lookup import lookup
from benchmarks.month import month
from benchmarks.outage import outage
from benchmarks.per_chunk import stream
from benchmarks.per_request import chat, off, relay
from benchmarks.prefix import prefix
from benchmarks.resident import resident
from benchmarks.rows import FULL, QUICK, Benchmark, Effort, head
from benchmarks.standstill import standstill

BENCHMARKS: dict[str, Benchmark] = {
    "relay": relay,
    "off": off,
    "chat": chat,
    "stream": stream,
    "first-token": first_token,
    "lookup": lookup,
    "embedder": embedder,
    "outage": outage,
    "health": health,
    "journal": journal,
    "standstill": standstill,
    "filter": filtering,
    "abort": abort,
    "library": library,
    "memory": resident,
    "prefix": prefix,
    "keeping": keeping,
    "month": month,
}
RECALL = "recall"
"""Needs a data file, prints tables of its own, and is no part of the others."""


def main() -> None:
    if sys.argv[1:2] == [RECALL]:
        sys.exit(recall.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}; without, all; or {RECALL}"
    )
    parser.add_argument("--quick", action="store_true", help="few and short rounds: for a first look, not for a claim")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    run(arguments.names or list(BENCHMARKS), QUICK if arguments.quick else FULL)


def run(names: Sequence[str], effort: Effort) -> None:
    """Print the rows of the benchmarks *names* as soon as they are known."""
    started = time.monotonic()
    print(f"{_machine()}; load before {os.getloadavg()[0]:.1f}; {effort.rounds} rounds\n\n{head()}", flush=True)
    for name in names:
        for row in BENCHMARKS[name](effort):
            print(row.line(f"scripts/bench {name}"), flush=True)
    print(f"\n{time.monotonic() - started:.0f} s; load after {os.getloadavg()[0]:.1f}")


def _machine() -> str:
    return f"{os.cpu_count()} cores {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
