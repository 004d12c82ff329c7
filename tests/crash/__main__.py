"""``python -m tests.crash [--random N] [--seed S]``: kill the proxy at every named point, then N times at random; what was lost."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.crash.harness import crash
from tests.crash.victim import all_points


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "--random", type=int, default=0, metavar="N", help="so many kills at random times, behind those at points"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random times")
    parser.add_argument("--point", action="append", metavar="P", help="only this one, such as store.upsert:after:2")
    arguments = parser.parse_args()
    points = arguments.point or list(all_points())
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(crash(Path(folder), points, times=arguments.random, seed=arguments.seed))
    print(f"{len(points)} points, {arguments.random} random times: {outcome}")
    sys.exit(bool(outcome.lost or outcome.doubled or outcome.unreached))


if __name__ == "__main__":
    main()
