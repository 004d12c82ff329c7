"""A clock that is set back while the proxy runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxy.core.models import TURN, Owner
from proxy.memory import clock
from proxy.memory.store import Which
from tests.faults.conftest import Obliging, stored


class MachineClock:
    """As it is, and *ahead* by so much."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    machine = MachineClock()
    monkeypatch.setattr(clock, "_CLOCK", clock.Clock(machine, clock.monotonic))
    return machine


async def test_what_was_told_before_the_clock_was_set_back_is_recalled_after(machine, start, client):
    proxy = await start(recall__keep_s=0)
    assert await client.chat(proxy, "tea") == "ok"
    assert await stored(proxy) == ["tea"]
    machine.ahead = -timedelta(days=1)
    assert await client.chat(proxy, "teas") == "ok"
    assert b"Likes tea" in proxy.model.seen[-2].body


async def test_what_ended_before_the_clock_was_set_back_stays_ended(machine, start, client):
    proxy = await start(recall__keep_s=0)
    assert await client.chat(proxy, "tea") == "ok"
    assert await stored(proxy) == ["tea"]
    machine.ahead = timedelta(days=1)
    proxy.model.handler = Obliging(proxy.model, '{"forget":["m1"]}').answer
    assert await client.chat(proxy, "teas") == "ok"
    assert await stored(proxy) == []
    machine.ahead = timedelta()
    assert await client.chat(proxy, "teas") == "ok"
    assert await stored(proxy) == []
    assert b"Likes tea" not in proxy.model.seen[-2].body


async def test_turns_told_while_the_clock_goes_back_keep_their_order(machine, start, client):
    proxy = await start(recall__keep_s=0)
    told = ["kiwis", "limes", "plums", "figs"]
    for liked in told:
        assert await client.chat(proxy, liked) == "ok"
        await stored(proxy)
        machine.ahead -= timedelta(hours=1)
    newest = await proxy.memory.store.list(Owner("ann"), Which((TURN,)), limit=9)
    assert [each.content for each in newest] == [f"I like {liked}" for liked in reversed(told)]
