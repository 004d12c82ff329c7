"""A part of ``python -m tests.crash``: as many points as a minute allows, spread over the write path, and some random times."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tests.crash.harness import crash
from tests.crash.victim import all_points


async def test_nothing_is_lost_and_nothing_is_doubled_wherever_it_dies(tmp_path: Path) -> None:
    points = [each for each in all_points() if each.endswith(":1")][1::2]
    outcome = await crash(tmp_path, points, times=5)
    assert (outcome.lost, outcome.doubled, outcome.unreached) == ([], [], [])
    assert outcome.completed > len(points) / 2


def test_there_are_more_points_than_twenty() -> None:
    assert len(set(islice(all_points(), 20))) == 20
