"""The machine between callers and a model, tested with a model that can be held up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from proxy.errors import EmbedError
from proxy.memory.batching import MAX_CHARS, BatchingEmbedder
from proxy.memory.embedder import Kind, Vector


class FakeModel:
    """Vectors of a text's length; keeps what it was asked, and works only while ``free`` is set."""

    dimensions = 2

    def __init__(self, *, at_once: int = 1, batch_chars: int = 1000, symmetric: bool = False) -> None:
        self.at_once = at_once
        self.symmetric = symmetric
        self.batch_chars = batch_chars
        self.batches: list[tuple[Kind, list[str]]] = []
        self.asked = asyncio.Semaphore(0)
        self.free = asyncio.Event()
        self.free.set()

    async def encode(self, kind: Kind, texts: Sequence[str]) -> list[Vector]:
        self.batches.append((kind, list(texts)))
        self.asked.release()
        await self.free.wait()
        if "bad" in texts:
            raise RuntimeError("no vector for bad")
        return [vector_of(text) for text in texts if text != "nothing"]


def vector_of(text: str) -> Vector:
    return [float(len(text)), 1.0]


@asynccontextmanager
async def running(model: FakeModel, *, batch_size: int = 4, cache_entries: int = 100) -> AsyncIterator[BatchingEmbedder]:
    embedder = BatchingEmbedder(model, name="fake", batch_size=batch_size, cache_entries=cache_entries)
    async with asyncio.timeout(10), embedder.running():
        yield embedder


@asynccontextmanager
async def busy(model: FakeModel, **options: int) -> AsyncIterator[BatchingEmbedder]:
    """An embedder whose model is held up by its first text, ``busy``; ``model.free.set()`` lets it go."""
    async with running(model, **options) as embedder:
        model.free.clear()
        first = asyncio.ensure_future(embedder.embed_query("busy"))
        await model.asked.acquire()
        model.batches.clear()
        yield embedder
        model.free.set()
        await asyncio.gather(first, return_exceptions=True)


async def queued(*requests: asyncio.Future) -> None:
    """Give *requests* the few turns of the loop that they need to stand in the queue."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(request.done() for request in requests)


async def test_vectors_come_in_the_order_of_the_texts():
    async with running(FakeModel()) as embedder:
        texts = ["one", "three", "to", "seven", "eleven", "a"]
        assert await embedder.embed_documents(texts) == [vector_of(text) for text in texts]


async def test_it_has_the_models_name_and_dimensions():
    async with running(FakeModel()) as embedder:
        assert (embedder.name, embedder.dimensions) == ("fake", 2)


async def test_no_texts_are_no_vectors():
    model = FakeModel()
    async with running(model) as embedder:
        assert await embedder.embed_documents([]) == []
    assert model.batches == []


async def test_what_waits_goes_together_queries_first():
    model = FakeModel()
    async with busy(model) as embedder:
        documents = asyncio.ensure_future(embedder.embed_documents(["d1", "d2"]))
        await queued(documents)
        queries = [asyncio.ensure_future(embedder.embed_query(text)) for text in ("q1", "q2")]
        await queued(*queries)
        model.free.set()
        await asyncio.gather(documents, *queries)
    assert model.batches == [("query", ["q1", "q2"]), ("document", ["d1", "d2"])]


async def test_a_query_overtakes_the_rest_of_an_import():
    model = FakeModel()
    async with busy(model, batch_size=1) as embedder:
        documents = asyncio.ensure_future(embedder.embed_documents(["d1", "d2", "d3"]))
        await queued(documents)
        query = asyncio.ensure_future(embedder.embed_query("q"))
        await queued(query)
        model.free.set()
        await asyncio.gather(documents, query)
    assert model.batches == [("query", ["q"]), ("document", ["d1"]), ("document", ["d2"]), ("document", ["d3"])]


async def test_a_batch_is_at_most_batch_size():
    model = FakeModel()
    async with running(model, batch_size=4) as embedder:
        await embedder.embed_documents([str(i) for i in range(10)])
    assert model.batches == [
        ("document", ["0", "1", "2", "3"]),
        ("document", ["4", "5", "6", "7"]),
        ("document", ["8", "9"]),
    ]


async def test_a_long_text_goes_alone_and_the_short_ones_around_it_together():
    model = FakeModel(batch_chars=10)
    async with running(model) as embedder:
        await embedder.embed_documents(["aa", "much too long", "bb", "seven77", "cc"])
    assert model.batches == [
        ("document", ["aa", "bb", "cc"]),
        ("document", ["much too long"]),
        ("document", ["seven77"]),
    ]


async def test_two_batches_overlap_where_the_model_allows_it():
    model = FakeModel(at_once=2)
    async with busy(model, batch_size=1) as embedder:
        other = asyncio.ensure_future(embedder.embed_query("other"))
        await model.asked.acquire()
        model.free.set()
        assert await other == vector_of("other")


async def test_one_text_asked_for_by_many_is_encoded_once():
    model = FakeModel()
    async with busy(model) as embedder:
        requests = [asyncio.ensure_future(embedder.embed_query("same")) for _ in range(5)]
        await queued(*requests)
        model.free.set()
        assert await asyncio.gather(*requests) == [vector_of("same")] * 5
        assert await embedder.embed_documents(["x", "x"]) == [vector_of("x")] * 2
    assert model.batches == [("query", ["same"]), ("document", ["x"])]


async def test_a_text_under_way_is_joined():
    model = FakeModel()
    async with busy(model) as embedder:
        late = asyncio.ensure_future(embedder.embed_query("busy"))
        await queued(late)
        model.free.set()
        assert await late == vector_of("busy")
    assert model.batches == []


async def test_a_text_embedded_before_comes_from_the_cache():
    model = FakeModel()
    async with running(model) as embedder:
        assert [await embedder.embed_query("a") for _ in range(3)] == [vector_of("a")] * 3
    assert model.batches == [("query", ["a"])]


async def test_the_cache_gives_up_what_was_used_longest_ago():
    model = FakeModel()
    async with running(model, cache_entries=2) as embedder:
        for text in ["a", "b", "a", "c", "a", "b"]:
            await embedder.embed_query(text)
    assert [texts for _, texts in model.batches] == [["a"], ["b"], ["c"], ["b"]]


async def test_a_cache_of_no_entries_keeps_nothing():
    model = FakeModel()
    async with running(model, cache_entries=0) as embedder:
        for _ in range(2):
            await embedder.embed_query("a")
    assert model.batches == [("query", ["a"])] * 2


async def test_a_query_and_a_document_of_the_same_words_are_two_texts():
    model = FakeModel()
    async with running(model) as embedder:
        await embedder.embed_query("a")
        await embedder.embed_documents(["a"])
    assert model.batches == [("query", ["a"]), ("document", ["a"])]


async def test_a_caller_who_leaves_takes_nobody_along():
    model = FakeModel()
    async with busy(model) as embedder:
        leaving, staying = (asyncio.ensure_future(embedder.embed_query("same")) for _ in range(2))
        await queued(leaving, staying)
        leaving.cancel()
        model.free.set()
        assert await staying == vector_of("same")
        assert leaving.cancelled()


async def test_a_text_that_nobody_waits_for_any_more_is_not_encoded():
    model = FakeModel()
    async with busy(model) as embedder:
        leaving = [asyncio.ensure_future(embedder.embed_query("left")) for _ in range(2)]
        staying = asyncio.ensure_future(embedder.embed_query("stays"))
        await queued(*leaving, staying)
        for request in leaving:
            request.cancel()
        await asyncio.wait(leaving)
        model.free.set()
        await staying
    assert model.batches == [("query", ["stays"])]


async def test_the_only_caller_may_leave_and_the_next_ask_again():
    model = FakeModel()
    async with busy(model) as embedder:
        leaving = asyncio.ensure_future(embedder.embed_query("again"))
        await queued(leaving)
        leaving.cancel()
        await asyncio.wait([leaving])
        back = asyncio.ensure_future(embedder.embed_query("again"))
        await queued(back)
        model.free.set()
        assert await back == vector_of("again")


async def test_work_under_way_is_finished_and_cached_though_its_caller_left():
    model = FakeModel()
    async with running(model) as embedder:
        model.free.clear()
        leaving = asyncio.ensure_future(embedder.embed_query("a"))
        await model.asked.acquire()
        leaving.cancel()
        await asyncio.wait([leaving])
        model.free.set()
        assert await embedder.embed_query("a") == vector_of("a")
    assert model.batches == [("query", ["a"])]


async def test_a_failing_batch_fails_its_callers_and_no_others():
    async with running(FakeModel(), batch_size=1) as embedder:
        results = await asyncio.gather(*(embedder.embed_query(text) for text in ("a", "bad", "b")), return_exceptions=True)
    assert [results[0], repr(results[1]), results[2]] == [
        vector_of("a"),
        "EmbedError('RuntimeError: no vector for bad')",
        vector_of("b"),
    ]


async def test_a_failure_is_not_cached():
    model = FakeModel()
    async with running(model) as embedder:
        for _ in range(2):
            with pytest.raises(EmbedError):
                await embedder.embed_query("bad")
    assert model.batches == [("query", ["bad"])] * 2


async def test_a_failure_that_nobody_waits_for_is_not_logged(caplog):
    model = FakeModel()
    async with running(model) as embedder:
        model.free.clear()
        leaving = asyncio.ensure_future(embedder.embed_query("bad"))
        await model.asked.acquire()
        leaving.cancel()
        await asyncio.wait([leaving])
        model.free.set()
        await embedder.embed_query("next")
    assert caplog.messages == []


async def test_too_few_vectors_are_an_error():
    async with running(FakeModel()) as embedder:
        with pytest.raises(EmbedError) as failure:
            await embedder.embed_documents(["a", "nothing"])
    assert str(failure.value) == "the model gave other than 2 vectors of 2 dimensions"


async def test_who_waits_when_it_closes_gets_an_error():
    model = FakeModel()
    async with asyncio.timeout(10):
        async with BatchingEmbedder(model, name="fake", batch_size=1, cache_entries=1).running() as embedder:
            model.free.clear()
            waiting = [asyncio.ensure_future(embedder.embed_query(text)) for text in ("under way", "queued")]
            await model.asked.acquire()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [repr(result) for result in results] == ["EmbedError('the embedder was closed')"] * 2


async def test_who_asks_after_it_closed_gets_an_error():
    async with running(FakeModel()) as embedder:
        await embedder.embed_query("cached")
    assert await embedder.embed_query("cached") == vector_of("cached")
    with pytest.raises(EmbedError, match="the embedder is closed"):
        await embedder.embed_query("new")


async def test_a_lone_surrogate_reaches_the_model_as_a_question_mark():
    model = FakeModel()
    async with running(model) as embedder:
        await embedder.embed_query("a\ud800b")
    assert model.batches == [("query", ["a?b"])]


async def test_the_end_of_a_huge_text_is_cut():
    model = FakeModel()
    async with running(model) as embedder:
        await embedder.embed_query("x" * (MAX_CHARS + 1))
    assert model.batches == [("query", ["x" * MAX_CHARS])]


@pytest.mark.parametrize("symmetric", [True, False])
async def test_a_query_that_is_kept_as_a_document_is_computed_once_where_it_is_the_same(symmetric: bool):
    model = FakeModel(symmetric=symmetric)
    async with running(model) as embedder:
        await embedder.embed_query("tea")
        await embedder.embed_documents(["tea"])
        await embedder.embed_query("tea")
    assert model.batches == [("query", ["tea"]), *([] if symmetric else [("document", ["tea"])])]
