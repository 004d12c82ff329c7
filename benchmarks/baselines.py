"""What plain retrieval finds: the turns by cosine similarity, by BM25, and by reciprocal rank fusion of both."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import qdrant_edge

from benchmarks.corpus import Person
from benchmarks.retrieval import Item, Ranking
from proxy.memory.embedder import Embedder

RRF_K = 60
DEPTH = 50
"""How far down the lists go."""


class Baselines:
    """The plain texts of one person's turns under three indexes, each of them whole in memory."""

    def __init__(self, person: Person, vectors: np.ndarray, embedder: Embedder) -> None:
        self._items = [Item(frozenset({turn.id}), turn.plain) for turn in person.turns]
        self._vectors = vectors
        self._embedder = embedder
        self._words = _Bm25([turn.plain for turn in person.turns])

    @classmethod
    async def of(cls, person: Person, embedder: Embedder) -> Baselines:
        vectors = await embedder.embed_documents([turn.plain for turn in person.turns])
        return cls(person, np.array(vectors, dtype=np.float32), embedder)

    async def find(self, question: str) -> dict[str, Ranking]:
        """Rankings by the name of the baseline."""
        started = perf_counter()
        vector = await self._embedder.embed_query(question)
        dense = _best(self._vectors @ np.array(vector, dtype=np.float32))
        compared = perf_counter()
        sparse = _best(self._words.scores(question))
        looked_up = perf_counter()
        fused = fuse(dense, sparse)
        ended = perf_counter()
        return {
            "dense": self._ranking(dense, compared - started),
            "bm25": self._ranking(sparse, looked_up - compared),
            "rrf60": self._ranking(fused, ended - started),
        }

    def _ranking(self, places: Sequence[int], seconds: float) -> Ranking:
        return Ranking([self._items[place] for place in places], seconds * 1000)


def fuse(*rankings: Sequence[int]) -> list[int]:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009) with their constant."""
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, each in enumerate(ranking, start=1):
            scores[each] += 1 / (RRF_K + rank)
    return sorted(scores, key=scores.__getitem__, reverse=True)[:DEPTH]


class _Bm25:
    """Qdrant's BM25 as it comes, k1 1.2 and b .75, so that what we tune doesn't move the baseline."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._encoder = qdrant_edge.Bm25()
        self._documents: list[dict[int, float]] = []
        for text in texts:
            words = self._encoder.embed_document(text)
            self._documents.append(dict(zip(words.indices, words.values, strict=True)))
        self._frequencies = Counter(word for each in self._documents for word in each)

    def scores(self, question: str) -> np.ndarray:
        """One score for each text."""
        weights = {word: self._rarity(word) for word in self._encoder.embed_query(question).indices}
        return np.array([sum(weight * each.get(word, 0.0) for word, weight in weights.items()) for each in self._documents])

    def _rarity(self, word: int) -> float:
        found, texts = self._frequencies[word], len(self._documents)
        return math.log(1 + (texts - found + 0.5) / (found + 0.5))


def _best(scores: np.ndarray) -> list[int]:
    """The places of the highest scores, best first; what has nothing in common is not found."""
    return [int(place) for place in np.argsort(-scores, kind="stable")[:DEPTH] if scores[place] > 0]
