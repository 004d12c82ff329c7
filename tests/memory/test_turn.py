"""What each request of a conversation is given."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from proxy import config
from proxy.core.models import TURN, Memory, Owner
from proxy.core.places import conversation, turn_id
from proxy.core.request import ChatRequest
from proxy.errors import EmbedError
from proxy.memory import clock
from proxy.memory.recall import Recall
from proxy.memory.replay import Replay
from proxy.memory.store import Entry
from proxy.memory.turn import Turn, Turns
from tests.fakes import word_vector
from tests.missing import MissingStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f"}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "{}"}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def request(*messages: dict[str, Any]) -> ChatRequest:
    parsed = ChatRequest.parse(json.dumps({"messages": messages}).encode())
    assert parsed is not None
    return parsed


@pytest.fixture
def remember(edge, ann):
    async def remember(*contents: str, owner: Owner = ann) -> list[str]:
        memories = [Memory(id=str(uuid4()), content=each, created_at=NOW, updated_at=NOW) for each in contents]
        await edge.upsert(owner, [Entry(each, word_vector(each.content)) for each in memories])
        return [each.id for each in memories]

    return remember


@pytest.fixture
def replay() -> Replay:
    return Replay()


def preparing(edge, embedder, replay: Replay, **options: Any) -> Turns:
    return Turns(Recall(edge, embedder, config.Recall(deadline_ms=30_000, **options)), replay)


@pytest.fixture
def turns(edge, embedder, replay) -> Turns:
    return preparing(edge, embedder, replay)


async def test_the_latest_message_is_given_what_is_found(turns, remember, ann):
    [tea] = await remember("Likes tea")
    turn = await turns.prepare(ann, request({"role": "system", "content": "x"}, user("tea")), "s")
    assert (turn.ids, turn.recalled, turn.trouble) == ({"m1": tea}, (tea,), None)
    [(place, text)] = turn.contexts.items()
    assert (place, "[m1] (fact, 2026-03-01) Likes tea" in text) == (1, True)


@pytest.mark.parametrize("content", ["", None, 7, [], [{"type": "image_url", "image_url": {"url": "x"}}]])
async def test_without_a_text_nothing_is_given(turns, remember, ann, content: object):
    await remember("Likes tea")
    assert await turns.prepare(ann, request(user(content)), "s") == Turn()


async def test_without_a_user_message_nothing_is_given(turns, remember, ann, embedder):
    await remember("Likes tea")
    assert await turns.prepare(ann, request({"role": "system", "content": "tea"}), "s") == Turn()
    assert embedder.queries == []


async def test_a_tool_loop_is_searched_for_once(turns, remember, ann, embedder):
    await remember("Likes tea")
    first = await turns.prepare(ann, request(user("tea")), "s")
    await remember("Likes tea very much")
    second = await turns.prepare(ann, request(user("tea"), CALL, RESULT), "s")
    third = await turns.prepare(ann, request(user("tea"), CALL, RESULT, CALL, RESULT), "s")
    assert first == second == third
    assert embedder.queries == ["tea"]


async def test_a_tool_loop_that_found_nothing_is_not_searched_for_again(turns, ann, embedder):
    await turns.prepare(ann, request(user("tea")), "s")
    assert await turns.prepare(ann, request(user("tea"), CALL, RESULT), "s") == Turn()
    assert embedder.queries == ["tea"]


async def test_in_the_middle_of_an_unknown_tool_loop_a_search_helps(turns, remember, ann):
    [tea] = await remember("Likes tea")
    turn = await turns.prepare(ann, request(user("tea"), CALL, RESULT), "s")
    assert (list(turn.contexts), turn.recalled) == ([0], (tea,))


async def test_a_question_asked_again_is_searched_for_again(turns, remember, ann):
    await turns.prepare(ann, request(user("tea")), "s")
    [tea] = await remember("Likes tea")
    assert (await turns.prepare(ann, request(user("tea")), "s")).recalled == (tea,)


async def test_earlier_messages_are_given_the_same_again_and_ids_go_on(turns, remember, ann, embedder):
    [tea] = await remember("Likes tea")
    first = await turns.prepare(ann, request(user("tea")), "s")
    [jazz] = await remember("Likes jazz")
    second = await turns.prepare(ann, request(user("tea"), assistant("ok"), user("jazz")), "s")
    assert second.contexts[0] == first.contexts[0]
    assert "[m2] (fact, 2026-03-01) Likes jazz" in second.contexts[2]
    assert (second.ids, second.recalled) == ({"m1": tea, "m2": jazz}, (jazz,))
    assert embedder.queries == ["tea", "jazz"]


async def test_a_memory_that_was_edited_is_withdrawn_and_shown_anew(turns, remember, ann, edge):
    [tea] = await remember("Likes tea")
    await turns.prepare(ann, request(user("tea")), "s")
    edited = Memory(id=tea, content="Likes green tea", created_at=NOW, updated_at=clock.now())
    await edge.upsert(ann, [Entry(edited, word_vector(edited.content))])
    talk = (user("tea"), assistant("ok"), user("green"))
    second = await turns.prepare(ann, request(*talk), "s")
    assert "[m2] (fact, 2026-03-01) Likes green tea\nNo longer true: m1" in second.contexts[2]
    third = await turns.prepare(ann, request(*talk, assistant("ok"), user("green tea")), "s")
    assert (third.recalled, third.contexts) == ((), {0: third.contexts[0], 2: second.contexts[2]})


async def test_only_the_same_conversation_is_given_the_same(turns, remember, ann):
    await remember("Likes tea")
    await turns.prepare(ann, request(user("tea")), "s")
    other = await turns.prepare(
        ann, request({"role": "system", "content": "new"}, user("tea"), assistant("ok"), user("cars")), "s"
    )
    assert other == Turn()


async def test_another_user_in_the_same_conversation_is_given_nothing_of_it(turns, remember, ann, ben):
    await remember("Likes tea")
    await turns.prepare(ann, request(user("tea")), "s")
    assert await turns.prepare(ben, request(user("tea"), CALL, RESULT), "s") == Turn()
    assert await turns.prepare(ben, request(user("tea"), assistant("ok"), user("tea")), "s") == Turn()


async def test_what_failed_is_looked_for_again(edge, embedder, remember, ann):
    replay = Replay()
    [tea] = await remember("Likes tea")
    assert await preparing(MissingStore("down"), embedder, replay).prepare(ann, request(user("tea")), "s") == Turn(
        trouble="store"
    )
    again = await preparing(edge, embedder, replay).prepare(ann, request(user("tea"), CALL, RESULT), "s")
    assert (again.recalled, again.trouble) == ((tea,), None)


async def test_what_words_alone_found_is_given_again_as_the_model_has_seen_it(turns, remember, ann, embedder):
    [tea] = await remember("Likes tea")
    embedder.failure = EmbedError("down")
    first = await turns.prepare(ann, request(user("tea")), "s")
    assert (first.recalled, first.trouble) == ((tea,), "embedder")
    again = await turns.prepare(ann, request(user("tea"), CALL, RESULT), "s")
    assert (again.contexts, again.ids, again.trouble) == (first.contexts, first.ids, None)


async def test_what_was_found_while_somebody_was_forgotten_is_not_kept(turns, remember, replay, ann, embedder):
    await remember("Likes tea")
    embedder.gate.clear()
    asked = request(user("tea"))
    preparing = asyncio.ensure_future(turns.prepare(ann, asked, "s"))
    while not embedder.queries:  # noqa: ASYNC110
        await asyncio.sleep(0)
    replay.forget(ann)
    embedder.gate.set()
    assert (await preparing).contexts
    assert replay.get(ann, asked.fingerprints[0]) is None


async def test_trouble_now_keeps_what_was_given_before(turns, remember, ann, embedder):
    [tea] = await remember("Likes tea")
    first = await turns.prepare(ann, request(user("tea")), "s")
    embedder.failure = EmbedError("down")
    later = await turns.prepare(ann, request(user("tea"), assistant("ok"), user("more tea")), "s")
    assert later == Turn(contexts=first.contexts, ids={"m1": tea}, trouble="embedder")


async def test_an_id_is_not_used_twice_though_some_were_forgotten(edge, embedder, remember, ann):
    replay = Replay(max_bytes=1500)
    turns = preparing(edge, embedder, replay)
    await remember("Likes tea")
    [jazz] = await remember("Likes jazz")
    conversation = [user("tea"), assistant("ok"), user("jazz")]
    await turns.prepare(ann, request(*conversation[:1]), "s")
    second = await turns.prepare(ann, request(*conversation), "s")
    assert second.ids["m2"] == jazz
    third = await turns.prepare(ann, request(*conversation, assistant("ok"), user("tea and jazz")), "s")
    assert list(third.contexts) == [2, 4]
    assert sorted(third.ids) == ["m2", "m3"]


async def test_what_the_conversation_was_shown_is_not_shown_again(turns, remember, ann):
    [tea] = await remember("Likes tea")
    first = await turns.prepare(ann, request(user("tea")), "s")
    second = await turns.prepare(ann, request(user("tea"), assistant("ok"), user("more tea")), "s")
    assert second == Turn(contexts=first.contexts, ids={"m1": tea})


async def test_what_was_corrected_meanwhile_is_withdrawn_once(turns, remember, edge, ann):
    [tea] = await remember("Likes tea")
    await turns.prepare(ann, request(user("tea")), "s")
    [memory] = await edge.get(ann, [tea])
    await edge.revise(ann, [replace(memory, valid_until=NOW)])
    conversation = [user("tea"), assistant("ok"), user("and now?"), assistant("ok"), user("tea again")]
    second = await turns.prepare(ann, request(*conversation[:3]), "s")
    assert "\nNo longer true: m1\n" in second.contexts[2]
    third = await turns.prepare(ann, request(*conversation), "s")
    assert (list(third.contexts), third.contexts[2]) == ([0, 2], second.contexts[2])


async def test_standing_preferences_come_with_the_first_message_whatever_it_says(turns, edge, ann):
    german = await prefer(edge, ann, "Wants answers in German")
    first = await turns.prepare(ann, request(user("hello")), "s")
    assert first.recalled == (german,)
    assert "[m1] (preference) Wants answers in German\n" in first.contexts[0]
    again = await turns.prepare(ann, request(user("hello"), assistant("Hallo"), user("cars")), "s")
    assert again == Turn(contexts=first.contexts, ids={"m1": german})


async def test_later_messages_bring_what_changed_in_the_preferences(turns, edge, ann):
    await turns.prepare(ann, request(user("hello")), "s")
    german = await prefer(edge, ann, "Wants answers in German")
    await prefer(edge, ann, "Wants short answers", session="s")  # said in this very conversation
    later = await turns.prepare(ann, request(user("hello"), assistant("Hallo"), user("cars")), "s")
    assert later.recalled == (german,)


async def test_a_conversation_that_repeats_none_of_itself_is_told_its_own_preferences(turns, edge, ann):
    short = await prefer(edge, ann, "Wants short answers", session="s")
    assert (await turns.prepare(ann, request(user("cars")), "s")).recalled == (short,)


async def test_a_message_of_this_conversation_is_not_recalled_into_it(turns, edge, ann):
    await say(edge, ann, "s", "tea in Oslo", "tea in Rome")
    conversation = [user("tea in Oslo"), assistant("ok"), user("tea?")]
    turn = await turns.prepare(ann, request(*conversation), "s")
    assert ["tea in Rome" in text for text in turn.contexts.values()] == [True]
    assert "(said 2026-03-01) tea in Oslo" not in turn.contexts[2]


async def test_yes_do_that_means_what_was_asked_before(turns, remember, ann, embedder):
    [tea] = await remember("Likes tea")
    turn = await turns.prepare(ann, request(user("shall I buy tea"), assistant("Shall I?"), user("yes, do that")), "s")
    assert (turn.recalled, embedder.queries) == ((tea,), ["shall I buy tea"])


async def test_a_greeting_is_given_nothing(turns, remember, ann, embedder):
    await remember("Likes to say hello")
    assert await turns.prepare(ann, request(user("hello")), "s") == Turn()
    assert embedder.queries == []


async def prefer(store, owner: Owner, content: str, **fields: Any) -> str:
    memory = Memory(id=str(uuid4()), content=content, type="preference", created_at=NOW, updated_at=NOW, **fields)
    await store.upsert(owner, [Entry(memory, word_vector(content))])
    return memory.id


async def say(store, owner: Owner, session: str, *texts: str) -> None:
    ids = [turn_id(conversation(owner, session), at) for at in range(len(texts))]
    turns = [
        Memory(id=id_, content=text, type=TURN, session=session, created_at=NOW, updated_at=NOW)
        for id_, text in zip(ids, texts, strict=True)
    ]
    await store.upsert(owner, [Entry(each, word_vector(each.content)) for each in turns])
