"""What is shown of what was found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from proxy.core.models import TURN, Memory, Owner, ScoredMemory
from proxy.core.places import conversation, memory_id, turn_id
from proxy.memory.selection import LeftOut, Present, head, select_memories, select_turns
from tests.fakes import word_vector

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TALK = conversation(Owner("ann"), "s")


def found(content: str, **fields: object) -> ScoredMemory:
    memory = Memory(id=str(uuid4()), content=content, created_at=NOW, updated_at=NOW)
    return ScoredMemory(replace(memory, **fields), 0.5, vector=partial(word_vector, content))


def turn(content: str, at: int = 0, **fields: object) -> ScoredMemory:
    return found(content, id=turn_id(TALK, at), type=TURN, **fields)


def contents(chosen: list[ScoredMemory]) -> list[str]:
    return [each.memory.content for each in chosen]


def test_the_first_so_many_are_shown_memories_and_turns_apart():
    all_found = [found("tea"), turn("jazz", 1), found("rain"), turn("snow", 2), found("sun"), turn("wind", 3)]
    memories = select_memories(all_found, Present(), limit=2)
    assert contents(memories) == ["tea", "rain"]
    assert contents(select_turns(all_found, Present(), memories, limit=2)) == ["jazz", "snow"]


def test_what_the_conversation_was_shown_is_not_shown_again():
    tea, jazz = found("tea"), turn("jazz")
    present = Present(ids=frozenset({tea.memory.id, jazz.memory.id}))
    assert select_memories([tea], present, limit=5) == select_turns([jazz], present, [], limit=5) == []


def test_what_was_edited_since_it_was_shown_is_shown_again():
    tea = found("Likes tea")
    shown_at = tea.memory.updated_at
    present = Present(ids=frozenset({tea.memory.id}), shown_at={tea.memory.id: shown_at})
    assert select_memories([tea], present, limit=5) == []
    edited = replace(tea, memory=replace(tea.memory, content="Likes coffee", updated_at=shown_at + timedelta(microseconds=1)))
    assert select_memories([edited], present, limit=5) == [edited]


def test_a_message_of_the_conversation_itself_is_not_shown():
    present = Present(texts=frozenset(map(head, [" I live in Oslo \n", "long " * 1000])))
    all_found = [turn("I live in Oslo", 1), turn("long " * 500, 2), turn("I live in Rome", 3)]
    assert contents(select_turns(all_found, present, [], limit=5)) == ["I live in Rome"]


def test_a_memory_that_says_what_a_message_says_is_shown():
    present = Present(texts=frozenset(["Likes tea"]))
    assert contents(select_memories([found("Likes tea")], present, limit=5)) == ["Likes tea"]


def test_a_message_of_the_conversation_that_lost_its_secret_is_not_shown_either():
    said = "My key is [redacted: API key]"
    present = Present(session="s")
    all_found = [turn(said, 1, session="s"), turn(said, 2, session="another"), turn("other words", 3, session="s")]
    assert [each.memory.session for each in select_turns(all_found, present, [], limit=5)] == ["another", "s"]


def test_a_turn_is_not_shown_beside_its_memory():
    said, other = turn("I drink green tea all day", 1), turn("It rains", 2)
    extracted = found("Likes tea", id=memory_id(said.memory.id, "Likes tea"))
    pointing = found("Drinks tea", turns=(said.memory.id,))
    for memory in (extracted, pointing):
        assert select_turns([said, other], Present(), [memory], limit=5) == [other]


def test_a_turn_is_not_shown_after_its_memory_was():
    said = turn("I drink green tea all day", 1)
    shown = Present(ids=frozenset([memory_id(said.memory.id, "Likes tea"), "5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6"]))
    assert select_turns([said], shown, [], limit=5) == []


def test_five_phrasings_of_one_thing_are_one():
    phrasings = [
        "likes green tea a lot",
        "a lot likes green tea",
        "likes a lot green tea",
        "green tea likes a lot",
        "green tea a lot likes",
    ]
    assert contents(select_memories([*map(found, phrasings), found("plays jazz")], Present(), limit=5)) == [
        "likes green tea a lot",
        "plays jazz",
    ]


@pytest.mark.parametrize(
    "other",
    [
        "has 3 cats and a garden with trees",
        "has not 2 cats and a garden with trees",
        "has 2 cats and no garden with trees",
        "hasn't 2 cats and a garden with trees",
    ],
)
def test_a_number_or_a_negation_makes_another_thing_of_it(other: str):
    assert len(select_memories([found("has 2 cats and a garden with trees"), found(other)], Present(), limit=5)) == 2


def test_a_turn_that_says_what_a_chosen_memory_says_is_left_out():
    memories = [found("likes green tea")]
    assert select_turns([turn("Likes green tea!")], Present(), memories, limit=5) == []


def test_without_vectors_only_equals_are_one():
    bare = [replace(found(each), vector=tuple) for each in ("likes tea", "likes tea", "tea likes")]
    assert contents(select_memories(bare, Present(), limit=5)) == ["likes tea", "tea likes"]


def test_of_what_is_left_out_it_says_why():
    jazz, tea, wet = found("jazz"), found("tea", id=memory_id(turn_id(TALK, 1), "tea")), found("rain")
    all_found = [jazz, tea, turn("I like tea", 1), wet, found("rain"), turn("so I said", 2), turn("snow", 3), found("sun")]
    dropped: dict[str, LeftOut] = {}
    present = Present(ids=frozenset({jazz.memory.id}), texts=frozenset({"so I said"}))
    memories = select_memories(all_found, present, limit=2, drop=dropped.setdefault)
    select_turns(all_found, present, memories, limit=0, drop=dropped.setdefault)
    assert contents(memories) == ["tea", "rain"]
    assert [dropped.get(each.memory.id) for each in all_found] == [
        LeftOut("shown"),
        None,
        LeftOut("turn", tea.memory.id),
        None,
        LeftOut("limit"),
        LeftOut("said"),
        LeftOut("limit"),
        LeftOut("limit"),
    ]
    dropped.clear()
    select_memories(all_found, present, limit=5, drop=dropped.setdefault)
    assert dropped[all_found[4].memory.id] == LeftOut("same", wet.memory.id)
