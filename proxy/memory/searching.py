"""A search by people and programs: as the chat's recall, with filters, and for several queries at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from proxy.core.models import Owner, ScoredMemory
from proxy.errors import EmbedError
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.recall import Recall
from proxy.memory.store import Query

Aggregate = Literal["max", "mean", "weighted"]

_ANY = -1.0
"""The least cosine similarity that there is."""

_SPARE = 10
"""Read of each query beyond what is wanted: importance and recency may change the order, and one may have ended meanwhile."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, *queries* with their weights; *filters* holds everything else of a query but its text and vector.

    *aggregate*: a memory that several queries find gets the best of its scores, their mean, or their mean by weight; a query that
    doesn't find it counts as 0. *min_score*: least score of what is found; there is no floor of similarity, as a chat has one.
    """

    queries: Sequence[tuple[str, float]]
    filters: Query
    aggregate: Aggregate = "max"
    min_score: float = 0.0
    limit: int = 10


class Searching:
    def __init__(self, recall: Recall, embedder: Embedder) -> None:
        self._recall = recall
        self._embedder = embedder

    async def search(self, owner: Owner, search: Search) -> list[ScoredMemory]:
        """Best first. Without the embedder by words alone. Raises ``StoreError``."""
        found = await asyncio.gather(*(self._one(owner, search, text) for text, _ in search.queries))
        merged = merge(found, [weight for _, weight in search.queries], search.aggregate)
        return [each for each in merged if each.score >= search.min_score][: search.limit]

    async def _one(self, owner: Owner, search: Search, text: str) -> list[ScoredMemory]:
        query = replace(search.filters, text=text, vector=await self._vector(text))
        return await self._recall.search(owner, query, min_score=_ANY, limit=2 * search.limit + _SPARE)

    async def _vector(self, text: str) -> Vector | None:
        try:
            return await self._embedder.embed_query(text)
        except EmbedError:
            return None


def merge(found: Sequence[Sequence[ScoredMemory]], weights: Sequence[float], aggregate: Aggregate) -> list[ScoredMemory]:
    """One list of several, best first; how a score came about is told of the query that found the memory best."""
    best: dict[str, ScoredMemory] = {}
    for each in (scored for some in found for scored in some):
        best[each.memory.id] = max(best.get(each.memory.id, each), each, key=lambda one: one.score)
    by_query = [{each.memory.id: each.score for each in some} for some in found]
    scores = {id_: [some.get(id_, 0.0) for some in by_query] for id_ in best}
    merged = [replace(each, score=_aggregated(scores[id_], weights, aggregate)) for id_, each in best.items()]
    return sorted(merged, key=lambda each: each.score, reverse=True)


def _aggregated(scores: Sequence[float], weights: Sequence[float], aggregate: Aggregate) -> float:
    if aggregate == "max":
        return max(scores)
    if aggregate == "mean":
        return sum(scores) / len(scores)
    return sum(score * weight for score, weight in zip(scores, weights, strict=True)) / (sum(weights) or 1.0)
