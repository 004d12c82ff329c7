"""``python -m benchmarks [--quick] [NAME …]``: the figures that the proxy must reach, measured on this machine."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence

from benchmarks.abort import abort
from benchmarks.filtering import filtering
from benchmarks.first_token import first_token
from benchmarks.lookup import lookup
from benchmarks.per_chunk import stream
from benchmarks.per_request import chat, off, relay
from benchmarks.resident import resident
from benchmarks.rows import FULL, QUICK, Benchmark, Effort, head

BENCHMARKS: dict[str, Benchmark] = {
    "relay": relay,
    "off": off,
    "chat": chat,
    "stream": stream,
    "first-token": first_token,
    "lookup": lookup,
    "filter": filtering,
    "abort": abort,
    "memory": resident,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}; without, all of them")
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
