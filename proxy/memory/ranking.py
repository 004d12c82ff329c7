"""The lists of one search → one list of memories and turns with scores from 0 to 1. Pure functions of ids and scores.

*Fusion.* Raw scores of meaning and of words don't compare (cosine against BM25), so each list is first scaled to its own range:
min-max fusion, as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (TOIS 2023).

*Keys.* A memory that was extracted from a turn is another way to find that turn, and lifts it.

*Conversation.* What was said in one conversation belongs together: its best part lifts the others. Ids tell who was said where
(``core/places``), so nothing is read for it. What neighbouring turns have to do with each other is in their vectors (``indexing``).

``docs/benchmarks.md`` says what each part gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from proxy.core.models import ScoredMemory, Scores
from proxy.core.places import conversation_of, has_place, turn_of
from proxy.memory.store import Choice, Hit, Hits, Pick

LEAST_WORDS = 0.25
"""The share of the best one's BM25 score that lets a hit in which is not near."""
LEAST_WORDS_ALONE = 0.5
"""The same where words are all there is, and nothing says that what has only some common ones is far."""
MAX_PASSED_OVER = 10
"""So many of those that a search did not choose are kept for whoever asks why."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much, 0 to 1 each. *dense*: meaning; the words have the rest.

    *memory*: what a turn gets of the best score among the memories that were extracted from it. *session*: what all get of the best
    in their conversation. *importance* and *recency* are added; recency halves in *recency_days*.
    """

    dense: float = 0.5
    memory: float = 0.5
    session: float = 0.5
    importance: float = 0.02
    recency: float = 0.01
    recency_days: float = 30

    @property
    def most(self) -> float:
        """The best score that there can be."""
        return (1 + self.memory) * (1 + self.session) + self.importance + self.recency


WEIGHTS = Weights()


def rank(hits: Hits, *, min_score: float, limit: int, weights: Weights = WEIGHTS) -> list[Choice]:
    """The best *limit*, best first. One hit at least must be near, which is a cosine similarity of *min_score*; else it is nothing.

    Of the others, what is neither near nor has enough of the words is there only because lists have a length.
    Without dense lists (the embedder is out of order) the words decide alone.
    """
    nearest = max((hit.score for hit in (*hits.dense, *hits.turns_dense)), default=None)
    if nearest is not None and nearest < min_score:
        return []
    least_words = LEAST_WORDS_ALONE if nearest is None else LEAST_WORDS
    memories = _fused(hits.dense, hits.sparse, min_score, least_words, weights.dense)
    turns = _fused(hits.turns_dense, hits.turns_sparse, min_score, least_words, weights.dense)
    lent = _best((turn_of(each), weights.memory * score) for each, score in memories.items() if has_place(each))
    scores = memories | {turn: turns.get(turn, 0.0) + lent.get(turn, 0.0) for turn in turns | lent}
    where = {each: conversation_of(each) for each in scores if has_place(each)}
    best_in = _best((where[each], weights.session * scores[each]) for each in where)
    session = {each: best_in[conversation] for each, conversation in where.items()}
    lifted = {each: score + session.get(each, 0.0) for each, score in scores.items()}
    best = sorted(lifted, key=lifted.__getitem__, reverse=True)[:limit]
    return _explained(best, lifted, hits, lent, session)


def _fused(dense: Sequence[Hit], sparse: Sequence[Hit], min_score: float, least_words: float, share: float) -> dict[str, float]:
    """The union of two lists, by id; *share* is that of the dense one."""
    near, fitting = _scaled(dense), _scaled(sparse)
    enough = least_words * max((hit.score for hit in sparse), default=0.0)
    let_in = [id_ for id_, score in dense if score >= min_score] + [id_ for id_, score in sparse if score >= enough > 0]
    return {each: share * near.get(each, 0.0) + (1 - share) * fitting.get(each, 0.0) for each in let_in}


def _scaled(hits: Sequence[Hit]) -> dict[str, float]:
    """Scores by memory, the least 0 and the greatest 1; a list of equals is all ones."""
    if not hits:
        return {}
    scores = [hit.score for hit in hits]
    least, most = min(scores), max(scores)
    return {id_: (score - least) / (most - least) if most > least else 1.0 for id_, score in hits}


def _best(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, score in scores:
        if score >= best.get(name, 0.0):
            best[name] = score
    return best


def _explained(
    chosen: Sequence[str], scores: Mapping[str, float], hits: Hits, lent: Mapping[str, float], session: Mapping[str, float]
) -> list[Choice]:
    dense, sparse = dict((*hits.dense, *hits.turns_dense)), dict((*hits.sparse, *hits.turns_sparse))
    return [
        Choice(
            each,
            scores[each],
            Scores(dense.get(each), sparse.get(each), session=session.get(each, 0.0), neighbour=lent.get(each, 0.0)),
        )
        for each in chosen
    ]


def weighed(found: Iterable[ScoredMemory], now: datetime, weights: Weights = WEIGHTS) -> list[ScoredMemory]:
    """*found* with their importance and recency counted in, so that they decide between equals; scores are from 0 to 1.

    Recency that does more than break ties finds less (measured); so do opinions about what is important.
    """
    most = weights.most
    return sorted((_weighed(each, now, weights, most) for each in found), key=lambda each: each.score, reverse=True)


def _weighed(found: ScoredMemory, now: datetime, weights: Weights, most: float) -> ScoredMemory:
    memory, scores = found.memory, found.scores
    age_days = max(0.0, (now - (memory.last_accessed_at or memory.created_at)).total_seconds() / 86_400)
    importance = weights.importance * memory.importance
    recency = weights.recency * 0.5 ** (age_days / weights.recency_days)
    score = min(1.0, (found.score + importance + recency) / most)  # rounding may lead beyond
    # Not dataclasses.replace: it takes three times as long, and this is done for all that was found.
    scores = Scores(scores.dense, scores.sparse, scores.session, scores.neighbour, importance, recency)
    return ScoredMemory(memory, score, scores, found.vector)


@dataclass(frozen=True, slots=True)
class Observed:
    """*pick*, and what it *passed_over*: the nearest hits that it did not choose, each with the score that says how near.

    Two of the same *pick* are equal, so that a search is known again (``recent``); what is known is not ranked once more.
    """

    pick: Pick
    passed_over: list[Choice] = field(default_factory=list, compare=False)

    def __call__(self, hits: Hits) -> Sequence[Choice]:
        choices = self.pick(hits)
        self.passed_over[:] = _passed_over(hits, {each.id for each in choices})
        return choices


def _passed_over(hits: Hits, chosen: Collection[str]) -> list[Choice]:
    """By meaning; by words only if there is nothing else."""
    if hits.dense or hits.turns_dense:
        return [Choice(id_, 0.0, Scores(dense=score)) for id_, score in _nearest(hits.dense, hits.turns_dense, chosen)]
    return [Choice(id_, 0.0, Scores(sparse=score)) for id_, score in _nearest(hits.sparse, hits.turns_sparse, chosen)]


def _nearest(memories: Sequence[Hit], turns: Sequence[Hit], chosen: Collection[str]) -> list[Hit]:
    others = [hit for each in (memories, turns) for hit in islice((hit for hit in each if hit.id not in chosen), MAX_PASSED_OVER)]
    return sorted(others, key=lambda hit: hit.score, reverse=True)[:MAX_PASSED_OVER]
