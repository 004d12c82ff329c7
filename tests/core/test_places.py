from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.models import Owner
from proxy.core.places import (
    LAST_PLACE,
    beside,
    conversation,
    conversation_of,
    has_place,
    is_turn,
    memory_id,
    moved,
    place_of,
    turn_id,
    turn_of,
)

ANNA = Owner("anna")
SAID_IN = conversation(ANNA, "s1")
PLACES = st.integers(0, LAST_PLACE)


@given(PLACES)
def test_a_turns_id_tells_its_conversation_and_place(at):
    id_ = turn_id(SAID_IN, at)
    assert (str(UUID(id_)), UUID(id_).version, conversation_of(id_), place_of(id_), is_turn(id_)) == (id_, 8, SAID_IN, at, True)


@given(PLACES, st.text())
def test_a_memorys_id_tells_the_turn_that_it_was_said_in(at, content):
    turn = turn_id(SAID_IN, at)
    id_ = memory_id(turn, content)
    assert (str(UUID(id_)), UUID(id_).version, turn_of(id_), is_turn(id_)) == (id_, 8, turn, False)


def test_a_turn_is_said_in_itself():
    turn = turn_id(SAID_IN, 7)
    assert turn_of(turn) == turn


def test_the_same_memory_of_the_same_turn_has_the_same_id_and_any_other_another():
    ids = [memory_id(turn_id(SAID_IN, at), text) for at, text in [(1, "tea"), (1, "tea"), (1, "coffee"), (2, "tea")]]
    assert [ids.index(each) for each in ids] == [0, 0, 2, 3]


def test_conversations_of_other_owners_and_sessions_are_others():
    names = {conversation(*each) for each in [(ANNA, "s1"), (ANNA, "s2"), (Owner("bob"), "s1"), (Owner("anna", "acme"), "s1")]}
    assert len(names) == 4


def test_turns_stand_beside_each_other():
    turn = turn_id(SAID_IN, 5)
    assert (beside(turn, -1), beside(turn, 1)) == (turn_id(SAID_IN, 4), turn_id(SAID_IN, 6))
    assert (beside(turn_id(SAID_IN, 0), -1), beside(turn_id(SAID_IN, LAST_PLACE), 1)) == (None, None)


def test_any_other_uuid_has_no_place():
    assert not has_place("5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6")
    assert not is_turn("5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6")


def test_a_copy_has_an_id_of_its_own_and_on_the_way_back_the_same_again():
    bob, turn = Owner("bob"), turn_id(SAID_IN, 7)
    for id_ in (turn, memory_id(turn, "tea"), "5f8f4ee4-52d8-4f8e-9d0c-6a1d6b1a54a6", "5f8f4ee4-52d8-5f8e-9d0c-6a1d6b1a54a6"):
        copy = moved(ANNA, bob, id_)
        assert copy != id_
        assert (UUID(copy).version, is_turn(copy), has_place(copy)) == (UUID(id_).version, is_turn(id_), has_place(id_))
        assert (moved(bob, ANNA, copy), moved(ANNA, ANNA, id_)) == (id_, id_)
    assert beside(moved(ANNA, bob, turn), 1) == moved(ANNA, bob, beside(turn, 1))
    assert turn_of(moved(ANNA, bob, memory_id(turn, "tea"))) == moved(ANNA, bob, turn)
