"""Time that never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from proxy.memory import clock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Watch:
    """A clock on the wall that can be set, and one that can't."""

    def __init__(self) -> None:
        self.wall, self.steady_s = NOON, 0.0
        self.clock = clock.Clock(lambda: self.wall, lambda: self.steady_s)

    def passed(self, seconds: float) -> datetime:
        self.wall += timedelta(seconds=seconds)
        self.steady_s += seconds
        return self.clock.now()


def test_it_is_the_time_of_the_machine():
    # The two clocks that it is made of are read one after the other.
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_follows_a_clock_that_is_put_forward():
    watch = Watch()
    watch.wall += timedelta(hours=1)
    assert watch.clock.now() == NOON + timedelta(hours=1)


def test_it_goes_on_when_the_clock_is_put_back_until_that_has_caught_up():
    watch = Watch()
    assert watch.passed(10) == NOON + timedelta(seconds=10)
    watch.wall -= timedelta(minutes=1)
    assert watch.clock.now() == NOON + timedelta(seconds=10)
    assert watch.passed(5) == NOON + timedelta(seconds=15)
    watch.wall += timedelta(hours=1)
    assert watch.clock.now() == watch.wall
