"""An answer that is remembered once more, because a crash came after any part of it: all is as if there had been none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from proxy.core.models import MEMORY_TYPES, TURN, Memory, Owner
from proxy.memory.edge import EdgeStore
from proxy.memory.remember import Said
from proxy.memory.store import Entry, MemoryStore, Which
from tests.memory.telling import DAY, NOW, answer, tell

EVERYTHING = Which(types=(*MEMORY_TYPES, TURN), past=True)


class Crash(Exception):
    pass


class Crashing:
    """*store*, until so many memories are written: what is written at once in a call is cut apart where a store may."""

    def __init__(self, store: MemoryStore, writes: int) -> None:
        self._store = store
        self.left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        self._count()
        await self._store.upsert(owner, entries)

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        for each in memories:
            self._count()
            await self._store.revise(owner, [each])

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        self._count()
        return await self._store.delete(owner, ids)

    def _count(self) -> None:
        if not self.left:
            raise Crash
        self.left -= 1


@dataclass(frozen=True)
class Story:
    """What is known *before*, and an answer to it, given the ids of what is known by what it says."""

    name: str
    before: Sequence[dict[str, Any]]
    then: Callable[[dict[str, str]], dict[str, Any]]


def _turn(text: str, *items: object, **fields: Any) -> dict[str, Any]:
    return {"text": text, "items": items, **fields}


PYTHON = "Prefers Python for backend work"
BERLIN = {"content": "Lives in Berlin", "category": "fact"}
STORIES = [
    Story("new", [], lambda ids: _turn("I like tea", "Likes tea", "Has 2 cats", PYTHON)),
    Story("new without a turn", [], lambda ids: _turn("ok", "Likes tea", PYTHON)),
    Story("behind other turns", [_turn("My cat is ill")], lambda ids: _turn("She eats grass", "Has a cat")),
    Story(
        "said again",
        [_turn("Python it is", PYTHON)],
        lambda ids: _turn("Python again", "I prefer Python for backend work!", "Sings"),
    ),
    Story("said again without a turn", [_turn("ok", PYTHON, "Sings")], lambda ids: _turn("ok", PYTHON, "Sings", "Has 2 cats")),
    Story(
        "a prompt used again",
        [_turn("I like tea", "Likes tea")],
        lambda ids: _turn("I like tea", "Likes tea", "Sings", session="s2"),
    ),
    Story(
        "a retry",
        [_turn("I like tea", "Likes tea", reply="So")],
        lambda ids: _turn("I like tea", "Likes tea", "Sings", reply="Ah"),
    ),
    Story("contradicted", [_turn("Cats!", "Has 2 cats", "Has 3 cats")], lambda ids: _turn("More!", "Has 4 cats", "Has 5 cats")),
    Story(
        "corrected",
        [_turn("I live in Berlin", BERLIN, "Sings"), _turn("Berlin is where I live now", BERLIN)],
        lambda ids: _turn(
            "I moved", {"content": "Lives in Munich", "replaces": "m1"}, "Has 2 cats", shown={"m1": ids["Lives in Berlin"]}
        ),
    ),
    Story(
        "corrected under the name of an earlier version",
        [
            _turn("I live in Berlin", BERLIN),
            _turn("I moved", {"content": "Lives in Munich", "replaces": "m1"}, shown=["Lives in Berlin"]),
        ],
        lambda ids: _turn("Again", {"content": "Lives in Ghent", "replaces": "m1"}, shown={"m1": ids["Lives in Berlin"]}),
    ),
    Story(
        "forgotten",
        [
            _turn("Likes tea", "Likes tea"),
            _turn("I like tea. And cats", "Likes tea", "Has 2 cats"),
            _turn("Three!", "Has 3 cats"),
        ],
        lambda ids: _turn("No", forget=("m1", "m2"), shown={"m1": ids["Likes tea"], "m2": ids["Has 2 cats"]}),
    ),
]


async def _tell(store: EdgeStore, embedder: Any, owner: Owner, story: Story, crash_after: int | None) -> int:
    """Tell *story*, with its last answer twice if there is a crash; how many writes were left then."""
    ids: dict[str, str] = {}
    for i, fields in enumerate(story.before):
        await tell(store, embedder, _said(owner, fields, ids, f"before {i}", i))
        ids = {each.content: each.id for each in await store.list(owner, EVERYTHING, limit=99) if not each.is_turn}
    said = _said(owner, story.then(ids), ids, "then", 9)
    crashing = Crashing(store, 99 if crash_after is None else crash_after)
    await tell(crashing, embedder, said)  # type: ignore[arg-type]
    if crash_after is not None:
        await tell(store, embedder, said)
    return crashing.left


def _said(owner: Owner, fields: dict[str, Any], ids: dict[str, str], trace: str, day: int) -> Said:
    fields = {"shown": {}, **fields}
    if isinstance(fields["shown"], list):
        fields["shown"] = {f"m{i}": ids[each] for i, each in enumerate(fields["shown"], start=1)}
    items = fields.pop("items")
    return answer(owner, *items, trace=trace, at=NOW + (day - 10) * DAY, **fields)


async def _state(store: EdgeStore, owner: Owner) -> list[Memory]:
    """Everything that *owner* has, with ids that do not depend on whose it is."""
    found = sorted(await store.list(owner, EVERYTHING, limit=99), key=lambda each: (each.type, each.content))
    names = {each.id: f"{each.type}: {each.content}" for each in found}
    return [
        replace(
            each,
            id=names[each.id],
            replaces=each.replaces and names[each.replaces],
            conflicts=tuple(sorted(names.get(id_, id_) for id_ in each.conflicts)),
            turns=tuple(names.get(id_, id_) for id_ in each.turns),
        )
        for each in found
    ]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_after_a_crash_anywhere_it_comes_to_the_same(edge, embedder, log, story: Story):
    undisturbed = Owner(f"ann {uuid4()}")
    writes = 99 - await _tell(edge, embedder, undisturbed, story, None)
    assert writes
    for crash_after in range(writes + 1):
        owner = Owner(f"ann {uuid4()}")
        await _tell(edge, embedder, owner, story, crash_after)
        assert await _state(edge, owner) == await _state(edge, undisturbed), f"crash after {crash_after} writes"
