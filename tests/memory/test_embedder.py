"""The default model itself, as ``open_embedder`` opens it."""

import asyncio
import math
import socket
from pathlib import Path

import numpy as np
import pytest

from proxy.config import Embedding
from proxy.errors import ConfigError, EmbedError
from proxy.memory.embedder import FastEmbedModel, ModelFiles, model_files, unit_vector
from proxy.memory.embedding import open_embedder
from proxy.memory.spaces import space_of


@pytest.fixture(params=["int8", "float32"])
async def embedder(request, int8_dir: Path):
    async with open_embedder(Embedding(models_dir=str(int8_dir.parent), precision=request.param)) as embedder:
        yield embedder


def cosine(a, b) -> float:
    return float(np.dot(a, b))


async def test_a_vector_has_384_dimensions_and_length_one(embedder):
    vector = await embedder.embed_query("What is my favourite editor?")
    assert (embedder.name, embedder.dimensions) == ("sentence-transformers/all-MiniLM-L6-v2", 384)
    assert (len(vector), round(math.hypot(*vector), 6)) == (384, 1.0)


async def test_what_means_the_same_is_near_and_what_does_not_is_far(embedder):
    cat, feline, python, empty = await embedder.embed_documents(
        ["The cat sits on the mat.", "A cat is sitting on a rug.", "Prefers Python for backend work", ""]
    )
    assert cosine(cat, feline) > 0.7
    assert cosine(cat, python) < 0.1
    assert len(empty) == 384


async def test_a_question_finds_its_answer(embedder):
    query = await embedder.embed_query("Which programming language do I like?")
    answers = ["Lives in Lisbon", "Prefers Python for backend work", "Has two cats"]
    vectors = await embedder.embed_documents(answers)
    assert max(zip(vectors, answers, strict=True), key=lambda pair: cosine(query, pair[0]))[1] == answers[1]


async def test_a_text_has_the_same_vector_in_any_company(embedder):
    texts = ["Has two cats", "word " * 150, "Prefers Python for backend work"]
    together = await embedder.embed_documents(texts)
    alone = [await embedder.embed_query(text) for text in texts]
    assert np.abs(np.subtract(together, alone)).max() < 1e-6


async def test_both_forms_of_the_model_can_be_compared(int8_dir):
    """So a store may hold vectors of both."""
    texts = ["Has two cats", "Prefers Python for backend work", "Which programming language do I like?", "word " * 150]
    vectors = []
    for precision in ("int8", "float32"):
        async with open_embedder(Embedding(models_dir=str(int8_dir.parent), precision=precision)) as embedder:
            vectors.append(await embedder.embed_documents(texts))
    assert min(map(cosine, *vectors)) > 0.985
    assert space_of(Embedding(precision="int8"), 384) == space_of(Embedding(precision="float32"), 384)


async def test_what_is_beyond_256_tokens_does_not_count(embedder):
    # Two of the 256 are the marks at the beginning and the end.
    most, more, less = [await embedder.embed_query("word " * n) for n in (254, 300, 253)]
    assert list(most) == list(more)
    assert list(most) != list(less)


@pytest.mark.parametrize("text", ["\ud83d", "\x00", "é" * 9000, "🦀", "a" * 9000, "<memory>"])
async def test_no_text_is_refused(embedder, text):
    assert len(await embedder.embed_query(text)) == 384


async def test_the_loop_turns_while_the_model_works(embedder):
    request = asyncio.ensure_future(embedder.embed_query("word " * 250))
    turns = 0
    while not request.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_opening_asks_no_network(model_dir, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    async with open_embedder(Embedding(models_dir=str(model_dir.parent))) as embedder:
        assert len(await embedder.embed_query("offline")) == 384


async def test_a_broken_model_is_an_embed_error(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EmbedError, match=r"model\.onnx"):
        async with FastEmbedModel.open(Embedding(), tmp_path):
            pass


def test_fastembed_knows_the_files_of_its_models():
    assert model_files("Sentence-Transformers/all-MiniLM-L6-v2") == ModelFiles("Qdrant/all-MiniLM-L6-v2-onnx", "model.onnx")
    assert model_files("intfloat/multilingual-e5-large").others == ("model.onnx_data",)


def test_a_model_that_fastembed_does_not_know_is_a_config_error():
    with pytest.raises(
        ConfigError, match=r"^embedding.model: fastembed has no model 'all-MiniLM-L6'; use one of its \d+, such as "
    ):
        model_files("all-MiniLM-L6")


@pytest.mark.parametrize("values", [[0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_a_vector_that_points_nowhere_is_an_embed_error(values):
    with pytest.raises(EmbedError):
        unit_vector(values)
