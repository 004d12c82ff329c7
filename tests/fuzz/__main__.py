"""``python -m tests.fuzz --seconds 600``: the known cases, then random ones until the time is up; exits 1 if any did harm."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.fuzz import mutation
from tests.fuzz.arena import MB, Broken, Case, arena
from tests.fuzz.cases import all_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same cases (default: 0)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_fuzz(Path(folder), chosen.seconds, chosen.seed))


async def _fuzz(folder: Path, seconds: float, seed: int) -> int:
    played = harm = 0
    async with arena(folder, limits__request_bytes=64 * MB) as ring:
        before = ring.proxy.resident_bytes
        for case in _until(time.monotonic() + seconds, chain(all_cases(), mutation.cases(seed))):
            played += 1
            try:
                await ring.play(case)
            except Broken as exc:
                harm += 1
                print(exc, flush=True)
        print(f"{played} cases, {harm} did harm; resident {before // MB} MB → {ring.proxy.resident_bytes // MB} MB")
    return 1 if harm else 0


def _until(end: float, cases: Iterator[Case]) -> Iterator[Case]:
    while time.monotonic() < end:
        yield next(cases)


if __name__ == "__main__":
    sys.exit(main())
