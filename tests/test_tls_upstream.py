"""Upstreams over TLS, as they nearly all are: the machine's authorities decide, here by ``SSL_CERT_FILE``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from tests.fakes import ModelAPI, model_api
from tests.processes import PATIENCE_S, proxy_process

CHAT = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}], "user": "ann"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def model() -> AsyncIterator[ModelAPI]:
    async with model_api() as model:
        yield model


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@dataclass
class SecureUpstream:
    """A model API under an address for TLS, and the *connections* that requests came over."""

    url: str = ""
    connections: set[tuple[str, int]] = field(default_factory=set)


@asynccontextmanager
async def over_tls(model: ModelAPI, authority: trustme.CA, name: str = "localhost") -> AsyncIterator[SecureUpstream]:
    """*model* once more, with a certificate for *name*."""
    upstream = SecureUpstream()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        upstream.connections.add(request.transport.get_extra_info("peername"))
        return await model.answer(request)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        upstream.url = f"https://localhost:{runner.addresses[0][1]}/v1"
        yield upstream
    finally:
        await runner.cleanup()


async def answers(upstream: SecureUpstream, model: ModelAPI, folder: Path, *, streams: bool = False) -> list[tuple[int, bytes]]:
    """What three chats are answered through a proxy before *upstream*, one after the other."""
    context = proxy_process(upstream.url, folder, embedding__url=model.url)
    proxy = await asyncio.to_thread(context.__enter__)
    try:
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as client:
            return [await chat(client, proxy.address, streams=streams) for _ in range(3)]
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def chat(client: aiohttp.ClientSession, address: str, *, streams: bool) -> tuple[int, bytes]:
    async with client.post(f"{address}/v1/chat/completions", json=CHAT | {"stream": streams}) as response:
        return response.status, await response.read()


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("streams", [True, False])
async def test_one_that_the_machine_trusts_is_talked_to_over_one_connection(streams, authority, model, tmp_path):
    async with over_tls(model, authority) as upstream:
        assert [status for status, _ in await answers(upstream, model, tmp_path, streams=streams)] == [200, 200, 200]
        assert len(upstream.connections) == 1


async def test_one_that_it_does_not_trust_is_told_nothing(authority, model, tmp_path):
    async with over_tls(model, authority) as upstream:
        [first, *_] = await answers(upstream, model, tmp_path)
        assert (first[0], b"upstream_unreachable" in first[1], b"CERTIFICATE_VERIFY_FAILED" in first[1]) == (502, True, True)
        assert (model.seen, upstream.connections) == ([], set())


@pytest.mark.usefixtures("trusting")
async def test_one_with_the_certificate_of_another_host_is_told_nothing(authority, model, tmp_path):
    async with over_tls(model, authority, "elsewhere.test") as upstream:
        assert [status for status, _ in await answers(upstream, model, tmp_path)] == [502, 502, 502]
        assert (model.seen, upstream.connections) == ([], set())
