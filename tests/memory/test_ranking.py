"""The lists of a search, fused into one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.models import Memory, Owner, ScoredMemory, Scores
from proxy.core.places import conversation, memory_id, turn_id
from proxy.memory.ranking import MAX_PASSED_OVER, Observed, Weights, rank, weighed
from proxy.memory.store import Choice, Hit, Hits

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TALK, ANOTHER = (conversation(Owner("ann"), each) for each in ("s", "t"))


def hits(scores: dict[str, float]) -> list[Hit]:
    return [Hit(name, score) for name, score in scores.items()]


def ranked(
    dense: dict[str, float], sparse: dict[str, float] | None = None, *, min_score: float = 0.25, limit: int = 5
) -> list[str]:
    found = rank(Hits(hits(dense), hits(sparse or {})), min_score=min_score, limit=limit)
    return [each.id for each in found]


def test_the_nearest_comes_first():
    assert ranked({"a": 0.5, "b": 0.9, "c": 0.7}) == ["b", "c", "a"]


def test_words_lift_a_memory():
    assert ranked({"a": 0.9, "b": 0.85, "c": 0.3}, {"b": 7.0, "c": 1.0}) == ["b", "a", "c"]


def test_nothing_is_found_unless_something_is_near():
    assert ranked({"a": 0.2499}, {"a": 7.0, "b": 9.0}) == []
    assert ranked({"a": 0.25}) == ["a"]


def test_what_is_far_and_shares_few_words_is_left_out():
    assert ranked({"a": 0.9, "b": 0.25, "c": 0.2499}) == ["a", "b"]
    assert ranked({"a": 0.9, "b": 0.1, "c": 0.1}, {"a": 10.0, "b": 2.5, "c": 2.4, "d": 5.0, "e": 2.0}) == ["a", "d", "b"]


def test_at_most_so_many_are_found():
    assert ranked({"a": 0.9, "b": 0.8, "c": 0.7}, limit=2) == ["a", "b"]


def test_equals_stay_in_the_order_of_the_search():
    assert ranked({"b": 0.5, "a": 0.5, "c": 0.5}) == ["b", "a", "c"]


def test_nothing_is_found_in_nothing():
    assert ranked({}) == []


def test_without_vectors_the_words_decide_alone():
    assert ranked({}, {"a": 4.0, "b": 8.0, "c": 3.9}) == ["b", "a"]


def test_a_memory_lifts_the_turn_that_it_was_extracted_from():
    first, second, third = (turn_id(TALK, at) for at in range(3))
    extracted, other = memory_id(second, "x"), memory_id(third, "y")
    found = rank(
        Hits(hits({extracted: 0.9, other: 0.5}), [], hits({first: 0.8, second: 0.7, third: 0.6}), []), min_score=0.25, limit=9
    )
    session = 0.5 * 0.5
    assert {each.id: each for each in found} == {
        first: Choice(first, 0.5 + session, Scores(dense=0.8, session=session)),
        second: Choice(second, pytest.approx(0.5 + session), Scores(dense=0.7, neighbour=0.25, session=session)),
        third: Choice(third, session, Scores(dense=0.6, session=session)),
        extracted: Choice(extracted, 0.5 + session, Scores(dense=0.9, session=session)),
        other: Choice(other, session, Scores(dense=0.5, session=session)),
    }


def test_a_turn_is_found_by_its_memory_alone():
    turn = turn_id(TALK, 7)
    extracted = memory_id(turn, "x")
    found = rank(Hits(hits({extracted: 0.9}), []), min_score=0.25, limit=9)
    assert [(each.id, each.scores.neighbour) for each in found] == [(extracted, 0.0), (turn, 0.25)]


def test_the_best_of_a_conversation_lifts_the_others():
    here, there, beside = turn_id(TALK, 1), turn_id(ANOTHER, 1), turn_id(ANOTHER, 2)
    alone = "5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6"
    found = rank(Hits([], [], hits({there: 1.0, here: 0.8, alone: 0.8, beside: 0.6}), []), min_score=0.25, limit=9)
    assert [(each.id, round(each.scores.session, 3), round(each.score, 3)) for each in found] == [
        (there, 0.25, 0.75),
        (here, 0.125, 0.375),
        (alone, 0.0, 0.25),
        (beside, 0.25, 0.25),
    ]


def test_weights_say_what_counts():
    dense, sparse = hits({"a": 0.9, "b": 0.8, "c": 0.7}), hits({"c": 9.0, "b": 8.5, "a": 1.0})
    first = {
        share: rank(Hits(dense, sparse), min_score=0.25, limit=1, weights=Weights(dense=share))[0].id for share in (0, 0.5, 1)
    }
    assert first == {0: "c", 0.5: "b", 1: "a"}


def test_without_weight_neither_memories_nor_conversations_lift():
    turn = turn_id(TALK, 1)
    lists = Hits(hits({memory_id(turn, "x"): 0.9}), [], hits({turn: 0.8}), [])
    found = rank(lists, min_score=0.25, limit=9, weights=Weights(memory=0, session=0))
    assert [(each.score, each.scores.neighbour, each.scores.session) for each in found] == [(0.5, 0.0, 0.0)] * 2


def scored(score: float, **fields: object) -> ScoredMemory:
    memory = Memory(id=str(score), content="x", created_at=NOW - timedelta(days=400), updated_at=NOW)
    return ScoredMemory(replace(memory, **fields), score)


def test_between_equals_the_more_important_and_then_the_newer_comes_first():
    old, important, new = scored(1.0), scored(1.0, importance=0.9), scored(1.0, created_at=NOW)
    assert [each.memory for each in weighed([old, new, important], NOW)] == [new.memory, important.memory, old.memory]


def test_a_better_one_comes_first_however_old_it_is():
    assert [each.memory.id for each in weighed([scored(1.0, created_at=NOW, importance=1.0), scored(1.05)], NOW)] == [
        "1.05",
        "1.0",
    ]


def test_what_was_said_again_lately_counts_as_new():
    again = scored(1.0, last_accessed_at=NOW)
    assert weighed([again], NOW)[0].scores == Scores(importance=0.01, recency=0.01)


def test_what_was_said_a_moment_from_now_is_new():
    assert weighed([scored(1.0, created_at=NOW + timedelta(days=9))], NOW)[0].scores.recency == 0.01


def test_what_importance_and_age_add_can_be_set():
    weights = Weights(memory=0, session=0, importance=0.5, recency=0.5, recency_days=10)
    [found] = weighed([scored(1.0, created_at=NOW - timedelta(days=20), importance=0.4)], NOW, weights)
    assert (found.score, found.scores) == (pytest.approx((1.0 + 0.2 + 0.125) / 2), Scores(importance=0.2, recency=0.125))


_IDS = st.sampled_from([*"abcd", *(turn_id(TALK, at) for at in range(3)), memory_id(turn_id(TALK, 1), "x")])
_COSINES = st.dictionaries(_IDS, st.floats(-1, 1), max_size=8).map(hits)
_WEIGHTS = st.dictionaries(_IDS, st.floats(0, 50), max_size=8).map(hits)


@settings(deadline=None)
@given(
    st.builds(Hits, _COSINES, _WEIGHTS, _COSINES, _WEIGHTS),
    st.floats(0, 1),
    st.integers(1, 5),
    st.just(Weights()) | st.builds(Weights, *[st.floats(0, 1)] * 5, st.integers(1, 36_500)),
)
def test_scores_are_from_0_to_1_and_fall(lists: Hits, min_score: float, limit: int, weights: Weights):
    found = rank(lists, min_score=min_score, limit=limit, weights=weights)
    final = weighed([replace(scored(1.0, importance=1.0, created_at=NOW), score=each.score) for each in found], NOW, weights)
    assert len(found) <= limit
    assert all(0 <= each.score <= 1 for each in final)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    near = [each.score for each in (*lists.dense, *lists.turns_dense)]
    assert not found or not near or max(near) >= min_score


def test_what_is_passed_over_is_kept_the_nearest_first():
    observed = Observed(partial(rank, min_score=0.5, limit=2))
    dense, turns = hits({"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.1}), hits({"t": 0.4})
    assert [each.id for each in observed(Hits(dense, hits({"w": 9.0}), turns, []))] == ["a", "w"]
    assert observed.passed_over == [Choice(id_, 0.0, Scores(dense=score)) for id_, score in [*dense[1:3], *turns, dense[3]]]
    observed(Hits(hits({f"n{n}": 0.4 - n / 100 for n in range(30)}), []))
    assert [each.id for each in observed.passed_over] == [f"n{n}" for n in range(MAX_PASSED_OVER)]
    observed(Hits([], hits({"w": 9.0, "v": 1.0})))
    assert observed.passed_over == [Choice("v", 0.0, Scores(sparse=1.0))]


def test_observed_or_not_a_search_is_the_same():
    pick = partial(rank, min_score=0.5, limit=2)
    one, other = Observed(pick), Observed(pick)
    other(Hits(hits({"a": 0.1}), []))
    assert (one, hash(one)) == (other, hash(other))
    assert one != Observed(partial(rank, min_score=0.5, limit=2))
