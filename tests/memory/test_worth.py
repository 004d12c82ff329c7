"""What a memory is worth keeping for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.models import MEMORY_TYPES, TURN, Memory
from proxy.memory.worth import worth
from tests.memory.telling import DAY, NOW


def memory(
    type_: str = "semantic", *, importance: float = 0.5, days: float = 0, seen: float | None = None, count: int = 0
) -> Memory:
    """One that was made *days* ago, and last said *seen* days ago."""
    made, said = NOW - days * DAY, None if seen is None else NOW - seen * DAY
    return Memory("id", "x", made, made, type=type_, importance=importance, access_count=count, last_accessed_at=said)


@pytest.mark.parametrize(
    ("type_", "days"),
    [
        *[("procedural", 365), ("preference", 365), ("semantic", 180), ("emotional", 180)],
        *[("episodic", 60), ("turn", 60), ("contextual", 30), ("unheard-of", 60)],
    ],
)
def test_half_of_it_is_gone_after_the_half_life_of_its_type(type_: str, days: int):
    assert worth(memory(type_, importance=0.8), NOW) == 0.8
    assert worth(memory(type_, importance=0.8, days=days), NOW) == pytest.approx(0.4)


def test_the_age_counts_from_when_it_was_last_said():
    assert worth(memory(days=999, seen=180), NOW) == pytest.approx(0.25)


def test_what_is_dated_in_the_future_is_as_good_as_new():
    assert worth(memory(days=-9), NOW) == 0.5


def test_what_was_said_again_is_worth_more_by_the_logarithm():
    assert [worth(memory(count=count), NOW) for count in (0, 1, 3, 7)] == pytest.approx([0.5, 0.6, 0.7, 0.8])


TYPES = st.sampled_from([*MEMORY_TYPES, TURN])
SHARES = st.floats(0, 1)
DAYS = st.floats(0, 3000)
COUNTS = st.integers(0, 1000)


@given(TYPES, SHARES, DAYS, DAYS, COUNTS)
def test_nothing_gains_by_age(type_: str, importance: float, days: float, more: float, count: int):
    younger, older = (memory(type_, importance=importance, days=each, count=count) for each in (days, days + more))
    assert 0 <= worth(older, NOW) <= worth(younger, NOW)
