"""What every store does. One suite, run on each implementation."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from qdrant_client import AsyncQdrantClient

from proxy import config
from proxy.core import places
from proxy.core.models import KEYED, MEMORY_TYPES, TURN, Memory, Owner
from proxy.errors import StoreError
from proxy.memory.edge import Bm25Encoder, open_edge
from proxy.memory.qdrant import QdrantStore
from proxy.memory.store import Entry, Kept, MemoryStore, Query, Which
from tests.fakes import Found, Sight, look

DIMENSIONS = 8
NOW = datetime(2026, 3, 1, 12, 30, 15, 123457, tzinfo=UTC)
ANN = Owner("ann")
BEN = Owner("ben")
LOOK_ALIKES = [
    Owner("u1"),
    Owner("u10"),
    Owner("U1"),
    Owner("u1 "),
    Owner("ú1"),
    Owner("u\u03011"),
    Owner("*"),
    Owner("everyone"),
    Owner("c", tenant="a b"),
    Owner("b c", tenant="a"),
    Owner("a", tenant="b c"),
    Owner("default"),
    Owner("u1", tenant=""),
    Owner("u1", tenant="other"),
]

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


@pytest.fixture(params=["edge", "qdrant"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    if request.param == "edge":
        async with open_edge(config.Store(path=str(tmp_path)), DIMENSIONS, Bm25Encoder()) as edge:
            yield edge
    else:
        client = AsyncQdrantClient(":memory:")
        yield QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder())
        await client.close()


def vector(seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return unit([draw.gauss(0, 1) for _ in range(DIMENSIONS)])


def unit(values: Sequence[float]) -> list[float]:
    length = math.hypot(*values)
    return [value / length for value in values]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def memory(content: str = "Likes tea", **fields: object) -> Memory:
    values = {"id": str(uuid4()), "content": content, "created_at": NOW, "updated_at": NOW} | fields
    return Memory(**values)  # type: ignore[arg-type]


def entry(content: str = "Likes tea", *, seed: int = 0, **fields: object) -> Entry:
    return Entry(memory(content, **fields), vector(seed))


def contents(found: Sequence[Memory | Found]) -> list[str]:
    return [each.memory.content if isinstance(each, Found) else each.content for each in found]


async def everything(store: MemoryStore, owner: Owner, written: Entry) -> dict[str, object]:
    """What *owner* gets from each call, when looking for what is in *written*."""
    hits = await look(store, owner, Query(written.memory.content, written.vector), limit=100)
    return {
        "dense": contents(hits.dense),
        "sparse": contents(hits.sparse),
        "get": contents(await store.get(owner, [written.memory.id])),
        "find": contents(await store.find(owner, [written.memory.content])),
        "list": contents(await store.list(owner, limit=100)),
        "count": await store.count(owner),
    }


NOTHING = {"dense": [], "sparse": [], "get": [], "find": [], "list": [], "count": 0}
ALL = Which((*MEMORY_TYPES, TURN), past=True)


async def seen(store: MemoryStore, owner: Owner, text: str, **query: object) -> list[str]:
    """What *owner* finds by the words of *text*: memories, then turns."""
    sight = await look(store, owner, replace(Query(text, None), **query), limit=100)  # type: ignore[arg-type]
    return [*sorted(contents(sight.sparse)), *sorted(contents(sight.turns_sparse))]


async def test_every_field_comes_back_as_it_was_written(store: MemoryStore) -> None:
    written = Memory(
        id=str(uuid4()),
        content='Läuft um 6 Uhr früh 🏃‍♀️, "immer";\n\t東京 \\ <memory> \x7f e\u0301',
        created_at=NOW,
        updated_at=NOW + timedelta(microseconds=1),
        type="preference",
        importance=0.875,
        scope="session",
        session="sitzung-ü",
        metadata={"a": [1, 2.5, None, True, {"b": {"c": "d", "": []}}], "big": 2**53 + 1, "neg": -7},
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW.replace(year=2999),
        replaces=str(uuid4()),
        conflicts=(str(uuid4()), str(uuid4())),
        access_count=3,
        last_accessed_at=NOW + timedelta(days=1, microseconds=999),
        flagged=True,
        source="api",
        trace=uuid4().hex,
        model="scripted/1",
        turns=(str(uuid4()),),
        speaker="Jörg",
        reply="Gern! 🏃‍♀️",
        key="laufzeit",
    )
    bare = memory("Only what must be")
    await store.upsert(ANN, [Entry(written, vector(1)), Entry(bare, vector(2))])
    assert await store.get(ANN, [written.id, bare.id]) == [written, bare]
    assert await store.find(ANN, [written.content]) == [written]
    hits = await look(store, ANN, Query(written.content, vector(1), session=written.session), limit=1)
    assert [hit.memory for hit in (*hits.dense, *hits.sparse)] == [written, written]


async def test_times_of_another_zone_come_back_as_the_same_moment(store: MemoryStore) -> None:
    zoned = datetime.fromisoformat("2026-03-01T23:59:59.000001+05:30")
    written = memory(created_at=zoned, valid_until=zoned.replace(year=2999))
    await store.upsert(ANN, [Entry(written, vector())])
    assert await store.get(ANN, [written.id]) == [written]


async def test_the_nearest_come_first_with_their_cosine(store: MemoryStore) -> None:
    entries = [entry(f"memory {n}", seed=n) for n in range(40)]
    await store.upsert(ANN, entries)
    query = vector(1000)
    expected = sorted(entries, key=lambda each: -cosine(query, each.vector))[:10]
    found = (await look(store, ANN, Query("", query), limit=10)).dense
    assert [hit.memory for hit in found] == [each.memory for each in expected]
    assert [hit.score for hit in found] == pytest.approx([cosine(query, each.vector) for each in expected], abs=1e-5)


async def test_a_rare_word_is_found_in_any_form(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry("Her sister repairs old bicycles", seed=1), entry("Her sister repairs clocks", seed=2)])
    found = (await look(store, ANN, Query("Did she buy a BICYCLE?", None), limit=5)).sparse
    assert contents(found) == ["Her sister repairs old bicycles"]


async def test_a_rarer_word_counts_for_more(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry(f"drinks coffee on day{n}", seed=n) for n in range(20)])
    await store.upsert(ANN, [entry("keeps a giraffe", seed=30)])
    found = (await look(store, ANN, Query("coffee giraffe", None), limit=3)).sparse
    assert contents(found)[0] == "keeps a giraffe"
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


async def test_without_a_vector_only_words_are_looked_for(store: MemoryStore) -> None:
    written = entry("Plays the oboe")
    await store.upsert(ANN, [written])
    hits = await look(store, ANN, Query("oboe", None), limit=5)
    assert hits == Sight(dense=[], sparse=[Found(written.memory, hits.sparse[0].score)])


async def test_without_words_only_the_vector_is_looked_for(store: MemoryStore) -> None:
    written = entry("Plays the oboe")
    await store.upsert(ANN, [written])
    hits = await look(store, ANN, Query("is it the", written.vector), limit=5)
    assert (contents(hits.dense), hits.sparse) == (["Plays the oboe"], [])


@pytest.mark.parametrize("text", ["", "is it the", "?!"])
async def test_a_query_of_nothing_finds_nothing(store: MemoryStore, text: str) -> None:
    await store.upsert(ANN, [entry()])
    assert await look(store, ANN, Query(text, None), limit=5) == Sight([], [])


async def test_half_a_surrogate_pair_does_not_hide_the_other_words(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry("Plays the oboe")])
    assert contents((await look(store, ANN, Query("\ud83d oboe", None), limit=5)).sparse) == ["Plays the oboe"]


async def test_content_that_is_no_text_is_refused(store: MemoryStore) -> None:
    with pytest.raises(StoreError, match="surrogate"):
        await store.upsert(ANN, [entry("good"), entry("half a pair: \ud83d")])
    assert await store.count(ANN) == 0


async def test_an_empty_store_answers_everything(store: MemoryStore) -> None:
    assert await everything(store, ANN, entry()) == NOTHING
    assert await store.delete(ANN, [str(uuid4())]) == 0
    assert await store.count(None) == 0
    await store.touch()


async def test_no_ids_contents_or_entries_are_fine(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry()])
    await store.upsert(ANN, [])
    assert await store.get(ANN, []) == []
    assert await store.find(ANN, []) == []
    assert await store.delete(ANN, []) == 0
    assert await store.count(ANN) == 1


@pytest.mark.parametrize("owner", LOOK_ALIKES, ids=repr)
async def test_an_owner_sees_nothing_of_a_look_alike(store: MemoryStore, owner: Owner) -> None:
    others = [each for each in LOOK_ALIKES if each != owner]
    written = entry("The same words for all")
    for other in others:
        await store.upsert(other, [Entry(replace(written.memory, id=str(uuid4())), written.vector)])
    assert await everything(store, owner, written) == NOTHING
    await store.upsert(owner, [written])
    only = [written.memory.content]
    assert await everything(store, owner, written) == {
        "dense": only, "sparse": only, "get": only, "find": only, "list": only, "count": 1,
    }  # fmt: skip
    assert await store.count(None) == len(LOOK_ALIKES)


async def test_an_id_opens_nothing_to_another_owner(store: MemoryStore) -> None:
    written = {owner: entry(f"memory of {owner}", seed=n) for n, owner in enumerate(LOOK_ALIKES)}
    for owner, each in written.items():
        await store.upsert(owner, [each])
    for thief, owner in permutations(LOOK_ALIKES, 2):
        theirs = written[owner].memory
        assert await store.get(thief, [theirs.id]) == []
        assert await store.delete(thief, [theirs.id]) == 0
    assert [await store.get(owner, [each.memory.id]) for owner, each in written.items()] == [
        [each.memory] for each in written.values()
    ]


async def test_an_id_of_another_owner_is_refused_and_stays_theirs(store: MemoryStore) -> None:
    theirs = entry("Ann's")
    await store.upsert(ANN, [theirs])
    with pytest.raises(StoreError, match="belongs to another owner"):
        await store.upsert(BEN, [entry("Ben's"), Entry(replace(theirs.memory, content="stolen"), theirs.vector)])
    assert await store.list(ANN, limit=10) == [theirs.memory]
    assert await store.list(BEN, limit=10) == []


async def test_the_same_id_again_replaces_all_of_it(store: MemoryStore) -> None:
    old = entry("Lives in Oslo", seed=1, session="s", metadata={"a": 1}, valid_until=NOW.replace(year=2999))
    new = Entry(memory("Lives in Bergen", id=old.memory.id), vector(2))
    await store.upsert(ANN, [old])
    await store.upsert(ANN, [new])
    assert await store.list(ANN, limit=10) == [new.memory]
    assert await store.find(ANN, ["Lives in Oslo"]) == []
    hits = await look(store, ANN, Query("Oslo", new.vector), limit=10)
    assert (hits.sparse, [round(hit.score, 5) for hit in hits.dense]) == ([], [1.0])


async def test_of_one_id_twice_in_a_call_the_last_stays(store: MemoryStore) -> None:
    first, last = entry("first"), entry("last")
    await store.upsert(ANN, [first, Entry(replace(last.memory, id=first.memory.id), last.vector)])
    assert contents(await store.list(ANN, limit=10)) == ["last"]


async def test_get_answers_in_the_order_asked_each_once(store: MemoryStore) -> None:
    entries = [entry(f"memory {n}") for n in range(5)]
    await store.upsert(ANN, entries)
    ids = [each.memory.id for each in entries]
    asked = [ids[3], ids[1], str(uuid4()), ids[3], ids[4]]
    assert contents(await store.get(ANN, asked)) == ["memory 3", "memory 1", "memory 4"]


@pytest.mark.parametrize("odd", ["", "m3", "0", "../x", "\x00", "\ud83d", "x" * 5000, str(UUID(int=7)).replace("-", "")])
async def test_an_id_that_is_no_uuid_finds_nothing_and_is_not_written(store: MemoryStore, odd: str) -> None:
    await store.upsert(ANN, [entry(id=str(UUID(int=7)))])
    assert await store.get(ANN, [odd]) == []
    assert await store.delete(ANN, [odd]) == 0
    with pytest.raises(StoreError, match="not a UUID"):
        await store.upsert(ANN, [entry(id=odd)])
    assert await store.count(ANN) == 1


@pytest.mark.parametrize("bad", [[1.0] * 7, [1.0] * 9, [], [math.nan] * 8, [math.inf] + [0.0] * 7])
async def test_a_vector_of_the_wrong_kind_is_refused_whole(store: MemoryStore, bad: list[float]) -> None:
    with pytest.raises(StoreError, match="has a vector"):
        await store.upsert(ANN, [entry("good"), Entry(memory("bad"), bad)])
    assert await store.count(ANN) == 0


async def test_a_query_vector_of_the_wrong_size_is_a_store_error(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry()])
    with pytest.raises(StoreError):
        await look(store, ANN, Query("tea", [1.0] * 9), limit=5)


async def test_delete_removes_what_is_named_and_says_how_many(store: MemoryStore) -> None:
    entries = [entry(f"memory {n}") for n in range(4)]
    await store.upsert(ANN, entries)
    ids = [each.memory.id for each in entries]
    assert await store.delete(ANN, [ids[0], ids[2], ids[2], str(uuid4())]) == 2
    assert await store.delete(ANN, [ids[0]]) == 0
    assert sorted(contents(await store.list(ANN, limit=10))) == ["memory 1", "memory 3"]


async def test_erasing_takes_all_that_an_owner_has_and_nothing_of_anybody_else(store: MemoryStore) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    kinds = [{}, {"type": TURN}, {"valid_until": past}, {"type": TURN, "valid_until": past}, {"scope": "session", "session": "s"}]
    written = {
        owner: [entry(f"tea for {owner} {n}", **fields) for n, fields in enumerate(kinds)] for owner in [ANN, *LOOK_ALIKES]
    }
    shared = entry("The office opens at nine", scope="global")
    for owner, entries in written.items():
        await store.upsert(owner, entries)
    await store.upsert(ANN.everyone, [shared])
    assert await store.erase(ANN) == len(kinds)
    assert await store.erase(ANN) == 0
    assert await store.list(ANN, ALL, limit=100) == await store.get(ANN, [each.memory.id for each in written[ANN]]) == []
    assert await seen(store, ANN, "tea", session="s", turns=True) == []
    assert await store.count(None) == len(kinds) * len(LOOK_ALIKES) + 1
    assert await store.list(ANN.everyone, ALL, limit=2) == [shared.memory]
    await store.upsert(ANN, written[ANN])
    assert await store.count(ANN, ALL) == len(kinds)


async def test_purging_changes_nothing_that_can_be_seen(store: MemoryStore) -> None:
    kept, gone = entry("Likes tea", metadata={"a": [1]}, session="s"), entry("Likes coffee", seed=1)
    await store.upsert(ANN, [kept, gone])
    await store.upsert(BEN, [entry("Likes cocoa", seed=2)])
    await store.purge()
    await store.delete(ANN, [gone.memory.id])
    before = await everything(store, ANN, kept)
    await store.purge()
    assert await everything(store, ANN, kept) == before
    assert await store.get(ANN, [kept.memory.id, gone.memory.id]) == [kept.memory]
    await store.upsert(ANN, [gone])
    assert await store.count(None) == 3


async def test_an_expired_memory_is_found_by_its_id_and_where_the_past_is_asked_for(store: MemoryStore) -> None:
    past, future = datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(hours=1)
    expired = entry("Lives in Oslo", valid_until=past)
    await store.upsert(ANN, [expired])
    assert await everything(store, ANN, expired) == NOTHING | {"get": ["Lives in Oslo"]}
    also_past = Which(past=True)
    assert await store.find(ANN, ["Lives in Oslo"], also_past) == [expired.memory]
    assert await store.list(ANN, also_past, limit=10) == [expired.memory]
    assert await store.count(ANN, also_past) == await store.count(None) == 1
    await store.upsert(ANN, [Entry(replace(expired.memory, valid_until=future), expired.vector)])
    assert (await everything(store, ANN, expired))["dense"] == ["Lives in Oslo"]


@pytest.mark.parametrize("type_", [*MEMORY_TYPES, "of another kind"])
async def test_turns_are_lists_of_their_own_and_only_if_asked_for(store: MemoryStore, type_: str) -> None:
    memory_, turn = entry("Likes oolong tea", seed=1, type=type_), entry("I like oolong tea", seed=2, type=TURN)
    await store.upsert(ANN, [memory_, turn])
    without = await look(store, ANN, Query("oolong", vector()), limit=5)
    assert [contents(hits) for hits in (without.dense, without.sparse)] == [["Likes oolong tea"]] * 2
    assert (without.turns_dense, without.turns_sparse) == ([], [])
    both = await look(store, ANN, Query("oolong", vector(), turns=True), limit=5)
    assert (both.dense, contents(both.sparse)) == (without.dense, ["Likes oolong tea"])
    assert [contents(hits) for hits in (both.turns_dense, both.turns_sparse)] == [["I like oolong tea"]] * 2


async def test_a_limit_holds_for_turns_and_memories_each(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry(f"tea number {n}", seed=n, type=TURN if n % 2 else "semantic") for n in range(10)])
    sight = await look(store, ANN, Query("tea", vector(), turns=True), limit=3)
    assert [len(hits) for hits in (sight.dense, sight.sparse, sight.turns_dense, sight.turns_sparse)] == [3, 3, 3, 3]


async def test_a_turn_is_found_by_who_said_it_and_when(store: MemoryStore) -> None:
    turns = [entry("Bought a kayak", type=TURN, speaker=speaker, created_at=NOW) for speaker in ("Caroline", None)]
    await store.upsert(ANN, turns)
    for words in ("Caroline", "2026"):
        found = (await look(store, ANN, Query(words, None, turns=True), limit=5)).turns_sparse
        assert [hit.memory for hit in found] == [turns[0].memory]


async def test_a_search_sees_what_held_at_the_time(store: MemoryStore) -> None:
    moved = NOW + timedelta(days=30)
    old = entry("Lives in Oslo", seed=1, valid_until=moved)
    new = entry("Lives in Bergen", seed=2, created_at=moved, replaces=old.memory.id)
    told_late = entry("Lives in a boat", seed=3, created_at=moved, valid_from=NOW + timedelta(days=1), valid_until=moved)
    await store.upsert(ANN, [old, new, told_late])
    moment = timedelta(microseconds=1)
    expected = {
        NOW - moment: [],
        NOW: ["Lives in Oslo"],
        NOW + timedelta(days=1): ["Lives in Oslo", "Lives in a boat"],
        moved - moment: ["Lives in Oslo", "Lives in a boat"],
        moved: ["Lives in Bergen"],
        None: ["Lives in Bergen"],
    }
    assert {time: await seen(store, ANN, "lives", as_of=time) for time in expected} == expected
    assert all(each.memory.holds_at(NOW) == (each is old) for each in (old, new, told_late))


async def test_a_turn_that_expired_is_found_no_more(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry("Bought a kayak", type=TURN, valid_until=NOW)])
    assert await seen(store, ANN, "kayak", turns=True) == []
    assert await seen(store, ANN, "kayak", turns=True, as_of=NOW - timedelta(days=1)) == []
    await store.upsert(ANN, [entry("Sold a kayak", type=TURN, valid_until=NOW + timedelta(days=1))])
    assert await seen(store, ANN, "kayak", turns=True, as_of=NOW) == ["Sold a kayak"]


async def test_what_is_for_one_session_is_found_in_no_other(store: MemoryStore) -> None:
    only = entry("tea for s1 only", session="s1", scope="session")
    await store.upsert(ANN, [only, entry("tea for none", scope="session"), entry("tea said in s1", session="s1"), entry("tea")])
    assert await seen(store, ANN, "tea", session="s1") == ["tea", "tea for s1 only", "tea said in s1"]
    for session in ("s2", "S1", "", None):
        assert await seen(store, ANN, "tea", session=session) == ["tea", "tea said in s1"]


async def test_what_a_tenant_shares_is_seen_by_all_its_users_and_by_nobody_else(store: MemoryStore) -> None:
    others = [owner for owner in LOOK_ALIKES if owner.tenant != ANN.tenant]
    shared = entry("The office opens at nine", scope="global")
    own = entry("Ann's office", seed=1)
    await store.upsert(ANN.everyone, [shared])
    await store.upsert(ANN, [own])
    for owner in [each for each in LOOK_ALIKES if each.tenant == ANN.tenant]:
        found = await look(store, owner, Query("office", shared.vector, turns=True), limit=5)
        assert [contents(hits) for hits in (found.dense, found.sparse)] == [["The office opens at nine"]] * 2
        assert await store.get(owner, [shared.memory.id]) == [shared.memory]
    both = ["Ann's office", "The office opens at nine"]
    assert await seen(store, ANN, "office") == both
    assert sorted(contents(await store.list(ANN, Which(shared=True), limit=5))) == both
    assert await store.find(ANN, ["the office opens at nine"], Which(shared=True)) == [shared.memory]
    assert await store.count(ANN, Which(shared=True)) == 2
    for owner in [*others, *(each.everyone for each in others)]:
        assert await everything(store, owner, shared) == NOTHING
        assert await store.list(owner, Which(shared=True), limit=5) == []


async def test_what_is_shared_is_not_among_the_own_unless_asked_for(store: MemoryStore) -> None:
    shared = entry("The office opens at nine", scope="global")
    await store.upsert(ANN.everyone, [shared])
    assert await store.list(ANN, limit=5) == await store.find(ANN, [shared.memory.content]) == []
    assert (await store.count(ANN), await store.count(ANN.everyone)) == (0, 1)
    only = [shared.memory.content]
    assert await everything(store, ANN.everyone, shared) == {
        "dense": only, "sparse": only, "get": only, "find": only, "list": only, "count": 1,
    }  # fmt: skip


async def test_only_the_best_of_own_and_shared_are_within_the_limit(store: MemoryStore) -> None:
    entries = [entry(f"tea number {n}", seed=n) for n in range(6)]
    await store.upsert(ANN, entries[::2])
    await store.upsert(ANN.everyone, entries[1::2])
    query = vector(1000)
    expected = sorted(entries, key=lambda each: -cosine(query, each.vector))[:4]
    sight = await look(store, ANN, Query("tea", query), limit=4)
    assert contents(sight.dense) == [each.memory.content for each in expected]
    assert len(sight.sparse) == 4


async def test_a_user_changes_nothing_that_is_shared(store: MemoryStore) -> None:
    shared = entry("The office opens at nine", scope="global")
    await store.upsert(ANN.everyone, [shared])
    await store.revise(ANN, [replace(shared.memory, importance=0.0)])
    assert await store.delete(ANN, [shared.memory.id]) == 0
    with pytest.raises(StoreError, match="belongs to another owner"):
        await store.upsert(ANN, [shared])
    assert await store.list(ANN.everyone, limit=5) == [shared.memory]
    await store.revise(ANN.everyone, [replace(shared.memory, importance=1.0)])
    assert [each.importance for each in await store.get(BEN, [shared.memory.id])] == [1.0]
    assert await store.delete(ANN.everyone, [shared.memory.id]) == 1


async def test_a_revision_changes_all_but_the_vectors(store: MemoryStore) -> None:
    old = entry("Plays the oboe", seed=1, session="s", scope="session", metadata={"a": {"b": 1}}, flagged=True, conflicts=("x",))
    beside = entry("Plays chess", seed=2)
    await store.upsert(ANN, [old, beside])
    new = replace(
        memory(old.memory.content, id=old.memory.id), type="preference", importance=1.0, access_count=2, last_accessed_at=NOW
    )
    await store.revise(ANN, [new])
    assert await store.get(ANN, [new.id, beside.memory.id]) == [new, beside.memory]
    assert contents(await store.list(ANN, Which(("preference",)), limit=5)) == ["Plays the oboe"]
    assert await store.list(ANN, Which(session="s"), limit=5) == []
    sight = await look(store, ANN, Query("oboe", old.vector), limit=5)
    assert (sight.dense[0].memory, sight.dense[0].score) == (new, pytest.approx(1.0, abs=1e-5))
    assert [hit.memory for hit in sight.sparse] == [new]


async def test_a_memory_that_a_revision_ends_is_recalled_no_more(store: MemoryStore) -> None:
    written = entry("Lives in Oslo")
    await store.upsert(ANN, [written])
    await store.revise(ANN, [replace(written.memory, valid_until=NOW + timedelta(days=1))])
    assert await everything(store, ANN, written) == NOTHING | {"get": ["Lives in Oslo"]}
    assert await seen(store, ANN, "Oslo", as_of=NOW) == ["Lives in Oslo"]


async def test_a_revision_leaves_out_what_the_owner_has_not(store: MemoryStore) -> None:
    mine, theirs = entry("Ben's", seed=1), entry("Ann's", seed=2)
    await store.upsert(BEN, [mine])
    await store.upsert(ANN, [theirs])
    unknown = [memory("stolen", id=id_) for id_ in (theirs.memory.id, str(uuid4()), "m3", "", str(UUID(int=7).hex))]
    await store.revise(BEN, [*unknown, replace(mine.memory, importance=1.0), *unknown])
    await store.revise(BEN, [])
    assert await store.list(ANN, ALL, limit=5) == [theirs.memory]
    assert await store.list(BEN, ALL, limit=5) == [replace(mine.memory, importance=1.0)]
    assert await store.count(None) == 2


async def test_a_thousand_can_be_revised_in_one_call_and_of_one_id_the_last_stays(store: MemoryStore) -> None:
    entries = [entry(f"memory {n}", seed=n) for n in range(300)]
    await store.upsert(ANN, entries)
    for count in (1, 2):
        await store.revise(ANN, [replace(each.memory, access_count=n) for n in (0, count) for each in entries])
        assert {each.access_count for each in await store.list(ANN, limit=1000)} == {count}


async def test_which_names_types_session_and_past(store: MemoryStore) -> None:
    fields: dict[str, dict[str, object]] = {
        "fact": {},
        "preference": {"type": "preference"},
        "fact in s": {"session": "s"},
        "past fact": {"valid_until": NOW + timedelta(days=1)},
        "unknown": {"type": "of another kind"},
        "turn in s": {"type": TURN, "session": "s"},
        "past turn": {"type": TURN, "session": "t", "valid_until": NOW},
    }
    written = [entry(name, created_at=NOW - timedelta(days=n), **each) for n, (name, each) in enumerate(fields.items())]
    await store.upsert(ANN, written)
    expected = {
        Which(): ["fact", "preference", "fact in s", "unknown"],
        Which(past=True): ["fact", "preference", "fact in s", "past fact", "unknown"],
        Which(("preference", "procedural")): ["preference"],
        Which((TURN,)): ["turn in s"],
        Which((TURN,), past=True): ["turn in s", "past turn"],
        Which((TURN,), session="s", past=True): ["turn in s"],
        Which(session="s"): ["fact in s"],
        Which(session=""): [],
        Which((*MEMORY_TYPES, TURN), session="s"): ["fact in s", "turn in s"],
        ALL: list(fields),
        Which(()): [],
    }
    listed = {which: contents(await store.list(ANN, which, limit=100)) for which in expected}
    assert listed == expected
    assert [await store.count(ANN, which) for which in expected] == [len(each) for each in expected.values()]
    for which, names in expected.items():
        assert sorted(contents(await store.find(ANN, list(fields), which))) == sorted(names)


async def test_which_names_times_importance_and_the_key_of_a_fact(store: MemoryStore) -> None:
    def at(day: int) -> datetime:
        return NOW + timedelta(days=day)

    written = [
        entry("first", created_at=at(0), importance=0.2, valid_until=at(1)),
        entry("second", created_at=at(2), importance=0.5, type=KEYED, key="name"),
        entry("third", created_at=at(4), importance=0.9, valid_from=at(-9)),
    ]
    await store.upsert(ANN, written)
    await store.upsert(BEN, [entry("another's", created_at=at(2), importance=0.9, type=KEYED, key="name")])
    expected = {
        Which(since=at(2)): ["third", "second"],
        Which(since=at(2) + timedelta(microseconds=1)): ["third"],
        Which(until=at(2)): ["second"],
        Which(until=at(2), past=True): ["second", "first"],
        Which(until=at(2) - timedelta(microseconds=1), past=True): ["first"],
        Which(since=at(0), until=at(3), past=True): ["second", "first"],
        Which(as_of=at(0)): ["third", "first"],
        Which(as_of=at(1)): ["third"],
        Which(as_of=at(3)): ["third", "second"],
        Which(min_importance=0.5): ["third", "second"],
        Which(min_importance=0.6): ["third"],
        Which(key="name"): ["second"],
        Which(key="Name"): [],
    }
    assert {which: contents(await store.list(ANN, which, limit=9)) for which in expected} == expected
    assert [await store.count(ANN, which) for which in expected] == [len(each) for each in expected.values()]


async def test_a_search_keeps_to_types_times_and_importance(store: MemoryStore) -> None:
    await store.upsert(
        ANN,
        [
            entry("tea of old", created_at=NOW - timedelta(days=9)),
            entry("tea now", created_at=NOW, type="preference", importance=0.9),
            entry("tea turn", created_at=NOW, type=TURN),
        ],
    )
    assert await seen(store, ANN, "tea", since=NOW) == ["tea now"]
    assert await seen(store, ANN, "tea", until=NOW - timedelta(days=1)) == ["tea of old"]
    assert await seen(store, ANN, "tea", types=("preference",)) == ["tea now"]
    assert await seen(store, ANN, "tea", min_importance=0.8) == ["tea now"]
    assert await seen(store, ANN, "tea", since=NOW, turns=True) == ["tea now", "tea turn"]


async def test_the_operator_learns_whose_memories_are(store: MemoryStore) -> None:
    owners = [Owner("ann"), Owner("", "a b"), Owner("ben\u0301", "t")]
    written = [entry(owner.user or "everyone's") for owner in owners]
    for owner, each in zip(owners, written, strict=True):
        await store.upsert(owner, [each])
    ids = [each.memory.id for each in written]
    assert await store.owners_of([*ids, str(uuid4()), "no id", ""]) == dict(zip(ids, owners, strict=True))
    assert await store.owners_of([]) == {}


async def test_the_operator_reads_everything_once_in_pieces(store: MemoryStore) -> None:
    owners = [ANN, BEN, Owner("ann", "other")]
    written = {owner: [entry(f"{owner.key} {n}", seed=n) for n in range(300)] for owner in owners}
    for owner, entries in written.items():
        await store.upsert(owner, entries)

    async def scan(limit: int, **options: object) -> list[Kept]:
        found: list[Kept] = []
        while some := await store.scan(found[-1].memory.id if found else None, limit=limit, **options):  # type: ignore[arg-type]
            assert len(some) <= limit
            found += some
        return found

    def kept(*whose: Owner) -> list[Kept]:
        return sorted((Kept(o, each.memory) for o in whose for each in written[o]), key=lambda each: each.memory.id)

    assert await scan(271) == kept(*owners)
    assert await scan(1000, whose="other") == kept(owners[2])
    assert await scan(250, whose=ANN) == kept(ANN)
    vectors = {each.memory.id: each.vector for entries in written.values() for each in entries}
    for each in await scan(700, vectors=True):
        assert each.vector == pytest.approx(vectors[each.memory.id], abs=1e-6)
    assert await store.scan(None, limit=5, whose="nobody's") == []


async def test_the_operator_reads_what_ended_in_a_time_once_in_pieces(store: MemoryStore) -> None:
    def at(seconds: int) -> datetime:
        return NOW + timedelta(seconds=seconds)

    owners = [ANN, Owner("ann", "other"), ANN.everyone]
    written = {owner: [entry(f"{n}", valid_until=at(n // 10)) for n in range(50)] for owner in owners}
    for owner, entries in written.items():
        await store.upsert(owner, [*entries, entry("for ever")])
    found: list[Kept] = []
    while some := await store.expired(at(1), at(3), found[-1].memory.id if found else None, limit=17):
        assert len(some) <= 17
        found += some
    ended = [Kept(owner, each.memory) for owner in owners for each in written[owner][20:40]]
    assert found == sorted(ended, key=lambda each: each.memory.id)
    assert await store.expired(at(9), at(99), None, limit=9) == []


async def test_turns_are_got_by_the_ids_of_their_neighbours(store: MemoryStore) -> None:
    talk = places.conversation(ANN, "s1")
    turns = [entry(f"turn {n}", id=places.turn_id(talk, n), type=TURN, created_at=NOW + timedelta(days=n)) for n in range(4)]
    said = entry("Likes tea", id=places.memory_id(turns[1].memory.id, "Likes tea"), turns=(turns[1].memory.id,))
    elsewhere = entry("turn 0 of s2", id=places.turn_id(places.conversation(ANN, "s2"), 0), type=TURN)
    await store.upsert(ANN, [*turns, said, elsewhere])
    [found] = (await look(store, ANN, Query("tea", None), limit=5)).sparse
    assert found.memory == said.memory
    around = [places.beside(places.turn_of(found.memory.id), by) or "" for by in (-2, -1, 0, 1)]
    assert contents(await store.get(ANN, around)) == ["turn 0", "turn 1", "turn 2"]
    assert await store.get(BEN, around) == []


async def test_list_is_newest_first_to_the_microsecond(store: MemoryStore) -> None:
    moments = [NOW + timedelta(microseconds=n) for n in range(20)] + [NOW.replace(year=1999), NOW.replace(year=2100)]
    entries = [entry(moment.isoformat(), created_at=moment) for moment in random.Random(1).sample(moments, len(moments))]
    await store.upsert(ANN, entries)
    expected = [moment.isoformat() for moment in sorted(moments, reverse=True)]
    assert contents(await store.list(ANN, limit=100)) == expected
    assert contents(await store.list(ANN, limit=7)) == expected[:7]


async def test_a_long_list_is_newest_first_too(store: MemoryStore) -> None:
    moments = [NOW + timedelta(seconds=n) for n in random.Random(1).sample(range(600), 600)]
    await store.upsert(ANN, [entry(moment.isoformat(), created_at=moment) for moment in moments])
    await store.upsert(BEN, [entry("another's")])
    expected = [moment.isoformat() for moment in sorted(moments, reverse=True)]
    assert contents(await store.list(ANN, limit=10_000)) == expected
    assert contents(await store.list(ANN, limit=599)) == expected[:599]


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_limit_holds_for_each_list(store: MemoryStore, limit: int) -> None:
    await store.upsert(ANN, [entry(f"tea number {n}", seed=n) for n in range(5)])
    hits = await look(store, ANN, Query("tea", vector()), limit=limit)
    assert (len(hits.dense), len(hits.sparse)) == (limit, limit)


async def test_content_is_found_whatever_its_case_spacing_form_and_end(store: MemoryStore) -> None:
    written = entry("Trinkt  Kaffee in der Straße.")
    await store.upsert(ANN, [written, entry("Trinkt Tee")])
    for variant in ("trinkt kaffee in der strasse", " TRINKT\nKAFFEE IN DER STRASSE! ", "Trinkt Kaffee in der Ｓtraße"):
        assert await store.find(ANN, [variant, "something else"]) == [written.memory]
    assert await store.find(ANN, ["Trinkt Kaffee"]) == []


async def test_a_thousand_entries_fit_in_one_call(store: MemoryStore) -> None:
    entries = [entry(f"memory number{n}", seed=n) for n in range(1000)]
    await store.upsert(ANN, entries)
    assert await store.count(ANN) == 1000
    ids = [each.memory.id for each in entries]
    assert contents(await store.get(ANN, ids)) == contents([each.memory for each in entries])
    assert len(await store.find(ANN, [each.memory.content for each in entries])) == 1000
    assert contents((await look(store, ANN, Query("number517", None), limit=5)).sparse) == ["memory number517"]
    assert await store.delete(ANN, ids) == 1000


async def test_more_than_a_page_of_equal_contents_is_found(store: MemoryStore) -> None:
    await store.upsert(ANN, [entry("Likes tea") for _ in range(1001)])
    assert len(await store.find(ANN, ["likes tea"])) == 1001


async def test_calls_at_the_same_time_do_not_disturb_each_other(store: MemoryStore) -> None:
    owners = [Owner(f"u{n}") for n in range(8)]

    async def live(owner: Owner) -> list[str]:
        for n in range(10):
            await store.upsert(owner, [entry(f"{owner.user} item{n}", seed=n, created_at=NOW + timedelta(seconds=n))])
            await look(store, owner, Query("item", vector(n)), limit=5)
        return contents(await store.list(owner, limit=100))

    seen = await asyncio.gather(*map(live, owners))
    assert seen == [[f"{owner.user} item{n}" for n in reversed(range(10))] for owner in owners]
