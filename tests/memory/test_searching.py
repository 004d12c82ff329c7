"""Searches by people and programs, on both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxy import config
from proxy.core.models import MEMORY_TYPES, Owner, ScoredMemory, Scores
from proxy.errors import EmbedError
from proxy.memory.recall import Recall
from proxy.memory.searching import Search, Searching, merge
from proxy.memory.store import Entry, MemoryStore, Query
from tests.fakes import WordEmbedder, word_vector
from tests.memory.test_store_contract import NOW, memory

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


def searching(store: MemoryStore, embedder: WordEmbedder) -> Searching:
    return Searching(Recall(store, embedder, config.Recall()), embedder)


async def find(
    store: MemoryStore, owner: Owner, *queries: str, min_score: float = 0.0, limit: int = 10, **fields: object
) -> list[str]:
    search = Search([(each, 1.0) for each in queries], Query("", None, **fields), min_score=min_score, limit=limit)  # type: ignore[arg-type]
    return [each.memory.content for each in await searching(store, WordEmbedder()).search(owner, search)]


async def test_filters_least_score_and_limit(both: MemoryStore, ann: Owner, ben: Owner) -> None:
    written = [
        memory("green tea", importance=0.9),
        memory("black tea", type="preference", created_at=NOW - timedelta(days=9)),
        memory("a red car", importance=0.1),
    ]
    for owner in (ann, ben):
        mine = [
            memory(f"{each.content}", type=each.type, created_at=each.created_at, importance=each.importance) for each in written
        ]
        await both.upsert(owner, [Entry(each, word_vector(each.content)) for each in mine])
    assert await find(both, ann, "green tea") == ["green tea", "black tea", "a red car"]
    assert sorted(await find(both, ann, "bicycle")) == ["a red car", "black tea", "green tea"]
    assert await find(both, ann, "green tea", min_score=0.1) == ["green tea", "black tea"]
    assert await find(both, ann, "green tea", limit=1) == ["green tea"]
    assert await find(both, ann, "tea", types=("preference",)) == ["black tea"]
    assert await find(both, ann, "tea", since=NOW - timedelta(days=1)) == ["green tea", "a red car"]
    assert await find(both, ann, "tea", until=NOW - timedelta(days=1)) == ["black tea"]
    assert await find(both, ann, "tea", min_importance=0.8) == ["green tea"]
    assert sorted(await find(both, ann, "green tea", "red car")) == ["a red car", "black tea", "green tea"]
    assert await find(both, ann, "tea", types=MEMORY_TYPES, as_of=NOW - timedelta(days=8)) == ["black tea"]


async def test_without_the_embedder_words_decide(both: MemoryStore, embedder: WordEmbedder, ann: Owner) -> None:
    tea = memory("green tea")
    await both.upsert(ann, [Entry(tea, word_vector(tea.content))])
    embedder.failure = EmbedError("gone")
    [found] = await searching(both, embedder).search(ann, Search([("tea", 1.0)], Query("", None)))
    assert (found.memory, found.scores.dense) == (tea, None)


class TestMerging:
    ONE, TWO, THREE = (memory(text) for text in ("one", "two", "three"))

    def found(self, **scores: float) -> list[ScoredMemory]:
        by_name = {"one": self.ONE, "two": self.TWO, "three": self.THREE}
        return [ScoredMemory(by_name[name], score, Scores(dense=score)) for name, score in scores.items()]

    def scores(self, aggregate: str, *weights: float) -> list[tuple[str, float]]:
        lists = [self.found(one=0.8, two=0.4), self.found(two=0.6, three=0.2)]
        merged = merge(lists, weights, aggregate)  # type: ignore[arg-type]
        return [(each.memory.content, round(each.score, 6)) for each in merged]

    def test_a_query_that_does_not_find_it_counts_as_nothing(self) -> None:
        assert self.scores("max", 1, 1) == [("one", 0.8), ("two", 0.6), ("three", 0.2)]
        assert self.scores("mean", 1, 1) == [("two", 0.5), ("one", 0.4), ("three", 0.1)]
        assert self.scores("weighted", 3, 1) == [("one", 0.6), ("two", 0.45), ("three", 0.05)]

    def test_how_it_came_about_is_told_of_the_best(self) -> None:
        merged = merge([self.found(one=0.2), self.found(one=0.8)], [1, 1], "mean")
        assert [(each.score, each.scores.dense) for each in merged] == [(0.5, 0.8)]

    def test_nothing_is_nothing(self) -> None:
        assert merge([[], []], [1, 1], "mean") == []
