"""What of a memory is indexed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.core.models import TURN, Memory
from proxy.memory.edge import Bm25Encoder
from proxy.memory.indexing import dense_text, dense_vector, sparse_text, sparse_vector
from proxy.memory.store import SparseVector

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIVE_WORDS = "one two three four five"


def turn(content: str, **fields: object) -> Memory:
    memory = Memory(id="t", content=content, type=TURN, created_at=NOW, updated_at=NOW)
    return replace(memory, **fields)


def weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))


def test_who_said_it_and_when_is_indexed_with_it():
    said = turn("I moved to Oslo", speaker="Ann")
    assert (dense_text(said), sparse_text(said)) == ("Ann (2026-03-01): I moved to Oslo", "Ann (1 March 2026): I moved to Oslo")


def test_what_nobody_is_named_for_is_indexed_as_it_is():
    said = turn("I moved to Oslo")
    assert (dense_text(said), sparse_text(said)) == ("I moved to Oslo", "I moved to Oslo")


def test_alone_a_turn_keeps_its_own_direction():
    assert dense_vector(turn("x"), [0.6, 0.8], []) == pytest.approx([0.6, 0.8])
    assert weights(sparse_vector(Bm25Encoder(), turn("green tea"), [])) == weights(Bm25Encoder().document("green tea"))


@pytest.mark.parametrize(("content", "share"), [(FIVE_WORDS, 0.3), (FIVE_WORDS * 2, 0.3), (" ".join([FIVE_WORDS] * 6), 0.1)])
def test_the_shorter_a_turn_the_more_of_its_direction_is_that_of_its_neighbours(content: str, share: float):
    x, y = dense_vector(turn(content), [1.0, 0.0], [[0.0, 1.0]])
    assert (y / x, x * x + y * y) == (pytest.approx(share), pytest.approx(1.0))


def test_two_neighbours_count_both():
    x, y, z = dense_vector(turn("x"), [1.0, 0.0, 0.0], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert (y / x, z / x) == (pytest.approx(0.3), pytest.approx(0.3))


@pytest.mark.parametrize(("length", "share"), [(1, 0.4), (30, 0.4), (60, 0.2), (300, 0.04)])
def test_the_shorter_a_turn_the_more_its_neighbours_words_count(length: int, share: float):
    encoder = Bm25Encoder()
    own, borrowed = (weights(encoder.document(text)) for text in ("word " * length, "green tea"))
    found = weights(sparse_vector(encoder, turn("word " * length), [turn("green tea")]))
    assert found == own | {term: pytest.approx(share * weight) for term, weight in borrowed.items()}


def test_a_word_of_its_own_does_not_count_for_less():
    encoder = Bm25Encoder()
    own = weights(encoder.document("tea"))
    assert weights(sparse_vector(encoder, turn("tea"), [turn("tea tea"), turn("tea")])) == own
