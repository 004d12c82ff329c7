"""From the embedded store to a server: all of it, after any interruption, and no damage goes unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient, models

from proxy import config
from proxy.core.models import Memory, Owner
from proxy.errors import StoreError
from proxy.memory.edge import Bm25Encoder
from proxy.memory.moving import Comparison, compare, copy
from proxy.memory.qdrant import QdrantStore
from proxy.memory.reembedding import Reembeddable
from proxy.memory.store import Entry, MemoryStore, Query
from tests.fakes import DIMENSIONS, look, word_vector
from tests.memory.test_reembedding import ANN, BEN, NOW, OLD, conversation, entries, entry, memory, opened

CARL = Owner("carl", tenant="other")
COUNT = 40

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Reembeddable]:
    """Memories of three owners, of the past, shared ones, and a conversation."""
    async with opened(tmp_path) as store:
        await store.upsert(ANN, entries(range(COUNT)))
        await store.upsert(BEN, [entry(replace(memory(100, "was in Rome"), valid_until=NOW, metadata={"a": [1, {"b": None}]}))])
        await store.upsert(CARL.everyone, [entry(replace(memory(101, "The office is in Bonn"), scope="global"))])
        row = conversation(CARL, "Shall we go to Rome?", "Yes, in May!", "By the night train then")
        await store.upsert(CARL, [entry(row[0], row[1:2]), entry(row[1], [row[0], row[2]]), entry(row[2], row[1:2])])
        yield store


@pytest.fixture
async def client() -> AsyncIterator[AsyncQdrantClient]:
    client = AsyncQdrantClient(":memory:")
    yield client
    await client.close()


@pytest.fixture
def target(client: AsyncQdrantClient) -> QdrantStore:
    return QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), OLD)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.memory.moving.PAGE", 10)


def told(*_: object) -> None:
    pass


class Breaking:
    """A store that fails at its *nth* write."""

    def __init__(self, store: MemoryStore, nth: int) -> None:
        self._store = store
        self._left = nth

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        self._left -= 1
        if self._left < 0:
            raise StoreError("the line went dead")
        await self._store.upsert(owner, entries)


async def all_of(store: MemoryStore) -> list[tuple[Owner, Memory, list[float]]]:
    return [
        (each.owner, each.memory, [round(value, 4) for value in each.vector])
        for each in await store.scan(None, limit=1000, vectors=True)
    ]


async def test_everything_is_there_and_found_as_before(source: Reembeddable, target: QdrantStore) -> None:
    total = COUNT + 5
    steps: list[tuple[str, int, int | None]] = []
    assert await copy(source, target, lambda *step: steps.append(step)) == total
    assert await all_of(target) == await all_of(source)
    found = await compare(source, target, lambda *step: steps.append(step))
    assert (found.agrees, found.extra, found.target.counts) == (True, 0, {"semantic": COUNT + 2, "turn": 3})
    assert (steps[-1], ("moving", total, total) in steps) == (("verifying", total, total), True)
    for owner, query in (
        (ANN, Query("memory 7", word_vector("memory 7"))),
        (CARL, Query("Rome night train", word_vector("Rome"), turns=True)),
    ):
        here, there = await look(source, owner, query, limit=50), await look(target, owner, query, limit=50)
        assert [each.memory.id for each in there.turns_sparse] == [each.memory.id for each in here.turns_sparse]
        assert {each.memory.id for each in there.dense} == {each.memory.id for each in here.dense}
        assert [(each.memory.id, round(each.score, 3)) for each in there.turns_dense] == [
            (each.memory.id, round(each.score, 3)) for each in here.turns_dense
        ]


async def test_it_goes_on_where_it_was_interrupted(source: Reembeddable, target: QdrantStore) -> None:
    with pytest.raises(StoreError, match="the line went dead"):
        await copy(source, Breaking(target, 3), told)  # type: ignore[arg-type]
    half = await target.count(None)
    assert 0 < half < COUNT + 5
    found = await compare(source, target, told)
    assert (found.agrees, len(found.missing)) == (False, COUNT + 5 - half)
    assert await copy(source, target, told) == COUNT + 5 - half
    assert (await compare(source, target, told)).agrees
    assert await copy(source, target, told) == 0


async def test_what_has_changed_since_is_written_again(source: Reembeddable, target: QdrantStore) -> None:
    await copy(source, target, told)
    await source.upsert(ANN, [entry(replace(memory(5), importance=0.9)), entry(memory(6, "is another now"))])
    assert await copy(source, target, told) == 2
    assert await all_of(target) == await all_of(source)


@pytest.mark.parametrize("damage", ["content", "owner", "payload", "vector", "gone", "one for another"])
async def test_damage_is_found(source: Reembeddable, target: QdrantStore, client: AsyncQdrantClient, damage: str) -> None:
    await copy(source, target, told)
    id_ = memory(7).id
    if damage == "content":
        await client.set_payload("memories", {"content": "memory 7 about hhH"}, [id_])
    elif damage == "owner":
        await client.set_payload("memories", {"user": "eve", "owner": "default\x1feve"}, [id_])
    elif damage == "payload":
        await client.set_payload("memories", {"importance": 0.50001}, [id_])
    elif damage == "vector":
        await client.update_vectors("memories", [models.PointVectors(id=id_, vector={"dense": word_vector("damage")})])
    else:
        await client.delete("memories", [id_])
    if damage == "one for another":
        await target.upsert(ANN, entries([999]))
    found = await compare(source, target, told)
    missing = damage in ("gone", "one for another")
    assert (found.agrees, found.missing, found.different) == (False, [id_] * missing, [id_] * (not missing))
    assert (found.source.checksum == found.target.checksum) == (damage == "vector")
    if damage != "owner":
        await copy(source, target, told)
        assert (await compare(source, target, told)).agrees


async def test_an_id_that_another_owner_has_there_is_refused(source: Reembeddable, target: QdrantStore) -> None:
    await target.upsert(BEN, [entry(memory(7, "mine"))])
    with pytest.raises(StoreError, match="belongs to another owner"):
        await copy(source, target, told)
    assert (await target.get(BEN, [memory(7).id]))[0].content == "mine"


async def test_what_the_server_has_beyond_that_stays_and_is_counted(source: Reembeddable, target: QdrantStore) -> None:
    await target.upsert(BEN, entries([998, 999]))
    await copy(source, target, told)
    found = await compare(source, target, told)
    assert (found.agrees, found.extra, await target.count(BEN)) == (True, 2, 2)


async def test_nothing_is_nothing(tmp_path: Path, target: QdrantStore) -> None:
    async with opened(tmp_path) as empty:
        assert await copy(empty, target, told) == 0
        found = await compare(empty, target, told)
        assert found == Comparison(found.source, found.source)
