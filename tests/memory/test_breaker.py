"""The circuit breaker, with a clock that goes where it is told."""

from __future__ import annotations

import pytest

from proxy.memory.breaker import FAILURES, IDLE_S, LONGEST_DELAY_S, WINDOW_S, Breaker, Outage


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(delay_s=1, clock=clock)


def fail(breaker: Breaker, times: int = 1, why: str = "refused") -> None:
    for _ in range(times):
        breaker.failed(why, began=breaker.clock())


def test_it_opens_after_so_many_failures_in_a_row(breaker, clock):
    fail(breaker, FAILURES - 1)
    assert breaker.outage is None
    clock.now += 5
    fail(breaker, why="timed out")
    assert breaker.outage == Outage(since=1005, why="timed out")


def test_an_answer_between_them_begins_the_row_anew(breaker):
    fail(breaker, FAILURES - 1)
    breaker.answered()
    fail(breaker, FAILURES - 1)
    assert breaker.outage is None


def test_failures_far_apart_are_no_row(breaker, clock):
    for _ in range(2 * FAILURES):
        fail(breaker)
        clock.now += WINDOW_S
    assert breaker.outage is None


def test_who_is_late_while_others_are_answered_is_no_failure(breaker, clock):
    began = clock.now
    clock.now += 0.1
    breaker.answered()
    for _ in range(FAILURES):
        breaker.failed("late", began=began)
    assert breaker.outage is None


def test_a_probe_that_fails_opens_it_at_once(breaker):
    breaker.probed("refused")
    assert breaker.outage == Outage(since=1000, why="refused")


def test_only_a_probe_ends_an_outage(breaker, clock):
    breaker.probed("refused")
    breaker.answered()
    assert breaker.outage is not None
    breaker.probed(None)
    assert breaker.outage is None


def test_an_outage_lasts_since_its_beginning_and_has_the_latest_reason(breaker, clock):
    breaker.probed("refused")
    clock.now += 1
    breaker.probed("answers 503")
    fail(breaker)
    assert breaker.outage == Outage(since=1000, why="answers 503")


def test_a_part_that_is_quiet_is_probed_from_time_to_time(breaker, clock):
    assert breaker.probe_in_s == IDLE_S
    clock.now += 10
    assert breaker.probe_in_s == IDLE_S - 10
    breaker.answered()
    assert breaker.probe_in_s == IDLE_S
    clock.now += IDLE_S + 1
    assert breaker.probe_in_s == 0
    breaker.probed(None)
    assert breaker.probe_in_s == IDLE_S


def test_a_failure_is_looked_into_at_once_but_not_all_the_time(breaker, clock):
    clock.now += 10
    fail(breaker)
    assert breaker.probe_in_s == 0
    breaker.probed(None)
    clock.now += 0.25
    fail(breaker)
    assert breaker.probe_in_s == 0.75


def test_probes_of_an_outage_come_at_growing_distances(breaker, clock):
    breaker.probed("refused")
    waits = []
    for _ in range(8):
        waits.append(breaker.probe_in_s)
        clock.now += breaker.probe_in_s
        assert breaker.probe_in_s == 0
        breaker.probed("refused")
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_DELAY_S, LONGEST_DELAY_S]


def test_on_probation_one_failure_opens_it_for_twice_as_long(breaker, clock):
    fail(breaker, FAILURES)
    assert breaker.probe_in_s == 1
    for wait in (2, 4):
        breaker.probed(None)
        clock.now += 10
        fail(breaker)
        assert (breaker.outage, breaker.probe_in_s) == (Outage(since=clock.now, why="refused"), wait)


def test_an_answer_ends_the_probation(breaker):
    breaker.probed("refused")
    breaker.probed(None)
    breaker.answered()
    fail(breaker, FAILURES - 1)
    assert breaker.outage is None
    fail(breaker)
    assert breaker.probe_in_s == 1


def test_what_began_before_an_outage_ended_says_nothing_about_the_time_after(breaker, clock):
    began = clock.now
    breaker.probed("refused")
    clock.now += 1
    breaker.probed(None)
    breaker.failed("late", began=began)
    assert breaker.outage is None
