"""How good rankings are: recall, hit rate, reciprocal rank, and the words that it takes.

An *item* stands for one or several turns: a turn for itself, a memory for the turns that it came from. What stands for
nothing but turns that are already in the list costs its words, and takes no place: places count turns, not phrasings.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.corpus import Question

CUTS = (1, 3, 5, 10)
ENOUGH = 0.72
"""The recall for which the words are counted."""
SKIPPED = "adversarial"
"""The category whose questions have no answer; its evidence is bait, so it is no part of the headline."""


@dataclass(frozen=True, slots=True)
class Item:
    turns: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """What was found, best first, in *ms* milliseconds."""

    items: Sequence[Item]
    ms: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A ranking beside what should have been found: by place, from 1, the share found so far and the words so far."""

    recall: list[float]
    words: list[int]
    ms: float

    def recall_at(self, place: int) -> float:
        return _at(self.recall, place)

    def words_at(self, place: int) -> float:
        return _at(self.words, place)

    @property
    def reciprocal_rank(self) -> float:
        return next((1 / place for place, share in enumerate(self.recall, start=1) if share), 0.0)


def judge(evidence: frozenset[str], ranking: Ranking) -> Judged:
    seen: set[str] = set()
    shares: list[float] = []
    counts: list[int] = []
    words = 0
    for item in ranking.items:
        words += len(item.text.split())
        if item.turns <= seen:
            continue
        seen |= item.turns
        shares.append(len(seen & evidence) / len(evidence))
        counts.append(words)
    return Judged(shares, counts, ranking.ms)


def _at(values: Sequence[float], place: int) -> float:
    """A list that is shorter has found all that it will."""
    return values[min(place, len(values)) - 1] if values else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over *questions*; *ms* is the median. *enough*: the least place at which recall is ``ENOUGH``, and its words."""

    questions: int
    recall: Mapping[int, float]
    hit: Mapping[int, float]
    mrr: float
    words: float
    ms: float
    enough: tuple[int, float] | None

    def as_json(self) -> dict[str, float]:
        return {
            "recall@1": self.recall[1],
            "recall@5": self.recall[5],
            "recall@10": self.recall[10],
            "hit@5": self.hit[5],
            "hit@10": self.hit[10],
            "mrr": self.mrr,
            "words@5": self.words,
        }


def figures(judged: Sequence[Judged]) -> Figures:
    """Of at least one ranking."""
    return Figures(
        questions=len(judged),
        recall={cut: _mean(judged, lambda each, cut=cut: each.recall_at(cut)) for cut in CUTS},  # type: ignore[misc]
        hit={cut: _mean(judged, lambda each, cut=cut: each.recall_at(cut) > 0) for cut in CUTS},  # type: ignore[misc]
        mrr=_mean(judged, lambda each: each.reciprocal_rank),
        words=_mean(judged, lambda each: each.words_at(5)),
        ms=statistics.median(each.ms for each in judged),
        enough=_enough(judged),
    )


def _mean(judged: Sequence[Judged], measure: Callable[[Judged], float]) -> float:
    return statistics.fmean(map(measure, judged))


def _enough(judged: Sequence[Judged]) -> tuple[int, float] | None:
    deepest = max(len(each.recall) for each in judged)
    for place in range(1, deepest + 1):
        if _mean(judged, lambda each, place=place: each.recall_at(place)) >= ENOUGH:  # type: ignore[misc]
            return place, _mean(judged, lambda each, place=place: each.words_at(place))  # type: ignore[misc]
    return None


@dataclass(frozen=True, slots=True)
class Injected:
    """What the model reads with a question: *notes* of so many *words* in all, and the *share* of the evidence among them.

    *share* is ``None`` for a question without evidence.
    """

    notes: int
    words: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Injections:
    """Means over *questions*. *silent*: the share of them with which nothing is injected."""

    questions: int
    notes: float
    words: float
    silent: float
    share: float | None

    def as_json(self) -> dict[str, float | None]:
        return {"notes": self.notes, "words": self.words, "silent": self.silent, "share": self.share}


def injections(injected: Sequence[Injected]) -> Injections:
    """Of at least one question."""
    shares = [each.share for each in injected if each.share is not None]
    return Injections(
        questions=len(injected),
        notes=statistics.fmean(each.notes for each in injected),
        words=statistics.fmean(each.words for each in injected),
        silent=statistics.fmean(each.notes == 0 for each in injected),
        share=statistics.fmean(shares) if shares else None,
    )


@dataclass(slots=True)
class Board:
    """What one way of finding has found for each question, and what of it was injected, if it injects."""

    _judged: list[tuple[str, Judged]] = field(default_factory=list)
    _injected: list[tuple[str, Injected]] = field(default_factory=list)

    def add(self, question: Question, judged: Judged) -> None:
        self._judged.append((question.category, judged))

    def inject(self, question: Question, injected: Injected) -> None:
        self._injected.append((question.category, injected))

    def headline(self) -> Figures:
        return figures([judged for category, judged in self._judged if category != SKIPPED])

    def categories(self) -> dict[str, Figures]:
        names = sorted({category for category, _ in self._judged})
        return {name: figures([judged for category, judged in self._judged if category == name]) for name in names}

    def injected(self) -> dict[str, Injections]:
        names = sorted({category for category, _ in self._injected})
        return {name: injections([each for category, each in self._injected if category == name]) for name in names}
