"""The lists of one search → one list of memories and turns with scores from 0 to 1. Pure functions of ids and scores.

*Fusion.* Raw scores of meaning and of words don't compare (cosine against BM25), so each list is first scaled to its own range:
min-max fusion, as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (TOIS 2023).

*Keys.* A memory that was extracted from a turn is another way to find that turn, and lifts it.

*Conversation.* What was said in one conversation belongs together: its best part lifts the others. Ids tell who was said where
(``core/places``), so nothing is read for it. What neighbouring turns have to do with each other is in their vectors (``indexing``).

``docs/benchmarks.md`` says what each part gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from proxy.core.models import ScoredMemory, Scores
from proxy.core.places import conversation_of, has_place, turn_of
from proxy.memory.store import Choice, Hit, Hits

DENSE_WEIGHT = 0.5
MEMORY_WEIGHT = 0.5
"""What a turn gets of the best score among the memories that were extracted from it."""
SESSION_WEIGHT = 0.5
LEAST_WORDS = 0.25
"""The share of the best one's BM25 score that lets a hit in which is not near."""
IMPORTANCE_WEIGHT = 0.02
RECENCY_WEIGHT = 0.01
RECENCY_DAYS = 30
_MOST = (1 + MEMORY_WEIGHT) * (1 + SESSION_WEIGHT) + IMPORTANCE_WEIGHT + RECENCY_WEIGHT


def rank(hits: Hits, *, min_score: float, limit: int) -> list[Choice]:
    """The best *limit*, best first. One hit at least must be near, which is a cosine similarity of *min_score*; else it is nothing.

    Of the others, what is neither near nor has enough of the words is there only because lists have a length.
    """
    nearest = max((hit.score for hit in (*hits.dense, *hits.turns_dense)), default=-1.0)
    if nearest < min_score:
        return []
    memories = _fused(hits.dense, hits.sparse, min_score)
    turns = _fused(hits.turns_dense, hits.turns_sparse, min_score)
    lifted = _with_conversations({**memories, **_with_memories(turns, memories)})
    return sorted(lifted, key=lambda each: each.score, reverse=True)[:limit]


def _fused(dense: Sequence[Hit], sparse: Sequence[Hit], min_score: float) -> dict[str, Choice]:
    """The union of two lists by id."""
    near, fitting = _scaled(dense), _scaled(sparse)
    cosines, words = ({hit.id: hit.score for hit in hits} for hits in (dense, sparse))
    enough = LEAST_WORDS * max(words.values(), default=0.0)
    return {
        each: Choice(
            each,
            DENSE_WEIGHT * near.get(each, 0.0) + (1 - DENSE_WEIGHT) * fitting.get(each, 0.0),
            Scores(dense=cosines.get(each), sparse=words.get(each)),
        )
        for each in cosines | words
        if cosines.get(each, -1.0) >= min_score or words.get(each, 0.0) >= enough > 0
    }


def _scaled(hits: Sequence[Hit]) -> dict[str, float]:
    """Scores by memory, the least 0 and the greatest 1; a list of equals is all ones."""
    if not hits:
        return {}
    least, most = min(hit.score for hit in hits), max(hit.score for hit in hits)
    return {hit.id: (hit.score - least) / (most - least) if most > least else 1.0 for hit in hits}


def _with_memories(turns: Mapping[str, Choice], memories: Mapping[str, Choice]) -> dict[str, Choice]:
    """*turns*, and those of which only a memory was found, each lifted by the best of its memories."""
    best = _best((turn_of(each), choice.score) for each, choice in memories.items() if has_place(each))
    found = {**{turn: Choice(turn, 0.0) for turn in best}, **turns}
    return {turn: _lifted(choice, neighbour=MEMORY_WEIGHT * best.get(turn, 0.0)) for turn, choice in found.items()}


def _with_conversations(found: Mapping[str, Choice]) -> list[Choice]:
    """Each lifted by the best of its conversation, which may be itself."""
    best = _best((conversation_of(each), choice.score) for each, choice in found.items() if has_place(each))
    return [
        _lifted(choice, session=SESSION_WEIGHT * best[conversation_of(each)] if has_place(each) else 0.0)
        for each, choice in found.items()
    ]


def _best(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, score in scores:
        best[name] = max(score, best.get(name, 0.0))
    return best


def _lifted(choice: Choice, **parts: float) -> Choice:
    return replace(choice, score=choice.score + sum(parts.values()), scores=replace(choice.scores, **parts))


def weighed(found: Iterable[ScoredMemory], now: datetime) -> list[ScoredMemory]:
    """*found* with their importance and recency counted in, so that they decide between equals; scores are from 0 to 1.

    Recency that does more than break ties finds less (measured); so do opinions about what is important.
    """
    return sorted((_weighed(each, now) for each in found), key=lambda each: each.score, reverse=True)


def _weighed(found: ScoredMemory, now: datetime) -> ScoredMemory:
    memory = found.memory
    age_days = max(0.0, (now - (memory.last_accessed_at or memory.created_at)).total_seconds() / 86_400)
    importance = IMPORTANCE_WEIGHT * memory.importance
    recency = RECENCY_WEIGHT * 0.5 ** (age_days / RECENCY_DAYS)
    score = (found.score + importance + recency) / _MOST
    return replace(found, score=score, scores=replace(found.scores, importance=importance, recency=recency))
