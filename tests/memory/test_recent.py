"""Searches that were made a moment ago."""

import asyncio
from datetime import UTC, datetime

import pytest

from proxy.core.models import PROFILE_TYPES, Memory, Owner, ScoredMemory
from proxy.errors import StoreError
from proxy.memory import recent
from proxy.memory.recent import RecentSearches
from proxy.memory.store import Entry, Hits, Query, Which
from tests.fakes import word_vector
from tests.missing import MissingStore

ANN, BEN = Owner("ann"), Owner("ben")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEA = ScoredMemory(Memory("1", "Likes tea", NOW, NOW), 1.0)


def pick(hits: Hits) -> list[object]:
    return []


class CountingStore(MissingStore):
    """Finds tea, waits at the gate first, and counts."""

    def __init__(self) -> None:
        super().__init__("only searches and writes")
        self.searches: list[tuple[str, str]] = []
        self.lists = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def list(self, owner, which=Which(), *, limit):
        self.lists += 1
        return [TEA.memory]

    async def search(self, owner, query, *, limit, pick):
        self.searches.append((owner.user, query.text))
        await self.gate.wait()
        return [TEA]

    async def upsert(self, owner, entries):
        pass

    async def revise(self, owner, memories):
        pass

    async def delete(self, owner, ids):
        return len(ids)

    async def erase(self, owner):
        return 1


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


async def ask(
    searches: RecentSearches, owner: Owner = ANN, text: str = "tea", *, vector=(1.0,), limit: int = 5, pick=pick, **query
):
    return await searches.search(owner, Query(text, vector, **query), limit=limit, pick=pick)


async def test_the_same_search_is_made_once(store):
    searches = RecentSearches(store, seconds=60)
    assert [await ask(searches) for _ in range(3)] == [[TEA]] * 3
    assert store.searches == [("ann", "tea")]


async def test_another_owner_text_limit_or_kind_of_search_is_another_search(store):
    searches = RecentSearches(store, seconds=60)
    for _ in range(2):
        await ask(searches)
        await ask(searches, BEN)
        await ask(searches, text="coffee")
        await ask(searches, limit=6)
        await ask(searches, vector=None)
    assert store.searches == [("ann", "tea"), ("ben", "tea"), ("ann", "coffee"), ("ann", "tea"), ("ann", "tea")]


@pytest.mark.parametrize(
    "other",
    [{"session": "s"}, {"as_of": NOW}, {"turns": True}, {"pick": lambda hits: []}],
    ids=["session", "as_of", "turns", "pick"],
)
async def test_another_session_time_kind_or_choice_is_another_search(store, other):
    searches = RecentSearches(store, seconds=60)
    for _ in range(2):
        await ask(searches)
        await ask(searches, **other)
    assert len(store.searches) == 2


async def test_what_is_older_than_that_is_searched_for_again(store, monkeypatch):
    now = 100.0
    monkeypatch.setattr(recent, "monotonic", lambda: now)
    searches = RecentSearches(store, seconds=2)
    await ask(searches)
    now = 101.9
    await ask(searches)
    now = 102.0
    await ask(searches)
    assert len(store.searches) == 2


async def test_with_no_seconds_every_search_is_made(store):
    searches = RecentSearches(store, seconds=0)
    await ask(searches)
    await ask(searches)
    assert len(store.searches) == 2


WRITES = {
    "upsert": lambda searches, owner: searches.upsert(owner, [Entry(TEA.memory, word_vector("tea"))]),
    "revise": lambda searches, owner: searches.revise(owner, [TEA.memory]),
    "delete": lambda searches, owner: searches.delete(owner, ["1"]),
    "erase": lambda searches, owner: searches.erase(owner),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_is_seen_at_once_by_its_owner_alone(store, write):
    searches = RecentSearches(store, seconds=60)
    await ask(searches)
    await ask(searches, BEN)
    await write(searches, ANN)
    await ask(searches)
    await ask(searches, BEN)
    assert store.searches == [("ann", "tea"), ("ben", "tea"), ("ann", "tea")]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_to_what_a_tenant_shares_is_seen_at_once_by_all(store, write):
    searches = RecentSearches(store, seconds=60)
    await ask(searches)
    await ask(searches, BEN)
    await write(searches, ANN.everyone)
    await ask(searches)
    await ask(searches, BEN)
    assert store.searches == [("ann", "tea"), ("ben", "tea")] * 2


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_that_failed_may_have_changed_something(write):
    class Failing(CountingStore):
        upsert = revise = delete = MissingStore.upsert
        erase = MissingStore.erase

    store = Failing()
    searches = RecentSearches(store, seconds=60)
    await ask(searches)
    with pytest.raises(StoreError):
        await write(searches, ANN)
    await ask(searches)
    assert len(store.searches) == 2


async def test_what_was_found_before_a_write_is_not_kept_after_it(store):
    searches = RecentSearches(store, seconds=60)
    store.gate.clear()
    early = asyncio.get_running_loop().create_task(ask(searches))
    await asyncio.sleep(0)
    await searches.upsert(ANN, [])
    store.gate.set()
    await early
    await ask(searches)
    assert len(store.searches) == 2


async def test_only_the_latest_searches_and_owners_are_kept(store, monkeypatch):
    monkeypatch.setattr(recent, "_OWNERS", 2)
    monkeypatch.setattr(recent, "_SEARCHES", 2)
    searches = RecentSearches(store, seconds=60)
    for text in ("a", "b", "c", "c", "b", "a"):
        await ask(searches, text=text)
    assert [text for _, text in store.searches] == ["a", "b", "c", "a"]
    store.searches.clear()
    for owner in (BEN, Owner("cleo"), Owner("dora"), BEN):
        await ask(searches, owner)
    assert [user for user, _ in store.searches] == ["ben", "cleo", "dora", "ben"]


async def test_everything_else_is_asked_of_the_store(tmp_path):
    searches = RecentSearches(MissingStore("the disk is full"), seconds=60)
    calls = [
        searches.get(ANN, []),
        searches.find(ANN, []),
        searches.list(ANN, limit=1),
        searches.count(None),
        searches.touch(),
        searches.purge(),
    ]
    for call in [*calls, *(write(searches, ANN) for write in WRITES.values()), ask(searches)]:
        with pytest.raises(Exception, match="the disk is full"):
            await call


async def test_of_those_who_ask_no_more_nothing_is_kept(store, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(recent, "monotonic", lambda: now[0])
    searches = RecentSearches(store, seconds=2)
    for n in range(5):
        await ask(searches, Owner(f"gone {n}"))
    now[0] = 3.0
    await ask(searches)
    assert list(searches._recent) == [ANN.key]


async def test_what_the_profile_is_made_from_is_listed_once_until_something_is_written(store):
    searches = RecentSearches(store, seconds=60)
    profile, others = Which(PROFILE_TYPES, shared=True), Which(PROFILE_TYPES)
    for _ in range(2):
        assert await searches.list(ANN, profile, limit=9) == [TEA.memory]
    await searches.revise(ANN, [])
    await searches.list(ANN, profile, limit=9)
    assert store.lists == 2
    for _ in range(2):
        await searches.list(ANN, others, limit=9)
    assert store.lists == 4
