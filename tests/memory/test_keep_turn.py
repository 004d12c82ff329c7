"""The user's messages, as turns with a place in their conversation."""

from dataclasses import replace
from datetime import timedelta

from proxy.core import places
from proxy.core.models import TURN, Memory
from proxy.memory.heard import MAX_REPLY_CHARS, MAX_TEXT_CHARS
from proxy.memory.remember import Keeping
from proxy.memory.store import Query
from tests.fakes import look, word_vector
from tests.memory.telling import ALL_TURNS, DAY, NOW, TURNS, answer, contents, memories, tell

KEY = "sk-" + "proj-" + "a1B2" * 12


def at(owner, place: int, session: str = "s1") -> str:
    return places.turn_id(places.conversation(owner, session), place)


async def test_a_message_is_kept_with_its_reply_and_where_it_came_from(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="My cat is ill", reply="Poor cat!", speaker="Ann", model="gpt", trace="t7"))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert turn == Memory(
        id=at(ann, 0),
        content="My cat is ill",
        created_at=NOW,
        updated_at=NOW,
        type=TURN,
        session="s1",
        valid_until=NOW + 365 * DAY,
        source="turn",
        trace="t7",
        model="gpt",
        speaker="Ann",
        reply="Poor cat!",
    )
    assert embedder.documents == [f"Ann ({NOW:%Y-%m-%d}): My cat is ill"]


async def test_turns_stand_behind_each_other_in_their_conversation(edge, embedder, ann):
    told = [("My cat is ill", "s1"), ("She eats grass", "s1"), ("Which vet?", "s1"), ("Plan a trip", "s2")]
    await tell(edge, embedder, *(answer(ann, text=text, session=session) for text, session in told))
    ids = {each.content: each.id for each in await edge.list(ann, TURNS, limit=9)}
    assert ids == {
        "My cat is ill": at(ann, 0),
        "She eats grass": at(ann, 1),
        "Which vet?": at(ann, 2),
        "Plan a trip": at(ann, 0, "s2"),
    }


async def test_turns_that_were_said_at_one_time_keep_their_order(edge, embedder, ann):
    texts = [f"Message about number {number}" for number in range(20)]
    await tell(edge, embedder, *(answer(ann, text=text, at=NOW) for text in texts))
    assert [each.content for each in reversed(await edge.list(ann, TURNS, limit=99))] == texts


async def test_without_a_session_a_request_is_a_conversation_of_its_own(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="My cat is ill", session=None, trace="t1"))
    await tell(edge, embedder, answer(ann, text="Plan a trip", session=None, trace="t2"))
    assert {each.id for each in await edge.list(ann, TURNS, limit=9)} == {at(ann, 0, "t1"), at(ann, 0, "t2")}


async def test_a_message_that_says_nothing_is_not_kept(edge, embedder, ann):
    await tell(edge, embedder, *(answer(ann, text=text) for text in ("", "  \n", "yes, do that", "ok thanks!", "Quetzal?")))
    assert await contents(edge, ann, TURNS) == ["Quetzal?"]


async def test_what_is_ours_and_what_is_secret_is_no_part_of_a_turn(edge, embedder, ann):
    frame = "<recalled_notes>\n- m1 (preference) Likes tea\n</recalled_notes>"
    text = f'{frame}\nMy key\nis {KEY}\n<memory>{{"memories":["Likes tea"]}}</memory>'
    figures = await tell(edge, embedder, answer(ann, text=text, reply=f"Your key {KEY}", speaker=f"a {KEY}"))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert (turn.content, turn.reply, turn.speaker) == (
        "My key\nis [redacted: API key]",
        "Your key [redacted: API key]",
        "a [redacted: API key]",
    )
    assert figures.as_dict() == {"turns": 1, "redacted": {"API key": 3}}
    assert not any(KEY in text for text in embedder.documents)


async def test_addresses_are_taken_out_of_turns_if_the_settings_say_so(edge, embedder, ann):
    said = answer(ann, text="Write to ann@example.com", reply="To ann@example.com?")
    await tell(edge, embedder, said, options=Keeping(redact_emails=True))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert (turn.content, turn.reply) == ("Write to [redacted: e-mail address]", "To [redacted: e-mail address]?")


async def test_a_turn_has_a_bound_and_no_half_characters(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="tea \ud83d" * 5000, reply="x" * 9000, speaker="y" * 999))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert turn.content == ("tea ?" * 5000)[:MAX_TEXT_CHARS]
    assert (turn.reply, turn.speaker) == ("x" * MAX_REPLY_CHARS, "y" * 100)


async def test_a_secret_that_the_bound_cuts_is_still_one(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="tea " * (MAX_TEXT_CHARS // 4 - 2) + f"key {KEY}"))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert "sk-" not in turn.content


async def test_the_same_message_again_stays_at_its_place_and_gets_the_new_reply(edge, embedder, ann):
    replies = ["", "Let me look.", "", "It is sunny."]
    told = [answer(ann, text="How is the weather?", reply=reply, at=NOW + i * DAY) for i, reply in enumerate(replies)]
    figures = await tell(edge, embedder, *told)
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert (turn.id, turn.reply, turn.access_count, turn.updated_at) == (at(ann, 0), "It is sunny.", 0, NOW + 3 * DAY)
    assert figures.as_dict() == {"turns": 1}
    assert len(embedder.documents) == 1


async def test_a_prompt_that_is_used_again_gains_weight_and_life_and_is_not_stored_again(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="Summarise my mail", reply="Two mails.", session="s1", at=NOW - 9 * DAY))
    figures = await tell(
        edge,
        embedder,
        answer(ann, text="summarise my mail!", session="s2"),
        answer(ann, text="And now the weather?", session="s2"),
    )
    turns = await memories(edge, ann, TURNS)
    again = turns["Summarise my mail"]
    assert (again.id, again.access_count, again.last_accessed_at) == (at(ann, 0), 1, NOW)
    assert (again.created_at, again.reply, again.valid_until) == (NOW - 9 * DAY, "Two mails.", NOW + 365 * DAY)
    assert turns["And now the weather?"].id == at(ann, 0, "s2")
    assert figures.as_dict() == {"turns": 1, "turns_restated": 1}


async def test_a_prompt_of_the_past_is_known_of_the_past(edge, embedder, ann):
    told = [answer(ann, text="Summarise my mail", session=f"s{days}", at=NOW - days * DAY) for days in (900, 800)]
    await tell(edge, embedder, *told)
    [turn] = await edge.list(ann, ALL_TURNS, limit=9)
    assert (turn.access_count, turn.valid_until) == (1, NOW - 435 * DAY)


async def test_a_turn_that_was_ended_is_said_anew(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="I live in Berlin", at=NOW - 2 * DAY))
    [turn] = await edge.list(ann, TURNS, limit=9)
    await edge.revise(ann, [replace(turn, valid_until=NOW - DAY)])
    await tell(edge, embedder, answer(ann, text="I live in Berlin"))
    assert {each.id for each in await edge.list(ann, ALL_TURNS, limit=9)} == {at(ann, 0), at(ann, 1)}
    assert [each.id for each in await edge.list(ann, TURNS, limit=9)] == [at(ann, 1)]


async def test_turns_without_a_limit_of_days_have_no_end(edge, embedder, ann):
    told = [answer(ann, text="My cat is ill", session=session) for session in ("s1", "s2")]
    await tell(edge, embedder, *told, options=Keeping(turn_days=0))
    [turn] = await edge.list(ann, TURNS, limit=9)
    assert (turn.valid_until, turn.access_count) == (None, 1)


async def test_a_message_that_asks_to_forget_is_not_kept(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, "Lives in Berlin", text="I moved to Berlin"))
    [memory] = await edge.list(ann, limit=9)
    said = answer(ann, forget=("m1",), text="Forget that I live in Berlin", shown={"m1": memory.id})
    figures = await tell(edge, embedder, said)
    assert await contents(edge, ann, ALL_TURNS) == ["I moved to Berlin"]
    assert figures.as_dict() == {"retired": 1}


async def test_an_earlier_round_of_a_message_that_asks_to_forget_goes_too(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, "Lives in Berlin", text="I moved to Berlin"))
    [memory] = await edge.list(ann, limit=9)
    said = answer(ann, text="Forget that I live in Berlin")
    await tell(edge, embedder, said, replace(answer(ann, forget=("m1",), shown={"m1": memory.id}), spoken=said.spoken))
    assert await contents(edge, ann, ALL_TURNS) == ["I moved to Berlin"]


async def test_to_forget_what_was_not_shown_forgets_nothing(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, forget=("m1",), text="Forget my address"))
    assert await contents(edge, ann, TURNS) == ["Forget my address"]


async def test_forgetting_without_a_message_leaves_the_turns(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, "Lives in Berlin", text="I moved to Berlin"), answer(ann, text="My cat is ill"))
    [memory] = await edge.list(ann, limit=9)
    shown = {"m1": memory.id}
    await tell(edge, embedder, answer(ann, forget=("m1",), shown=shown), answer(ann, forget=("m1",), text="ok", shown=shown))
    assert await contents(edge, ann, TURNS) == ["My cat is ill"]


async def test_a_memory_names_the_turn_that_said_it_and_stands_at_its_place(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="My cat is ill"), answer(ann, "Has a cat", text="She eats grass"))
    [memory] = await edge.list(ann, limit=9)
    assert memory.turns == (at(ann, 1),)
    assert memory.id == places.memory_id(at(ann, 1), "Has a cat")


async def test_time_is_what_the_clock_says_if_nobody_says_otherwise(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, "Has a cat", text="My cat is ill", at=None))
    for [each] in (await edge.list(ann, limit=9), await edge.list(ann, TURNS, limit=9)):
        assert NOW <= each.created_at < NOW + timedelta(days=1)


async def nearest(edge, owner, text: str, *, by: str) -> list[str]:
    """The turns that are found for *text*, best first; *by* ``turns_dense`` or ``turns_sparse``."""
    sight = await look(edge, owner, Query(text, word_vector(text), turns=True), limit=9)
    return [found.memory.content for found in getattr(sight, by) if found.score > 0]


async def test_a_turn_is_found_by_the_words_of_those_beside_it(edge, embedder, ann):
    texts = ["Where is Lisbon?", "Flights please", "Oporto maybe", "Plan dinner"]
    await tell(edge, embedder, *(answer(ann, text=text) for text in texts))
    for by in ("turns_sparse", "turns_dense"):
        assert await nearest(edge, ann, "lisbon", by=by) == ["Where is Lisbon?", "Flights please"]
        assert sorted(await nearest(edge, ann, "oporto", by=by)) == ["Flights please", "Oporto maybe", "Plan dinner"]


async def test_a_turn_borrows_nothing_from_another_conversation_or_from_what_is_gone(edge, embedder, ann):
    await tell(edge, embedder, answer(ann, text="Where is Lisbon?"), answer(ann, text="Flights please"))
    await edge.delete(ann, [at(ann, 0)])
    await tell(edge, embedder, answer(ann, text="Oporto maybe"), answer(ann, text="Plan dinner", session="s2"))
    assert await nearest(edge, ann, "lisbon", by="turns_sparse") == []
    assert sorted(await nearest(edge, ann, "oporto", by="turns_sparse")) == ["Flights please", "Oporto maybe"]
