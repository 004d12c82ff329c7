"""Telling whoever listens, and waiting for nobody."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from proxy.core.models import Owner
from proxy.errors import TooBusy
from proxy.memory.events import MAX_LISTENERS, MAX_WAITING, Event, Events, Listener, Wanted

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN, BEN, OTHER = Owner("ann"), Owner("ben"), Owner("ann", "other")
STORED = [Event("stored", owner, ids=(owner.user,)) for owner in (ANN, BEN, OTHER)]
DEGRADED = Event("degraded", figures={"part": "store"})


def waiting(listener: Listener) -> list[Event]:
    return [*listener._waiting]


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (Wanted(), [*STORED, DEGRADED]),
        (Wanted("ann", "default"), [STORED[0], DEGRADED]),
        (Wanted("ann"), [STORED[0], STORED[2], DEGRADED]),
        (Wanted(tenant="default"), [*STORED[:2], DEGRADED]),
        (Wanted("ann", "default", ("stored",)), STORED[:1]),
        (Wanted(types=("degraded",)), [DEGRADED]),
        (Wanted("nobody", "default", ("stored", "expired")), []),
    ],
)
async def test_who_listens_hears_what_is_wanted_in_order(wanted: Wanted, heard: list[Event]):
    events = Events()
    with events.listening(wanted) as listener:
        for each in (*STORED, DEGRADED):
            events.publish(each)
        assert waiting(listener) == heard
        assert [await listener.next() for _ in heard] == heard


async def test_who_waits_is_woken():
    events = Events()
    with events.listening(Wanted()) as listener:
        next_ = asyncio.ensure_future(listener.next())
        await asyncio.sleep(0)
        events.publish(DEGRADED)
        assert await next_ == DEGRADED


async def test_who_has_left_is_told_nothing():
    events = Events()
    with events.listening(Wanted()) as listener:
        assert events.has_listeners
    events.publish(DEGRADED)
    assert (events.has_listeners, waiting(listener)) == (False, [])


async def test_who_is_too_far_behind_is_cut_off_and_the_others_are_not():
    events = Events()
    with events.listening(Wanted()) as slow, events.listening(Wanted()) as fast:
        for _ in range(3 * MAX_WAITING):
            events.publish(DEGRADED)
            await fast.next()
        assert (slow.ended.result(), len(waiting(slow)), fast.ended.done()) == ("slow", MAX_WAITING, False)


async def test_at_the_end_all_are_sent_away_and_whoever_comes_then():
    events = Events()
    with events.listening(Wanted()) as one:
        events.close()
        with events.listening(Wanted()) as late:
            assert (one.ended.result(), late.ended.result()) == ("closing", "closing")


async def test_there_is_a_limit_to_who_may_listen():
    events = Events()
    with ExitStack() as stack:
        for _ in range(MAX_LISTENERS):
            stack.enter_context(events.listening(Wanted()))
        with pytest.raises(TooBusy):
            stack.enter_context(events.listening(Wanted()))
    with events.listening(Wanted()):
        pass


def test_as_json_has_it():
    event = Event("replaced", ANN, "t1", ("1", "2"), {"by": ["3", None]}, NOW)
    assert event.as_dict() == {
        "type": "replaced",
        "at": "2026-03-01T00:00:00.000000Z",
        "user": "ann",
        "tenant": "default",
        "trace": "t1",
        "ids": ["1", "2"],
        "by": ["3", None],
    }
    assert (DEGRADED.as_dict()["user"], DEGRADED.as_dict()["tenant"], DEGRADED.as_dict()["ids"]) == (None, None, [])
