"""The write path as a whole: the queue, and the order of steps."""

import asyncio

import pytest

from proxy.config import Config
from proxy.core.blocks import Block
from proxy.errors import EmbedError, StoreError
from proxy.memory.remember import Keeping, Said, Spoken
from tests.memory.telling import TURNS, answer, contents, lines, remembering, tell
from tests.missing import MissingStore


async def test_what_is_said_is_stored_and_counted(edge, embedder, ann, log):
    figures = await tell(edge, embedder, answer(ann, "Likes tea", text="I like tea", trace="t1"))
    assert await contents(edge, ann) == ["Likes tea"]
    assert await contents(edge, ann, TURNS) == ["I like tea"]
    assert log == [{"event": "remembered", "log_level": "info", "trace": "t1", "stored": 1, "turns": 1}]
    assert figures.as_dict() == {"stored": 1, "turns": 1}


async def test_several_blocks_and_forms_are_one_answer(edge, embedder, ann):
    bodies = ['{"memories":[{"content":"Likes tea"}]}', '["Is 40", "Has a dog"]', '{"forget":["m1"]}', "[broken"]
    blocks = [*map(Block, bodies), Block("- Plays chess\n- Sings", plain=True)]
    figures = await tell(edge, embedder, Said(ann, "s1", "t1", blocks))
    assert await contents(edge, ann) == ["Has a dog", "Is 40", "Likes tea", "Plays chess", "Sings"]
    assert figures.as_dict() == {"stored": 5, "malformed": 1}


async def test_a_request_that_is_retried_stores_nothing_twice(edge, embedder, ann):
    await tell(edge, embedder, *(answer(ann, "Likes tea", trace=trace) for trace in ("t1", "t2", "t1")))
    assert await contents(edge, ann) == ["Likes tea"]


async def test_what_one_says_is_not_known_of_another(edge, embedder, ann, ben):
    await tell(edge, embedder, *(answer(owner, "Likes tea", text="I like tea") for owner in (ann, ben)))
    assert await contents(edge, ann) == await contents(edge, ben) == ["Likes tea"]
    assert await contents(edge, ann, TURNS) == await contents(edge, ben, TURNS) == ["I like tea"]


async def test_an_answer_without_blocks_to_a_turn_that_is_not_kept_is_not_queued(edge, embedder, ann, log):
    async with remembering(edge, embedder, queue_size=1).running() as remember:
        remember.submit(answer(ann))
        remember.submit(answer(ann, "Likes tea"))
        await remember.settled()
    assert lines(log, "event") == [("remembered",)]


async def test_an_answer_that_leaves_nothing_behind_is_not_worth_a_line(edge, embedder, ann, log):
    await tell(edge, embedder, answer(ann, text="hello"), Said(ann, "s1", "t2", [Block("[]")]))
    assert log == []


async def test_the_reply_is_only_asked_for_when_its_turn_has_come(edge, embedder, ann):
    asked: list[str] = []

    def reply() -> str:
        asked.append("reply")
        return "Noted."

    async with remembering(edge, embedder).running() as remember:
        remember.submit(Said(ann, "s1", "t1", [], spoken=Spoken("I like tea", reply=reply)))
        assert asked == []
        await remember.settled()
    assert asked == ["reply"]


async def test_a_full_queue_loses_what_comes_next_and_says_so(edge, embedder, ann, log):
    async with remembering(edge, embedder, queue_size=1).running() as remember:
        for trace in ("t1", "t2", "t3"):
            remember.submit(answer(ann, f"Word {trace}", trace=trace))
        await remember.settled()
    assert await contents(edge, ann) == ["Word t1"]
    assert lines(log[:2], "event", "trace", "blocks") == [
        ("memories lost: the queue is full", "t2", 1),
        ("memories lost: the queue is full", "t3", 1),
    ]
    assert remember.figures.as_dict() == {"stored": 1, "lost": 2}


async def test_what_waits_is_stored_before_the_end(edge, embedder, ann):
    async with remembering(edge, embedder).running() as remember:
        for i in range(5):
            remember.submit(answer(ann, f"number {i}", trace=str(i)))
    assert await edge.count(ann) == 5


async def test_the_end_waits_for_a_queue_that_is_full(edge, embedder, ann):
    embedder.gate.clear()
    async with remembering(edge, embedder, queue_size=1).running() as remember:
        remember.submit(answer(ann, "one", trace="1"))
        await asyncio.sleep(0)
        remember.submit(answer(ann, "two", trace="2"))
        asyncio.get_running_loop().call_later(0.01, embedder.gate.set)
    assert await contents(edge, ann) == ["one", "two"]


async def test_the_end_waits_also_when_something_failed(edge, embedder, ann):
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with remembering(edge, embedder).running() as remember:
            remember.submit(answer(ann, "Likes tea"))
            raise RuntimeError("the server failed")
    assert await contents(edge, ann) == ["Likes tea"]


async def test_the_end_waits_only_so_long(edge, embedder, ann, log):
    embedder.gate.clear()
    async with remembering(edge, embedder, grace_s=0.02).running() as remember:
        for i in range(3):
            remember.submit(answer(ann, f"number {i}", trace=str(i)))
    assert lines(log, "event", "answers") == [("memories lost: the proxy ended before they were stored", 3)]
    assert remember.figures.lost == 3


async def test_a_failing_embedder_costs_one_answer(edge, embedder, ann, log):
    async with remembering(edge, embedder).running() as remember:
        embedder.failure = EmbedError("no model")
        remember.submit(answer(ann, "Likes tea", trace="t1"))
        await remember.settled()
        embedder.failure = None
        remember.submit(answer(ann, "Is 40", trace="t2"))
        await remember.settled()
    assert await contents(edge, ann) == ["Is 40"]
    assert lines(log, "event", "trace", "why") == [("memories lost", "t1", "no model"), ("remembered", "t2", None)]
    assert remember.figures.as_dict() == {"stored": 1, "lost": 1}


async def test_a_failing_store_is_said_and_the_work_goes_on(embedder, ann, log):
    store = MissingStore("disk full")
    figures = await tell(store, embedder, answer(ann, "Likes tea", trace="t1"), answer(ann, text="I like tea", trace="t2"))
    assert lines(log, "event", "trace", "why") == [("memories lost", "t1", "disk full"), ("memories lost", "t2", "disk full")]
    assert figures.lost == 2


@pytest.mark.parametrize("failure", [ValueError("a mistake of ours"), TimeoutError(), StoreError("known")])
async def test_a_mistake_about_one_answer_leaves_the_others_theirs(edge, embedder, ann, log, failure: Exception):
    async with remembering(edge, embedder).running() as remember:
        embedder.failure = failure
        remember.submit(answer(ann, "Likes tea"))
        await remember.settled()
        embedder.failure = None
        remember.submit(answer(ann, "Is 40", trace="t2"))
    assert await contents(edge, ann) == ["Is 40"]
    assert lines(log, "event") == [("memories lost",), ("remembered",)]
    assert remember.figures.lost == 1


async def test_nothing_that_was_said_is_in_the_log(edge, embedder, ann, log):
    await tell(edge, embedder, answer(ann, "Likes oolong", text="My oolong is gone", reply="Buy oolong.", speaker="Oolong"))
    assert len(log) == 1
    assert "oolong" not in str(log).lower()


def test_the_settings_are_those_of_the_configuration():
    config = Config()
    assert Keeping() == Keeping(
        context_days=config.extract.context_days,
        turn_days=config.recall.turn_days,
        memories_per_user=config.limits.memories_per_user,
        turns_per_user=config.limits.turns_per_user,
        redact_emails=config.extract.redact_emails,
        redact_phones=config.extract.redact_phones,
    )
