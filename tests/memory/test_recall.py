"""The read path."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from proxy import config
from proxy.config import Embedding, Store
from proxy.core.context import estimate_tokens
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import EmbedError, StoreError
from proxy.memory.embedder import Embedder
from proxy.memory.embedding import open_embedder
from proxy.memory.ranking import Weights
from proxy.memory.recall import Asked, Recall, Recalled, weights_of
from proxy.memory.recent import RecentSearches
from proxy.memory.selection import LeftOut
from proxy.memory.store import Entry, MemoryStore
from proxy.memory.stores import open_store
from tests.fakes import FixedStore, word_vector
from tests.missing import MissingStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HANG_MS = 60_000


def memory(content: str) -> Memory:
    return Memory(id=str(uuid4()), content=content, created_at=NOW, updated_at=NOW)


async def remember(store: MemoryStore, owner: Owner, *contents: str) -> None:
    await store.upsert(owner, [Entry(memory(each), word_vector(each)) for each in contents])


def recalling(store: MemoryStore, embedder: Embedder, **changed: Any) -> Recall:
    return Recall(store, embedder, config.Recall(**{"deadline_ms": HANG_MS, **changed}))


async def contents(recall: Recall, owner: Owner, query_text: str) -> list[str]:
    found = await recall.recall(owner, Asked(query_text))
    assert found.trouble is None
    return [each.memory.content for each in found.notes]


async def test_what_matters_is_found_best_first(edge, embedder, ann):
    await remember(edge, ann, "Drives a red car", "Likes green tea", "Likes tea in the morning with milk")
    assert await contents(recalling(edge, embedder), ann, "green tea") == [
        "Likes green tea",
        "Likes tea in the morning with milk",
    ]


async def test_nobody_is_told_what_another_said(edge, embedder, ann, ben):
    await remember(edge, ann, "Likes green tea")
    await remember(edge, ben, "Likes black tea")
    assert await contents(recalling(edge, embedder), ben, "tea") == ["Likes black tea"]
    assert await contents(recalling(edge, embedder), Owner(ann.user.upper()), "tea") == []


async def test_below_the_floor_nothing_is_found(edge, embedder, ann):
    await remember(edge, ann, "Likes green tea", "tea one two three four five six seven eight")
    assert await contents(recalling(edge, embedder, min_score=0.6), ann, "tea") == []
    assert (await contents(recalling(edge, embedder, min_score=0.5), ann, "tea"))[0] == "Likes green tea"


async def test_at_most_limit_are_found(edge, embedder, ann):
    await remember(edge, ann, *[f"tea {i}" for i in range(8)])
    assert len(await contents(recalling(edge, embedder, limit=3), ann, "tea")) == 3


async def test_what_is_found_fits_into_the_token_budget(edge, embedder, ann):
    await remember(edge, ann, *[f"tea {i} " + "tea " * 100 for i in range(5)])
    found = await contents(recalling(edge, embedder, token_budget=300), ann, "tea")
    assert 0 < sum(map(estimate_tokens, found)) <= 300
    assert len(found) == 2


@pytest.mark.parametrize("query_text", ["", " \n\t", "\u00a0"])
async def test_a_blank_text_is_not_searched_for(edge, embedder, ann, query_text: str):
    assert await recalling(edge, embedder).recall(ann, Asked(query_text)) == Recalled()
    assert embedder.queries == []


async def test_of_a_long_text_the_end_is_searched_for(edge, embedder, ann):
    await remember(edge, ann, "Likes green tea")
    assert await contents(recalling(edge, embedder), ann, "code " * 5000 + "green tea " * 200) == ["Likes green tea"]
    assert [len(each) for each in embedder.queries] == [2000]


@pytest.mark.parametrize("query_text", ["\ud83d", "\x00", "漢字", "'; DROP TABLE", "<memory>", "a" * 100_000])
async def test_any_text_can_be_searched_for(edge, embedder, ann, query_text: str):
    await remember(edge, ann, "Likes green tea")
    assert await contents(recalling(edge, embedder), ann, query_text) == []


async def test_without_the_embedder_words_find_and_it_says_so(edge, embedder, ann):
    embedder.failure = EmbedError("no model")
    await remember(edge, ann, "Likes green tea", "Drives a red car")
    found = await recalling(edge, embedder).recall(ann, Asked("Which tea is it?"))
    assert ([each.memory.content for each in found.notes], found.trouble) == (["Likes green tea"], "embedder")


async def test_without_the_embedder_the_profile_is_given(edge, embedder, ann):
    embedder.failure = EmbedError("no model")
    wish = replace(memory("Always answer in German"), type="procedural")
    await edge.upsert(ann, [Entry(wish, word_vector(wish.content))])
    found = await recalling(edge, embedder).recall(ann, Asked("What is the capital of Mongolia?"))
    assert ([each.memory.content for each in found.notes], found.trouble) == (["Always answer in German"], "embedder")


@pytest.mark.parametrize("query_text", ["hello", "yes, do that", "Thanks!"])
async def test_without_the_embedder_a_greeting_finds_nothing(edge, embedder, ann, query_text: str):
    embedder.failure = EmbedError("no model")
    await remember(edge, ann, "Says hello to her plants", "Does yoga, yes, that too", "Thanks everybody")
    assert await recalling(edge, embedder).recall(ann, Asked(query_text)) == Recalled()


async def test_a_failing_store_finds_nothing_and_says_so(embedder, ann, log):
    assert await recalling(MissingStore("disk full"), embedder).recall(ann, Asked("tea")) == Recalled(trouble="store")
    assert log == []


async def test_late_searches_find_nothing_and_say_so_but_not_each_in_the_log(edge, embedder, ann, log):
    embedder.gate.clear()
    recall = recalling(edge, embedder, deadline_ms=10)
    assert [await recall.recall(ann, Asked("tea")) for _ in range(3)] == [Recalled(trouble="deadline")] * 3
    assert log == [{"event": "going upstream without memories: deadline", "times": 1, "log_level": "warning"}]


async def test_it_says_how_long_each_step_took_as_far_as_it_came(edge, embedder, ann, log):
    whole = await recalling(edge, embedder).recall(ann, Asked("tea"))
    embedder.gate.clear()
    late = await recalling(edge, embedder, deadline_ms=10).recall(ann, Asked("coffee"))
    failed = await recalling(MissingStore("disk full"), embedder).recall(ann, Asked("tea"))
    assert [list(each.steps) for each in (whole, late, failed)] == [
        ["profile", "embed", "search", "select"],
        ["profile", "embed"],
        ["profile"],
    ]
    assert (min(whole.steps.values()) > 0, late.steps["embed"] > 0.001) == (True, True)


async def test_of_too_many_messages_the_last_go_without(edge, embedder, ann):
    await remember(edge, ann, "Likes green tea")
    embedder.gate.clear()
    recall = Recall(edge, embedder, config.Recall(deadline_ms=HANG_MS), at_once=2)
    first = [asyncio.get_running_loop().create_task(recall.recall(ann, Asked("tea"))) for _ in range(2)]
    await asyncio.sleep(0)
    assert await recall.recall(ann, Asked("tea")) == Recalled(trouble="busy")
    embedder.gate.set()
    assert [len((await each).notes) for each in first] == [1, 1]
    assert len((await recall.recall(ann, Asked("tea"))).notes) == 1


def test_the_weights_of_the_configuration_are_those_of_ranking_by_default():
    assert weights_of(config.Recall()) == Weights()


async def test_what_is_shown_can_be_changed_and_is_not_answered_from_before(edge, embedder, ann):
    """Also where the same search was made a moment ago."""
    await remember(edge, ann, *[f"tea {i}" for i in range(30)])
    recall = recalling(RecentSearches(edge, seconds=HANG_MS), embedder)
    counts = [len(await contents(recall, ann, "tea"))]
    for changed in ({"limit": 2}, {"limit": 20}, {"min_score": 1.0}, {}):
        recall.reconfigure(config.Recall(**{"deadline_ms": HANG_MS, **changed}))
        counts.append(len(await contents(recall, ann, "tea")))
    assert counts == [5, 2, 20, 0, 5]


async def test_a_search_under_way_goes_on_as_it_began(edge, embedder, ann):
    await remember(edge, ann, *[f"tea {i}" for i in range(8)])
    embedder.gate.clear()
    recall = recalling(edge, embedder, profile_token_budget=0, facts_token_budget=0)
    before = asyncio.get_running_loop().create_task(recall.recall(ann, Asked("tea")))
    await asyncio.sleep(0)
    assert embedder.queries == ["tea"]
    recall.reconfigure(config.Recall(limit=2))
    embedder.gate.set()
    assert [len((await before).notes), len(await contents(recall, ann, "tea"))] == [5, 2]


async def test_weights_change_the_order(edge, embedder, ann):
    old, new = memory("green tea"), replace(memory("green tea with milk"), created_at=datetime.now(UTC))
    worse = memory("green things are rare in winter, but many come back in spring")
    await edge.upsert(ann, [Entry(each, word_vector(each.content)) for each in (old, new, worse)])
    recall = recalling(edge, embedder)
    assert (await contents(recall, ann, "green tea"))[:2] == [old.content, new.content]
    recall.reconfigure(config.Recall(recency_weight=1.0, recency_days=1))
    assert (await contents(recall, ann, "green tea"))[:2] == [new.content, old.content]


async def test_who_is_cancelled_stops_searching(edge, embedder, ann):
    embedder.gate.clear()
    task = asyncio.get_running_loop().create_task(
        recalling(edge, embedder, profile_token_budget=0, facts_token_budget=0).recall(ann, Asked("tea"))
    )
    await asyncio.sleep(0)
    assert embedder.queries == ["tea"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_store_that_breaks_its_word_about_owners_is_not_believed(embedder, ann):
    class Leaking(FixedStore):
        async def search(self, *_: object, **__: object) -> list[ScoredMemory]:
            raise StoreError("point 1 came back for an owner that it does not belong to")

    store = Leaking({})
    assert await recalling(store, embedder).recall(ann, Asked("secret")) == Recalled(trouble="store")


async def test_with_the_real_model_meaning_counts(model_dir, tmp_path, ann):
    said = ["Is allergic to peanuts", "Has a dog called Rex", "Works as a nurse in Leipzig"]
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(open_embedder(Embedding(models_dir=str(model_dir.parent))))
        store = await stack.enter_async_context(open_store(Store(path=str(tmp_path)), model.dimensions))
        vectors = await model.embed_documents(said)
        await store.upsert(ann, [Entry(memory(each), vector) for each, vector in zip(said, vectors, strict=True)])
        recall = recalling(store, model)
        assert (await contents(recall, ann, "What should I feed my pet?"))[:1] == ["Has a dog called Rex"]
        assert (await contents(recall, ann, "Which foods must I avoid?"))[:1] == ["Is allergic to peanuts"]
        assert await contents(recall, ann, "What is the capital of Mongolia?") == []


async def test_how_it_came_about_is_told(edge, embedder, ann):
    said = [*(f"green tea {n}" for n in range(3)), "green tea " + "word " * 60, "a red car of my own in the rain"]
    await remember(edge, ann, *said)
    found = await recalling(edge, embedder, limit=4, token_budget=80).recall(ann, Asked("green tea"))
    course, ids = found.course, {each.content: each.id for each in await edge.list(ann, limit=9)}
    assert course.query == "green tea"
    assert {each.memory.content for each in course.candidates} == {*said[:4]}
    assert [each.id for each in course.passed_over] == [ids[said[4]]]
    assert course.dropped == {ids[said[3]]: LeftOut("budget"), ids[said[4]]: LeftOut("floor")}
    assert [*found.steps] == ["profile", "embed", "search", "select"]
    assert all(seconds >= 0 for seconds in found.steps.values())


async def test_a_late_one_says_how_far_it_came(edge, embedder, ann):
    embedder.gate.clear()
    found = await recalling(edge, embedder, deadline_ms=20).recall(ann, Asked("green tea"))
    assert (found.trouble, found.course.query, [*found.steps]) == ("deadline", "green tea", ["profile", "embed"])
