"""Limits to what one owner may have."""

import uuid
from dataclasses import replace

from proxy.core.models import Memory, Owner
from proxy.memory.growth import Growth
from proxy.memory.remember import Keeping
from proxy.memory.store import Entry, MemoryStore, Which
from tests.fakes import word_vector
from tests.memory.telling import ALL_TURNS, DAY, EVER, NOW, answer, contents, lines, tell


async def store(edge: MemoryStore, owner: Owner, *memories: Memory) -> None:
    await edge.upsert(owner, [Entry(each, word_vector(each.content)) for each in memories])


def memory(content: str, **fields: object) -> Memory:
    return Memory(str(uuid.uuid4()), content, NOW - DAY, NOW - DAY, **fields)


class Counting:
    """Counts how often the store is asked to count."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.asked = 0

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        self.asked += 1
        return await self._store.count(owner, which)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_the_least_valuable_goes_when_there_is_no_room(edge, embedder, ann, log):
    items = [{"content": f"Word {each}", "importance": each / 10} for each in range(6)]
    figures = await tell(
        edge, embedder, *(answer(ann, each, trace=str(each)) for each in items), options=Keeping(memories_per_user=4)
    )
    assert await contents(edge, ann, EVER) == ["Word 2", "Word 3", "Word 4", "Word 5"]
    assert figures.as_dict() == {"stored": 6, "dropped_for_room": 2}
    assert lines(log, "event", "log_level", "count", "limit", "dropped")[4] == ("dropped for room", "warning", 5, 4, 1)


async def test_versions_of_the_past_go_first(edge, ann):
    past = memory("Lived in Berlin", valid_until=NOW - DAY / 2, importance=1.0)
    await store(edge, ann, memory("Likes tea", importance=0.1), past, memory("Has a cat"))
    assert await Growth(edge, Which().types, 2).wrote(ann, 3, NOW) == 1
    assert await contents(edge, ann, EVER) == ["Has a cat", "Likes tea"]


async def test_one_in_twenty_goes_at_once(edge, ann):
    await store(edge, ann, *(memory(f"Word {each}", importance=each / 50) for each in range(41)))
    growth = Growth(edge, Which().types, 40)
    assert await growth.wrote(ann, 41, NOW) == 3
    assert await edge.count(ann, EVER) == 38


async def test_turns_have_a_limit_of_their_own(edge, embedder, ann):
    told = [answer(ann, f"Word {each}", text=f"Message {each}", at=NOW - (9 - each) * DAY) for each in range(6)]
    figures = await tell(edge, embedder, *told, options=Keeping(turns_per_user=3))
    assert await contents(edge, ann, ALL_TURNS) == ["Message 3", "Message 4", "Message 5"]
    assert await edge.count(ann, EVER) == 6
    assert figures.as_dict() == {"stored": 6, "turns": 6, "dropped_for_room": 3}


async def test_one_owners_limit_is_not_anothers(edge, embedder, ann, ben):
    told = [answer(owner, f"Word {each}", trace=str(each)) for owner in (ann, ben) for each in range(3)]
    figures = await tell(edge, embedder, *told, options=Keeping(memories_per_user=3))
    assert figures.as_dict() == {"stored": 6}


async def test_nobody_is_contradicted_by_what_went(edge, ann):
    two, three, four = (memory(f"Has {count} cats", importance=count / 10) for count in (2, 3, 4))
    rivals = {two.id: (three.id, four.id), three.id: (two.id, four.id), four.id: (two.id, three.id)}
    await store(edge, ann, *(replace(each, conflicts=rivals[each.id]) for each in (two, three, four)))
    assert await Growth(edge, Which().types, 2).wrote(ann, 3, NOW) == 1
    assert {each.id: each.conflicts for each in await edge.list(ann, limit=9)} == {three.id: (four.id,), four.id: (three.id,)}


async def test_an_owner_is_counted_when_the_room_may_be_used_up(edge, ann):
    counting = Counting(edge)
    growth = Growth(counting, Which().types, 5)
    for number in range(8):
        await store(edge, ann, memory(f"Word {number}"))
        await growth.wrote(ann, 1, NOW)
        assert await growth.wrote(ann, 0, NOW) == 0
    assert await edge.count(ann, EVER) == 5
    assert counting.asked == 4


async def test_an_owner_with_much_room_is_counted_now_and_then(edge, ann):
    counting = Counting(edge)
    growth = Growth(counting, Which().types, 10_000)
    for _ in range(131):
        await growth.wrote(ann, 1, NOW)
    assert counting.asked == 3


async def test_only_so_many_owners_are_known_by_heart(edge, monkeypatch):
    monkeypatch.setattr("proxy.memory.growth._MAX_OWNERS", 2)
    counting = Counting(edge)
    growth = Growth(counting, Which().types, 10_000)
    for name in ("ann", "ben", "cal", "cal", "ben", "ann"):
        await growth.wrote(Owner(name, "test_growth"), 1, NOW)
    assert counting.asked == 4
