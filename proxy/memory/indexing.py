"""What of a memory is indexed: the text that is embedded, the words that are counted, and for a turn also what stands beside it.

A memory stands alone; a turn doesn't. "Yes, in May!" is only found by what was said before and after it, while a long message
says itself what it is about. So a turn borrows from its neighbours, the less the longer it is:

    dense  = unit(own + a · (before + after)),      a = .3 · min(1, 10 / words)
    sparse = max(own, c · before, c · after),       c = .4 · min(1, 30 / words)

with the neighbours' own vectors, and BM25 weights by term. On public conversations this finds .08 more of what was asked for
than the own text alone (``docs/benchmarks.md``).
Who said it and when is part of the text: people ask "what did Ann do in May?". The date is spelt as it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.models import Memory
from proxy.memory.embedder import Vector, unit_vector
from proxy.memory.store import SparseEncoder, SparseVector

DENSE_SHARE = 0.3
DENSE_WORDS = 10
SPARSE_SHARE = 0.4
SPARSE_WORDS = 30


def dense_text(memory: Memory) -> str:
    """What is embedded."""
    return f"{memory.speaker} ({memory.created_at:%Y-%m-%d}): {memory.content}" if memory.speaker else memory.content


def sparse_text(memory: Memory) -> str:
    """What is searched by its words."""
    if not memory.speaker:
        return memory.content
    when = memory.created_at
    return f"{memory.speaker} ({when.day} {when:%B %Y}): {memory.content}"


def dense_vector(memory: Memory, own: Vector, around: Sequence[Vector]) -> Vector:
    """*own*, the vector of its text, with what it borrows from those of the turns *around* it. Of unit length, as they are."""
    share = _share(memory, DENSE_SHARE, DENSE_WORDS)
    return unit_vector([value + share * sum(others) for value, *others in zip(own, *around, strict=True)])


def sparse_vector(encoder: SparseEncoder, memory: Memory, around: Sequence[Memory]) -> SparseVector:
    """The weights of its words, with what it borrows from the turns *around* it."""
    share = _share(memory, SPARSE_SHARE, SPARSE_WORDS)
    weights = _weights(encoder, memory)
    for other in around:
        for term, weight in _weights(encoder, other).items():
            weights[term] = max(weights.get(term, 0.0), share * weight)
    return SparseVector(list(weights), list(weights.values()))


def _weights(encoder: SparseEncoder, memory: Memory) -> dict[int, float]:
    words = encoder.document(sparse_text(memory))
    return dict(zip(words.indices, words.values, strict=True))


def _share(memory: Memory, most: float, words: int) -> float:
    return most * min(1.0, words / max(1, len(memory.content.split())))
