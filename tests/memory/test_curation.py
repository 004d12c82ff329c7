"""What people do to memories by hand, on both stores; ``tests/web/api`` has the same through HTTP, on the embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from proxy.core.models import KEYED, TURN, Memory, Owner
from proxy.errors import Conflict, NotFound, StoreError
from proxy.memory.curation import Curation, Draft, request_of, value_of
from proxy.memory.events import Event
from proxy.memory.replay import Given, Replay
from proxy.memory.store import Entry, MemoryStore, Which
from tests.fakes import WordEmbedder
from tests.memory.telling import DEFAULTS, EVER, NOW, answer, contents, remembering, tell

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")
EVERYTHING = Which(types=("semantic", KEYED, TURN), past=True)


@dataclass
class Desk:
    """Where memories are worked on; *events* are what was told of it."""

    curation: Curation
    store: MemoryStore
    embedder: WordEmbedder
    replay: Replay
    events: list[Event] = field(default_factory=list)

    @property
    def told(self) -> list[tuple[str, Owner | None, Sequence[str]]]:
        return [(each.type, each.owner, each.ids) for each in self.events]

    async def add(self, owner: Owner, *contents: str, key: str | None = None, **fields: Any) -> list[Memory]:
        request = None if key is None else request_of(key, repr((contents, fields)).encode())
        return await self.curation.add([(owner, Draft(each, **fields)) for each in contents], request)


@pytest.fixture
def desk(both: MemoryStore, embedder: WordEmbedder) -> Desk:
    events: list[Event] = []
    replay = Replay()
    remember = remembering(both, embedder, options=replace(DEFAULTS, memories_per_user=600))
    curation = Curation(both, embedder, remember, replay, DEFAULTS, tell=events.append)
    return Desk(curation, both, embedder, replay, events)


async def test_what_is_added_is_read_again_as_it_was_given(desk: Desk, ann: Owner) -> None:
    metadata = {"a": [0.1 + 0.2, 1 / 3, 5e-324, 1, 1.0, True, {"b": None}]}
    [memory] = await desk.add(ann, "Likes tea", metadata=metadata, importance=0.3, valid_from=NOW, session="s")
    assert repr(await desk.curation.get(ann, memory.id)) == repr(memory)
    assert desk.told == [("stored", ann, [memory.id])]


async def test_an_edit_leaves_a_version_and_ends_the_turns_that_said_it(desk: Desk, ann: Owner) -> None:
    said = answer(ann, {"content": "Lives in Oslo"}, text="I live in Oslo")
    await tell(desk.store, desk.embedder, said, answer(ann, text="Lives in Oslo. And it rains.", session="s2"))
    [memory] = await desk.store.list(ann, limit=9)
    edited = await desk.curation.edit(ann, memory.id, {"content": "Lives in Bergen"})
    [version] = await desk.curation.history(ann, memory.id)
    assert (edited.id, edited.replaces, edited.valid_from) == (memory.id, version.id, edited.updated_at)
    assert version == replace(memory, id=version.id, valid_until=edited.updated_at, updated_at=edited.updated_at)
    assert await contents(desk.store, ann, Which(types=("semantic", TURN))) == ["Lives in Bergen"]
    assert desk.told[-1] == ("replaced", ann, [memory.id])
    # With the memory goes all that ever said it, also what had ended before.
    desk.replay.put(ann, "f", Given("Lives in Bergen"))
    await desk.curation.delete(ann, memory.id)
    assert (await contents(desk.store, ann, EVERYTHING), desk.replay.get(ann, "f")) == ([], None)
    assert desk.told[-1] == ("forgotten", ann, [memory.id])


async def test_a_crash_between_a_version_and_its_successor_is_mended_by_the_next_edit(
    desk: Desk, ann: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    [memory] = await desk.add(ann, "Lives in Oslo")
    upsert = type(desk.store).upsert

    async def breaking(self: Any, owner: Owner, entries: Sequence[Entry]) -> None:
        if entries[0].memory.id == memory.id:
            raise StoreError("broken off")
        await upsert(self, owner, entries)

    with monkeypatch.context() as broken:
        broken.setattr(type(desk.store), "upsert", breaking)
        with pytest.raises(StoreError):
            await desk.curation.edit(ann, memory.id, {"content": "Lives in Bergen"})
    assert await desk.curation.get(ann, memory.id) == memory
    await desk.curation.edit(ann, memory.id, {"content": "Lives in Rome"})
    assert [each.content for each in await desk.curation.history(ann, memory.id)] == ["Lives in Oslo"]
    assert await contents(desk.store, ann, EVER) == ["Lives in Oslo", "Lives in Rome"]


async def test_a_history_that_leads_back_to_itself_ends(desk: Desk, ann: Owner) -> None:
    one, other = await desk.add(ann, "Lives in Oslo", "Lives in Bergen")
    await desk.store.revise(ann, [replace(one, replaces=other.id), replace(other, replaces=one.id)])
    assert [each.id for each in await desk.curation.history(ann, one.id)] == [other.id]
    await desk.store.revise(ann, [replace(one, replaces=one.id)])
    assert await desk.curation.history(ann, one.id) == []


async def test_a_request_that_comes_again_changes_nothing(desk: Desk, ann: Owner, ben: Owner) -> None:
    first = await desk.add(ann, "One", "Two", "one", key="k")
    assert await desk.add(ann, "One", "Two", "one", key="k") == first
    assert [each.id for each in first] == [first[0].id, first[1].id, first[0].id]
    with pytest.raises(Conflict):
        await desk.add(ann, "Three", key="k")
    assert [each.id for each in await desk.add(ben, "One", "Two", "one", key="k")] != [each.id for each in first]
    assert await contents(desk.store, ann) == ["One", "Two"]


async def test_a_thousand_at_once_within_the_limits(desk: Desk, ann: Owner) -> None:
    added = await desk.add(ann, *(f"Number {n}" for n in range(1000)))
    assert [each.content for each in added] == [f"Number {n}" for n in range(1000)]
    # One in twenty more than is necessary goes, so that a full store isn't read anew at every write.
    assert await desk.store.count(ann, EVER) == 570


async def test_facts_have_one_value_at_a_time(desk: Desk, ann: Owner, ben: Owner) -> None:
    for value in ("vi", "Neovim", "Neovim", "Helix"):
        await desk.curation.set_fact(ann, "editor", value, {})
    await desk.curation.set_fact(ben, "editor", "nano", {})
    assert [value_of(each) for each in await desk.curation.facts(ann)] == ["Helix"]
    assert [value_of(each) for each in await desk.curation.fact_history(ann, "editor")] == ["Neovim", "vi"]
    fact = await desk.curation.fact(ann, "editor")
    assert await desk.curation.delete_fact(ann, "editor") == fact
    assert (await contents(desk.store, ann, EVERYTHING), await contents(desk.store, ben)) == ([], ["editor: nano"])
    for call in (desk.curation.fact, desk.curation.fact_history, desk.curation.delete_fact):
        with pytest.raises(NotFound):
            await call(ann, "editor")  # type: ignore[operator]


async def test_what_was_to_hold_later_and_is_corrected_before_never_did(desk: Desk, ann: Owner) -> None:
    later = NOW + timedelta(days=30)
    [memory] = await desk.add(ann, "Lives in Oslo", valid_from=later)
    edited = await desk.curation.edit(ann, memory.id, {"content": "Lives in Bergen", "valid_from": later + timedelta(days=1)})
    [version] = await desk.curation.history(ann, memory.id)
    assert (version.valid_from, version.valid_until) == (edited.updated_at, edited.updated_at)
    assert await contents(desk.store, ann) == ["Lives in Bergen"]


async def test_nobody_reaches_another_s(desk: Desk, ann: Owner, ben: Owner) -> None:
    [memory] = await desk.add(ann, "Likes tea")
    for call in (
        desk.curation.get(ben, memory.id),
        desk.curation.history(ben, memory.id),
        desk.curation.edit(ben, memory.id, {"content": "x"}),
        desk.curation.delete(ben, memory.id),
        desk.curation.owner_of("00000000-0000-4000-8000-000000000000"),
    ):
        with pytest.raises(NotFound):
            await call
    assert await desk.curation.owner_of(memory.id) == ann
    assert await contents(desk.store, ann) == ["Likes tea"]
