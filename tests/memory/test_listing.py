"""Pages of memories, on both stores."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.core.models import MEMORY_TYPES, TURN, Owner
from proxy.memory.edge import EdgeStore
from proxy.memory.listing import Place, page
from proxy.memory.store import Entry, MemoryStore, Which
from tests.fakes import word_vector
from tests.memory.test_store_contract import NOW, memory

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")
TICK = timedelta(microseconds=1)
EVER = Which(past=True)


def entries(*moments: int, **fields: Any) -> list[Entry]:
    """One for each of *moments*, which are microseconds."""
    made = [memory(f"{n} at {moment}", created_at=NOW + moment * TICK, **fields) for n, moment in enumerate(moments)]
    return [Entry(each, word_vector(each.content)) for each in made]


def in_order(written: Sequence[Entry]) -> list[str]:
    """By time, the newest first, and of one moment by their ids."""
    by_id = sorted((each.memory for each in written), key=lambda each: each.id)
    return [each.id for each in sorted(by_id, key=lambda each: each.created_at, reverse=True)]


async def pages(store: MemoryStore, owner: Owner, limit: int, which: Which = EVER) -> list[list[str]]:
    found, after = [], None
    while True:
        one = await page(store, owner, which, limit=limit, after=after)
        found.append([each.id for each in one.memories])
        assert one.end == (None if one.end is None else Place(one.memories[-1].created_at, one.memories[-1].id))
        after = one.end
        if after is None:
            return found


def cut(ids: list[str], limit: int) -> list[list[str]]:
    return [ids[at : at + limit] for at in range(0, len(ids), limit)] or [[]]


FEW = {"none": [], "one": [0], "few": [*range(20)], "of one moment": [0] * 20, "threes": [n // 3 for n in range(40)]}
MANY = {"of one moment": [5] * 600, "in the middle": [*range(200), *[300] * 300, *range(301, 400)]}


async def check(store: MemoryStore, owner: Owner, other: Owner, moments: list[int], *limits: int) -> None:
    written = entries(*random.Random(1).sample(moments, len(moments)))
    await store.upsert(owner, written)
    await store.upsert(other, entries(0, 5, 300))
    for limit in limits:
        assert await pages(store, owner, limit) == cut(in_order(written), limit)


@pytest.mark.parametrize("moments", FEW.values(), ids=FEW)
async def test_nothing_comes_twice_and_nothing_is_left_out(both: MemoryStore, ann: Owner, ben: Owner, moments: list[int]) -> None:
    await check(both, ann, ben, moments, 1, 7, 20, 1000)


@pytest.mark.parametrize("moments", MANY.values(), ids=MANY)
async def test_nor_of_hundreds_that_an_import_made_in_one_moment(
    both: MemoryStore, ann: Owner, ben: Owner, moments: list[int]
) -> None:
    await check(both, ann, ben, moments, 250, 599, 1000)


async def test_pages_stay_right_while_memories_come_and_go(both: MemoryStore, ann: Owner) -> None:
    draw = random.Random(2)
    there = entries(*[draw.randrange(8) for _ in range(120)])
    await both.upsert(ann, there)
    stays, seen, after = {each.memory.id for each in there}, [], None
    while True:
        one = await page(both, ann, EVER, limit=10, after=after)
        seen += [each.id for each in one.memories]
        after = one.end
        if after is None:
            break
        gone = draw.sample(sorted(stays), 5)
        await both.delete(ann, gone)
        stays -= {*gone}
        await both.upsert(ann, entries(*[draw.randrange(9) for _ in range(5)]))
        edited = [
            replace(each, updated_at=NOW + timedelta(days=1)) for each in await both.get(ann, draw.sample(sorted(stays), 5))
        ]
        await both.revise(ann, edited)
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


async def test_filters_hold_on_every_page(both: MemoryStore, ann: Owner) -> None:
    facts, turns = entries(*[n // 4 for n in range(40)]), entries(*[n // 4 for n in range(40)], type=TURN)
    over = entries(*[n // 4 for n in range(40)], valid_until=NOW)
    for each in (facts, turns, over):
        await both.upsert(ann, each)
    since, until = NOW + 3 * TICK, NOW + 6 * TICK

    def between(*written: list[Entry]) -> list[str]:
        return in_order([each for some in written for each in some if since <= each.memory.created_at <= until])

    assert await pages(both, ann, 7, Which()) == cut(in_order(facts), 7)
    assert await pages(both, ann, 7, Which((TURN,))) == cut(in_order(turns), 7)
    everything = Which((*MEMORY_TYPES, TURN), past=True)
    assert await pages(both, ann, 7, everything) == cut(in_order([*facts, *turns, *over]), 7)
    assert await pages(both, ann, 7, Which(since=since, until=until)) == cut(between(facts), 7)
    # A cursor from elsewhere: behind the last, and before the first.
    assert (await page(both, ann, Which(since=since), limit=9, after=Place(NOW, ""))).memories == []
    first = await page(both, ann, Which(until=until), limit=99, after=Place(NOW + timedelta(days=1), ""))
    assert [each.id for each in first.memories] == in_order([each for each in facts if each.memory.created_at <= until])


async def test_a_large_page_keeps_nobody_waiting(edge: EdgeStore, ann: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    await edge.upsert(ann, entries(*range(1100)))
    asked: list[int] = []
    newest = type(edge).list

    async def counting(self: Any, owner: Owner, which: Which = EVER, *, limit: int) -> Any:
        found = await newest(self, owner, which, limit=limit)
        asked.append(len(found))
        return found

    monkeypatch.setattr(type(edge), "list", counting)
    assert len((await page(edge, ann, EVER, limit=1000)).memories) == 1000
    assert max(asked) <= 250
