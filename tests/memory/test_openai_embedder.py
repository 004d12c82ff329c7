"""Embeddings over HTTP, against a real small server."""

from array import array

import pytest
from aiohttp import web

from proxy.config import Embedding
from proxy.errors import EmbedError
from proxy.memory.embedding import open_embedder


class Server:
    """``/v1/embeddings``: a vector of a text's length and 3, last text first; ``broken`` answers with a server's error."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.keys: list[str] = []

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers["Authorization"])
        if "broken" in body["input"]:
            return web.json_response({"error": {"message": "out of order"}}, status=404)
        if "refused" in body["input"]:
            return web.json_response({"detail": [{"input": body["input"]}]}, status=422)
        data = [{"object": "embedding", "index": i, "embedding": [len(text), 3]} for i, text in enumerate(body["input"])]
        return web.json_response({"object": "list", "model": body["model"], "data": data[::-1], "usage": {}})


@pytest.fixture
async def server(aiohttp_server):
    server = Server()
    app = web.Application()
    app.router.add_post("/v1/embeddings", server.embeddings)
    server.url = str((await aiohttp_server(app)).make_url("/v1"))
    return server


def settings(server, **options) -> Embedding:
    return Embedding(**{"provider": "openai", "model": "tiny", "url": server.url, "api_key": "sk-1", **options})


async def test_the_first_call_finds_the_dimensions(server):
    async with open_embedder(settings(server)) as embedder:
        assert (embedder.name, embedder.dimensions) == ("tiny", 2)
    assert server.bodies == [{"model": "tiny", "input": ["warm"], "encoding_format": "float"}]
    assert server.keys == ["Bearer sk-1"]


async def test_openais_own_models_need_no_first_call(server):
    async with open_embedder(settings(server, model="text-embedding-3-small")) as embedder:
        assert embedder.dimensions == 1536
    assert server.bodies == []


async def test_vectors_have_length_one_and_the_order_of_the_texts(server):
    async with open_embedder(settings(server)) as embedder:
        assert await embedder.embed_documents(["four", "", "four and twelve."]) == [
            array("f", [0.8, 0.6]),
            array("f", [1 / 10**0.5, 3 / 10**0.5]),
            array("f", [16 / 265**0.5, 3 / 265**0.5]),
        ]
    assert server.bodies[1]["input"] == ["four", " ", "four and twelve."]


async def test_the_key_in_the_environment_goes_to_nobody(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with open_embedder(settings(server, api_key=None)):
        pass
    assert server.keys == ["Bearer none"]


async def test_a_servers_error_is_an_embed_error(server):
    async with open_embedder(settings(server)) as embedder:
        with pytest.raises(EmbedError, match="out of order"):
            await embedder.embed_query("broken")
        assert await embedder.embed_query("four") == array("f", [0.8, 0.6])


async def test_an_error_that_may_quote_the_text_is_told_by_its_status(server):
    async with open_embedder(settings(server)) as embedder:
        with pytest.raises(EmbedError) as caught:
            await embedder.embed_query("refused")
    assert str(caught.value) == "the embeddings API refused a text (status 422)"


async def test_a_model_with_other_dimensions_than_known_is_an_embed_error(server):
    async with open_embedder(settings(server, model="text-embedding-3-small")) as embedder:
        with pytest.raises(EmbedError, match="other than 1 vectors of 1536 dimensions"):
            await embedder.embed_query("four")


async def test_a_server_that_is_not_there_is_an_embed_error_at_the_start(unused_tcp_port):
    config = Embedding(provider="openai", model="tiny", url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    with pytest.raises(EmbedError, match="Connection error"):
        async with open_embedder(config):
            pass


@pytest.mark.parametrize("answer", [{"hello": "world"}, {"object": "list", "data": []}, [], None])
async def test_an_answer_that_is_not_openais_is_an_embed_error(aiohttp_server, answer):
    async def embeddings(request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    url = str((await aiohttp_server(app)).make_url("/v1"))
    with pytest.raises(EmbedError):
        async with open_embedder(Embedding(provider="openai", model="tiny", url=url)):
            pass
