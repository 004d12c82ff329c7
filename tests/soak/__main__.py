"""``python -m tests.soak``: exits 1 where memory grows by more than it may, files don't stay flat, or anything failed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.mix import MANY
from tests.soak.soak import Report, soak

MAX_GROWTH_PERCENT = 5
MAX_MORE_FILES = 5
REAL = {"embedding__provider": "fastembed", "embedding__model": "sentence-transformers/all-MiniLM-L6-v2"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long it's measured (default: 600)")
    parser.add_argument("--warm-up", type=float, default=120, help="seconds before that, for caches to fill (default: 120)")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (default: 50)")
    parser.add_argument(
        "--numbers",
        type=int,
        default=MANY,
        metavar="N",
        help="different things that are said of each of twelve topics (default: a million, so that nearly all is new and is stored)",
    )
    parser.add_argument("--real-embedder", action="store_true", help="the default model instead of a vector of words")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION__KEY=VALUE", help="an option of the proxy's")
    chosen = parser.parse_args()
    options = (REAL if chosen.real_embedder else {}) | dict(each.split("=", 1) for each in chosen.set)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            soak(
                Path(folder),
                warm_up_s=chosen.warm_up,
                seconds=chosen.seconds,
                rate=chosen.rate,
                numbers=chosen.numbers,
                **options,
            )
        )
    print("\n".join(report.lines()))
    return 0 if _is_well(report) else 1


def _is_well(report: Report) -> bool:
    flat = report.after.open_files <= report.before.open_files + MAX_MORE_FILES
    return flat and report.growth_percent <= MAX_GROWTH_PERCENT and not report.failed and not report.complaints


if __name__ == "__main__":
    sys.exit(main())
