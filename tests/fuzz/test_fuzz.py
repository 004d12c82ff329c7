"""The short form: every case that is known to be nasty, and some hundreds that a generator makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz import mutation
from tests.fuzz.arena import Arena, Broken, arena
from tests.fuzz.cases import all_cases

RANDOM_CASES = 300


@pytest.fixture
async def ring(tmp_path: Path) -> AsyncIterator[Arena]:
    async with arena(tmp_path, limits__request_bytes=64 * 1024 * 1024) as ring:
        yield ring


async def test_what_is_known_to_be_nasty_does_no_harm(ring: Arena):
    assert [wrong for case in all_cases() if (wrong := await _wrong(ring, case))] == []


async def test_what_is_made_at_random_does_no_harm(ring: Arena):
    assert [wrong for case in islice(mutation.cases(seed=4), RANDOM_CASES) if (wrong := await _wrong(ring, case))] == []


async def _wrong(ring: Arena, case) -> str | None:
    try:
        await ring.play(case)
    except Broken as exc:
        return str(exc)
    return None
