"""From one embedding model to another: what is filled, when the store turns, and what any end of it leaves behind."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import qdrant_edge
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from proxy import config
from proxy.config import Embedding
from proxy.core import places
from proxy.core.models import TURN, Memory, Owner
from proxy.errors import EmbedError, StoreError, StoreMismatch
from proxy.memory.edge import Bm25Encoder, EdgeStore, open_edge
from proxy.memory.embedder import Vector
from proxy.memory.embedding import open_embedder
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.qdrant import QdrantStore, open_qdrant
from proxy.memory.reembedding import PAGE, Reembeddable, Refill, reembed
from proxy.memory.spaces import Space, Spaces, space_of
from proxy.memory.store import Entry, Query
from tests.fakes import DIMENSIONS, WordEmbedder, look, word_vector
from tests.faults.qdrant_server import qdrant_server
from tests.files import written

ANN, BEN = Owner("ann"), Owner("ben")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD = Embedding(provider="openai", model="words")
NEW = Embedding(provider="openai", model="letters")
LETTERS = space_of(NEW, 26)

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


def letter_vector(text: str) -> list[float]:
    values = [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]
    length = math.hypot(*values) or 1.0
    return [value / length for value in values] if any(values) else [1.0, *[0.0] * 25]


class LetterEmbedder(WordEmbedder):
    """Another model, of other dimensions. *before* is awaited ahead of each batch."""

    name = "letters"
    dimensions = 26

    async def embed_query(self, text: str) -> Vector:
        await super().embed_query(text)
        return letter_vector(text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        await super().embed_documents(texts)
        return [letter_vector(text) for text in texts]


def memory(number: int, content: str = "") -> Memory:
    return Memory(str(UUID(int=number)), content or f"memory {number} about {chr(97 + number % 26) * 3}", NOW, NOW)


def entry(memory: Memory, around: Sequence[Memory] = ()) -> Entry:
    vectors = [word_vector(dense_text(each)) for each in around]
    return Entry(memory, dense_vector(memory, word_vector(dense_text(memory)), vectors), around)


def entries(numbers: Sequence[int]) -> list[Entry]:
    return [entry(memory(number)) for number in numbers]


def conversation(owner: Owner, *messages: str) -> list[Memory]:
    where = places.conversation(owner, "s")
    return [
        Memory(places.turn_id(where, at), text, NOW + timedelta(seconds=at), NOW, type=TURN, session="s", speaker="Ann")
        for at, text in enumerate(messages)
    ]


@pytest.fixture(params=["edge", "qdrant"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reembeddable]:
    if request.param == "edge":
        async with opened(tmp_path) as edge:
            yield edge
    else:
        async with qdrant_server() as server, open_qdrant(config.Store(url=server.url), DIMENSIONS, Bm25Encoder(), OLD) as qdrant:
            await qdrant.ensure()
            yield qdrant


def opened(
    path: Path, embedding: Embedding | None = OLD, dimensions: int | None = DIMENSIONS
) -> AbstractAsyncContextManager[EdgeStore]:
    return open_edge(config.Store(path=str(path)), dimensions, Bm25Encoder(), embedding)


async def vectors(store: Reembeddable) -> dict[str, list[float]]:
    return {
        each.memory.id: [round(value, 4) for value in each.vector] for each in await store.scan(None, limit=1000, vectors=True)
    }


def rounded(found: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {id_: [round(value, 4) for value in each] for id_, each in found.items()}


async def nearest(store: Reembeddable, owner: Owner, vector: Sequence[float]) -> str:
    found = await look(store, owner, Query("", vector), limit=1)
    return found.dense[0].memory.content


def vector_files(path: Path) -> set[str]:
    return {each.name for each in path.glob("edge/segments/*/vector_storage*")}


def seen(*_: int) -> None:
    pass


async def test_every_memory_gets_the_vector_of_the_new_model(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3 * PAGE)))
    await store.upsert(BEN, [entry(memory(1000, "plays zither"))])
    assert await reembed(store, LetterEmbedder(), NEW, seen)
    expected = {each.id: letter_vector(each.content) for each in map(memory, range(3 * PAGE))}
    expected[memory(1000).id] = letter_vector("plays zither")
    assert await vectors(store) == rounded(expected)
    assert store.spaces == Spaces(LETTERS)
    assert await nearest(store, BEN, letter_vector("zither")) == "plays zither"


async def test_turns_borrow_from_their_neighbours_as_when_they_were_stored(store: Reembeddable) -> None:
    row = conversation(ANN, "Shall we go to Rome?", "Yes, in May!", "With the night train, and Ben comes along to see the Forum")
    await store.upsert(ANN, [entry(row[0], row[1:2]), entry(row[1], [row[0], row[2]]), entry(row[2], row[1:2])])
    await reembed(store, LetterEmbedder(), NEW, seen)
    own = [letter_vector(dense_text(each)) for each in row]
    expected = [
        dense_vector(row[0], own[0], own[1:2]),
        dense_vector(row[1], own[1], [own[0], own[2]]),
        dense_vector(row[2], own[2], own[1:2]),
    ]
    assert await vectors(store) == rounded({turn.id: vector for turn, vector in zip(row, expected, strict=True)})


async def test_until_the_end_it_is_a_store_of_the_old_model(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(10)))
    before = await vectors(store)
    await store.prepare(LETTERS)
    await store.fill(LETTERS, {memory(n).id: letter_vector("x") for n in range(5)})
    assert await store.count_lacking(LETTERS) == 5
    assert [each.memory for each in await store.lacking(LETTERS, memory(6).id, limit=2)] == [memory(7), memory(8)]
    assert store.spaces.current.model == "words"
    assert await vectors(store) == before
    assert await nearest(store, ANN, word_vector(memory(3).content)) == memory(3).content


async def test_what_is_written_meanwhile_is_found_by_the_next_pass(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(2 * PAGE)))
    embedder = LetterEmbedder()
    changed = False

    async def change() -> None:
        nonlocal changed
        if not changed:
            changed = True
            await store.upsert(ANN, [entry(memory(3, "changed to quartz")), entry(memory(500, "new: jazz"))])
            await store.delete(ANN, [memory(4).id])

    await Refill(store, embedder, LETTERS, report=seen, rest=change).run()
    expected = {each.id: letter_vector(each.content) for each in map(memory, range(2 * PAGE)) if each.id != memory(4).id}
    expected |= {memory(3).id: letter_vector("changed to quartz"), memory(500).id: letter_vector("new: jazz")}
    assert await vectors(store) == rounded(expected)


async def test_what_changes_while_it_is_embedded_does_not_get_the_vector_of_what_it_was(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(5)))
    embedder = LetterEmbedder()
    embedder.gate.clear()
    moving = asyncio.ensure_future(Refill(store, embedder, LETTERS, report=seen).run())
    while not embedder.documents:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await store.upsert(ANN, [entry(memory(3, "changed to quartz"))])
    await store.delete(ANN, [memory(4).id])
    embedder.gate.set()
    await moving
    expected = {each.id: letter_vector(each.content) for each in map(memory, range(3))}
    assert await vectors(store) == rounded(expected | {memory(3).id: letter_vector("changed to quartz")})


async def test_nobody_writes_between_the_last_pass_and_the_switch(store: Reembeddable) -> None:
    """Else what is written then would have the old vector alone."""
    lock, log = asyncio.Lock(), []

    @asynccontextmanager
    async def writing() -> AsyncIterator[None]:
        async with lock:
            yield

    async def write() -> None:
        for number in range(40):
            async with lock:
                space = store.spaces.current
                make = letter_vector if space == LETTERS else word_vector
                one = memory(number)
                await store.upsert(ANN, [Entry(one, make(dense_text(one)))])
                log.append(space.model)

    writer = asyncio.ensure_future(write())
    await Refill(store, LetterEmbedder(), LETTERS, report=seen, writing=writing).run()
    await writer
    assert await vectors(store) == rounded({memory(n).id: letter_vector(memory(n).content) for n in range(40)})


async def test_a_job_that_was_stopped_goes_on_where_it_was(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(4 * PAGE)))
    first, second = LetterEmbedder(), LetterEmbedder()

    async def stop() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Refill(store, first, LETTERS, report=seen, rest=stop).run()
    assert store.spaces.coming == LETTERS
    assert await store.count_lacking(LETTERS) == 3 * PAGE
    await reembed(store, second, NEW, seen)
    assert (len(first.documents), len(second.documents)) == (PAGE, 3 * PAGE)
    assert store.spaces == Spaces(LETTERS)


async def test_a_failing_embedder_is_waited_for(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3)))
    embedder = LetterEmbedder()
    embedder.failure = EmbedError("away")
    moving = asyncio.ensure_future(Refill(store, embedder, LETTERS, report=seen, retry_s=0.001).run())
    while len(embedder.documents) < 6:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    embedder.failure = None
    await moving
    assert store.spaces == Spaces(LETTERS)


async def test_one_that_fails_for_good_ends_the_job_and_harms_nothing(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3)))
    before = await vectors(store)
    embedder = LetterEmbedder()
    embedder.failure = EmbedError("away")
    with pytest.raises(EmbedError, match="away"):
        await Refill(store, embedder, LETTERS, report=seen, retry_s=0.0001).run()
    assert await vectors(store) == before


async def test_another_choice_drops_what_was_begun(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3)))
    await store.prepare(replace(LETTERS, vector="dense-other"))
    await store.fill(replace(LETTERS, vector="dense-other"), {memory(0).id: letter_vector("x")})
    await reembed(store, LetterEmbedder(), NEW, seen)
    with pytest.raises(StoreError):
        await store.fill(replace(LETTERS, vector="dense-other"), {memory(0).id: letter_vector("x")})


async def test_the_model_that_is_there_already_gives_up_what_was_begun(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3)))
    before = await vectors(store)
    await store.prepare(LETTERS)
    assert not await reembed(store, WordEmbedder(), OLD, seen)
    assert (store.spaces.coming, await vectors(store)) == (None, before)


async def test_it_can_be_moved_again_and_back(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(3)))
    before = await vectors(store)
    await reembed(store, LetterEmbedder(), NEW, seen)
    await reembed(store, WordEmbedder(), OLD, seen)
    assert await vectors(store) == before
    await store.upsert(ANN, entries([3]))
    assert await nearest(store, ANN, word_vector(memory(3).content)) == memory(3).content


async def test_progress_counts_up_to_the_total(store: Reembeddable) -> None:
    await store.upsert(ANN, entries(range(2 * PAGE + 5)))
    told: list[tuple[int, int]] = []
    await reembed(store, LetterEmbedder(), NEW, lambda done, total: told.append((done, total)))
    total = 2 * PAGE + 5
    assert told == [(0, total), (PAGE, total), (2 * PAGE, total), (total, total), (total, total)]


async def test_an_empty_store_is_moved_at_once(store: Reembeddable) -> None:
    assert await reembed(store, LetterEmbedder(), NEW, seen)
    assert store.spaces == Spaces(LETTERS)


async def test_to_the_real_model(tmp_path: Path, model_dir: Path) -> None:
    said = ["Plays the oboe in an orchestra", "Bakes sourdough bread", "Commutes by train to Bonn"]
    async with opened(tmp_path) as store, open_embedder(Embedding()) as embedder:
        await store.upsert(ANN, [entry(memory(n, content)) for n, content in enumerate(said)])
        await reembed(store, embedder, Embedding(), seen)
        assert await nearest(store, ANN, await embedder.embed_query("musical instruments")) == said[0]


class TestTheEmbeddedStore:
    async def test_what_lacks_the_vector_of_its_model_after_all_gets_it(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(3)))
            await reembed(store, LetterEmbedder(), NEW, seen)
            without = qdrant_edge.UpdateOperation.delete_vectors([memory(1).id], [LETTERS.vector])
            await store._call(store._shard._update, without)
            embedder = LetterEmbedder()
            assert not await reembed(store, embedder, NEW, seen)
            assert (store.spaces, embedder.documents) == (Spaces(LETTERS), [memory(1).content])
            assert await store.count_lacking(LETTERS) == 0

    async def test_after_the_move_it_opens_with_the_new_model_and_says_so_to_the_old(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(3)))
            await reembed(store, LetterEmbedder(), NEW, seen)
        with pytest.raises(StoreMismatch) as caught:
            async with opened(tmp_path):
                pass
        assert str(caught.value) == (
            f"{tmp_path}/edge holds vectors of 26 dimensions by letters (openai), but the embedding model words (openai) makes 256: "
            "use the model that it was made with, or another store.path, "
            "or move it with `memory-proxy reembed --model words --provider openai`"
        )
        async with opened(tmp_path, NEW, 26) as store:
            assert await nearest(store, ANN, letter_vector(memory(2).content)) == memory(2).content

    async def test_half_a_move_is_kept_over_a_restart(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(6)))
            await store.prepare(LETTERS)
            await store.fill(LETTERS, {memory(n).id: letter_vector(memory(n).content) for n in range(4)})
        with pytest.raises(StoreMismatch) as caught:
            async with opened(tmp_path, NEW, 26):
                pass
        assert str(caught.value) == (
            f"{tmp_path}/edge is not yet moved from words (openai) to letters (openai): go on with "
            "`memory-proxy reembed --model letters --provider openai`, or set embedding.model: words and embedding.provider: openai"
        )
        async with opened(tmp_path) as store:
            assert store.spaces.coming == LETTERS
            assert await nearest(store, ANN, word_vector(memory(3).content)) == memory(3).content
            embedder = LetterEmbedder()
            await reembed(store, embedder, NEW, seen)
            assert embedder.documents == [memory(4).content, memory(5).content]

    async def test_files_are_written_anew_in_the_middle_of_it(self, tmp_path: Path) -> None:
        """Somebody is erased: what is left is copied, with both vectors, while further points get theirs."""
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(300)))
            await store.upsert(BEN, [entry(memory(1000, "plays zither"))])

            async def erase() -> None:
                if await store.erase(BEN):
                    await store.purge()

            purging: list[asyncio.Future[None]] = []

            async def begin() -> None:
                if not purging:
                    purging.append(asyncio.ensure_future(erase()))
                await asyncio.sleep(0)

            await Refill(store, LetterEmbedder(), LETTERS, report=seen, rest=begin).run()
            await asyncio.gather(*purging)
            await store.drop_others()
        async with opened(tmp_path, NEW, 26) as store:
            assert await vectors(store) == rounded({memory(n).id: letter_vector(memory(n).content) for n in range(300)})
            assert b"zither" not in written(tmp_path)

    async def test_the_old_vectors_give_their_room_back(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(50)))
            await reembed(store, LetterEmbedder(), NEW, seen)
            names = vector_files(tmp_path)
        assert names == {"vector_storage-sparse", f"vector_storage-{LETTERS.vector}"}

    async def test_an_equal_model_of_another_name_is_refused_and_both_are_named(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(3)))
        with pytest.raises(StoreMismatch) as caught:
            async with opened(tmp_path, Embedding(provider="fastembed", model="words-v2")):
                pass
        assert str(caught.value) == (
            f"{tmp_path}/edge was made with words (openai), and the configuration names words-v2 (fastembed): "
            "set embedding.model: words and embedding.provider: openai, or another store.path, "
            "or move it with `memory-proxy reembed --model words-v2 --provider fastembed`"
        )

    async def test_a_store_without_a_note_is_taken_to_be_of_the_model_that_is_configured(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(3)))
        (tmp_path / "edge.model").unlink()
        async with opened(tmp_path, NEW) as store:
            assert store.spaces == Spaces(Space("dense", DIMENSIONS, "openai", "letters"))
        with pytest.raises(StoreMismatch):
            async with opened(tmp_path):
                pass

    async def test_a_moved_store_that_lost_its_note_still_opens_with_its_model(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.upsert(ANN, entries(range(3)))
            await reembed(store, LetterEmbedder(), NEW, seen)
        (tmp_path / "edge.model").unlink()
        async with opened(tmp_path, NEW, 26) as store:
            assert store.spaces == Spaces(LETTERS)

    async def test_a_damaged_note_is_one_line(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        for damage in (b"", b"{", b"[]", b'{"current": {}}'):
            (tmp_path / "edge.model").write_bytes(damage)
            with pytest.raises(StoreError, match=r"edge\.model is damaged: remove it"):
                async with opened(tmp_path):
                    pass

    async def test_as_it_is_means_that_there_is_one(self, tmp_path: Path) -> None:
        for path in (tmp_path / "nowhere", tmp_path):
            with pytest.raises(StoreError, match="holds no memories"):
                async with opened(path, None, None):
                    pass

    @pytest.mark.parametrize("kill_after", ["prepared", "half", "adopted"])
    async def test_a_killed_process_leaves_a_store_of_one_model_or_the_other(self, tmp_path: Path, kill_after: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MOVER, str(tmp_path), kill_after, cwd=Path(__file__).parents[2]
        )
        assert await process.wait() == -signal.SIGKILL
        if kill_after != "adopted":
            async with opened(tmp_path) as store:
                assert store.spaces.coming == LETTERS
                assert await nearest(store, ANN, word_vector(memory(3).content)) == memory(3).content
                await reembed(store, LetterEmbedder(), NEW, seen)
        async with opened(tmp_path, NEW, 26) as store:
            assert await vectors(store) == rounded({memory(n).id: letter_vector(memory(n).content) for n in range(100)})


MOVER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.memory.test_reembedding import *

def die():
    os.kill(os.getpid(), signal.SIGKILL)

async def main(path, kill_after):
    async with opened(Path(path)) as store:
        await store.upsert(ANN, entries(range(100)))
        if kill_after == "prepared":
            await store.prepare(LETTERS)
            die()
        async def rest():
            if kill_after == "half":
                die()
        await Refill(store, LetterEmbedder(), LETTERS, report=seen, rest=rest).run()
        die()

asyncio.run(main(*sys.argv[1:]))
"""


class TestTheServer:
    async def test_a_note_whose_answer_was_lost_is_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with qdrant_server() as server, open_qdrant(config.Store(url=server.url), DIMENSIONS, Bm25Encoder(), OLD) as store:
            await store.upsert(ANN, entries(range(3)))
            note = store._note

            async def lose_answer(spaces: Spaces) -> None:
                before = store._noted
                await note(spaces)
                if spaces == Spaces(LETTERS):
                    store._noted = before
                    raise ResponseHandlingException(TimeoutError())

            monkeypatch.setattr(store, "_note", lose_answer)
            await reembed(store, LetterEmbedder(), NEW, seen)
            assert store.spaces == Spaces(LETTERS)
            await store.touch()

    async def test_old_vectors_that_a_killed_process_left_are_dropped_at_the_next_start(self) -> None:
        client = AsyncQdrantClient(":memory:")
        first = QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), OLD)
        await first.upsert(ANN, entries(range(3)))
        await Refill(first, LetterEmbedder(), LETTERS, report=seen).run()
        second = QdrantStore(client, config.Store(), 26, Bm25Encoder(), NEW)
        await second.ensure()
        assert await second._sizes() == {LETTERS.vector: 26}
        assert await nearest(second, ANN, letter_vector(memory(2).content)) == memory(2).content
        await client.close()

    async def test_one_that_keeps_no_note_serves_but_is_not_re_embedded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As before Qdrant 1.16: what it doesn't know it passes over."""

        async def pass_over(*_: object, **__: object) -> bool:
            return True

        client = AsyncQdrantClient(":memory:")
        monkeypatch.setattr(client, "update_collection", pass_over)
        store = QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), OLD)
        await store.upsert(ANN, entries(range(3)))
        with pytest.raises(StoreError, match=r"is too old for it: named vectors can be added from Qdrant 1\.18 on"):
            await reembed(store, LetterEmbedder(), NEW, seen)
        assert await nearest(store, ANN, word_vector(memory(2).content)) == memory(2).content
        await client.close()

    async def test_a_replica_of_the_old_model_learns_that_the_collection_has_moved(self) -> None:
        client = AsyncQdrantClient(":memory:")
        one, other = (QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), OLD) for _ in range(2))
        await one.upsert(ANN, entries(range(3)))
        await other.touch()
        await reembed(one, LetterEmbedder(), NEW, seen)
        with pytest.raises(StoreMismatch, match=r"holds vectors of 26 dimensions by letters \(openai\)"):
            await other.touch()
        await one.touch()
        await client.close()

    async def test_an_equal_model_of_another_name_is_refused(self) -> None:
        client = AsyncQdrantClient(":memory:")
        await QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), OLD).ensure()
        with pytest.raises(
            StoreMismatch, match=r"was made with words \(openai\), and the configuration names letters \(openai\)"
        ):
            await QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder(), NEW).ensure()
        taken = QdrantStore(client, config.Store(), None, Bm25Encoder())
        await taken.ensure()
        assert taken.spaces.current.model == "words"
        await client.close()
