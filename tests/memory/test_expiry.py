"""Telling of what ended by itself."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

from proxy.core.models import Memory
from proxy.errors import StoreError
from proxy.memory import clock
from proxy.memory.events import Events, Wanted
from proxy.memory.expiry import Expiry
from proxy.memory.retirement import retire
from proxy.memory.store import Entry, Records
from tests.fakes import word_vector
from tests.missing import MissingStore


def ending(content: str, until: datetime | None) -> Memory:
    past = clock.now() - timedelta(days=1)
    return Memory(str(uuid4()), content, past, past, valid_until=until)


def told(events: Events, listener) -> list[tuple[object, list[str]]]:
    return sorted((each.owner.user, sorted(each.ids)) for each in listener._waiting)


async def test_who_listens_is_told_of_each_memory_that_ends_by_itself_once(edge, ann, ben):
    events = Events()
    expiry = Expiry(edge, events)
    now = clock.now()
    over, later, ever, corrected = (ending("a", now), ending("b", now + timedelta(hours=1)), ending("c", None), ending("d", None))
    another = ending("e", clock.now())
    await edge.upsert(ann, [Entry(each, word_vector(each.content)) for each in (over, later, ever, corrected)])
    await edge.upsert(ben, [Entry(another, word_vector("e"))])
    await retire(edge, ann, [corrected], clock.now(), keep=())
    with events.listening(Wanted()) as listener:
        await expiry.look()
        assert told(events, listener) == sorted([(ann.user, [over.id]), (ben.user, [another.id])])
        listener._waiting.clear()
        await expiry.look()
        assert told(events, listener) == []


async def test_many_are_told_of_in_pieces(edge, ann):
    events = Events()
    expiry = Expiry(edge, events)
    now = clock.now()
    ended = [ending(f"number {n}", now) for n in range(1010)]
    await edge.upsert(ann, [Entry(each, word_vector(each.content)) for each in ended])
    with events.listening(Wanted(ann.user)) as listener:
        await expiry.look()
        ids = [id_ for each in listener._waiting for id_ in each.ids]
        assert max(len(each.ids) for each in listener._waiting) == 100
    assert sorted(ids) == sorted(each.id for each in ended)


async def test_while_nobody_listens_nobody_looks():
    await Expiry(MissingStore("is not to be asked"), Events()).look()


class Coming(MissingStore):
    """Fails once, then there is nothing; keeps which times it was asked about."""

    def __init__(self) -> None:
        super().__init__("away")
        self.asked: list[tuple[datetime, datetime]] = []
        self.enough = asyncio.Event()

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        self.asked.append((since, until))
        if len(self.asked) == 1:
            raise StoreError("away")
        if len(self.asked) == 2:
            raise ZeroDivisionError
        self.enough.set()
        return []


async def test_an_outage_is_made_up_for_and_ends_nothing(log):
    events, store = Events(), Coming()
    with events.listening(Wanted()):
        async with asyncio.timeout(30), Expiry(store, events, every_s=0.001).running():
            await store.enough.wait()
    first, second, third = store.asked[:3]
    assert first[0] == second[0] == third[0]
    assert [line["event"] for line in log] == ["expired memories can't be told of"]
