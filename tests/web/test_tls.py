"""TLS at the listener, with an authority of the test's own."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from proxy.config import Listen
from proxy.errors import ConfigError
from proxy.web.tls import tls_context
from tests.fakes import ABOUT_TEA, memory_proxy, model_api

CHAT = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}], "user": "ann"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def listen(authority: trustme.CA, tmp_path: Path) -> Listen:
    """The options of a listener with a certificate for 127.0.0.1."""
    return issued(authority, tmp_path / "one")


def issued(authority: trustme.CA, folder: Path) -> Listen:
    folder.mkdir()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    for each in leaf.cert_chain_pems:
        each.write_to_path(folder / "certificate.pem", append=True)
    return Listen(tls_certificate=str(folder / "certificate.pem"), tls_key=str(folder / "key.pem"))


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_chat_a_stream_and_a_websocket_go_through_it(listen, trusting, tmp_path):
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(await socket.receive_str())
        await socket.close(code=4001)
        return socket

    options = {"listen__tls_certificate": listen.tls_certificate, "listen__tls_key": listen.tls_key}
    connector = aiohttp.TCPConnector(ssl=trusting)
    async with (
        model_api() as model,
        memory_proxy(model, tmp_path / "data", **options) as proxy,
        aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as client,
    ):
        model.text = f"Noted.\n{ABOUT_TEA}"
        assert proxy.address.startswith("https://127.0.0.1:")
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT) as answer:
            assert (await answer.json())["choices"][0]["message"]["content"] == "Noted."
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT | {"stream": True}) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert await proxy.memories("ann") == ["Likes green tea"]
        model.handler = echo
        async with client.ws_connect(f"{proxy.url}/realtime") as socket:
            await socket.send_str("x" * 1_000_000)
            assert len(await socket.receive_str()) == 1_000_000
            await socket.receive()
            assert socket.close_code == 4001


def test_without_a_certificate_there_is_none():
    assert tls_context(Listen()) is None


def test_old_versions_are_not_spoken(listen):
    assert tls_context(listen).minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        (Listen(tls_key="key.pem"), "listen.tls_certificate: is missing; TLS needs a certificate and its key"),
        (Listen(tls_certificate="c.pem"), "listen.tls_key: is missing; TLS needs a certificate and its key"),
    ],
)
def test_one_without_the_other_is_told_so(listen, said):
    with pytest.raises(ConfigError) as caught:
        tls_context(listen)
    assert str(caught.value) == said


@pytest.mark.parametrize("option", ["tls_certificate", "tls_key"])
def test_a_file_that_is_not_there_is_told_by_its_option(listen, option):
    path = Path(getattr(listen, option))
    path.unlink()
    with pytest.raises(ConfigError) as caught:
        tls_context(listen)
    assert str(caught.value) == f"listen.{option}: {path} can't be read: No such file or directory"


def test_the_key_of_another_certificate_is_told_so(listen, authority, tmp_path):
    key = issued(authority, tmp_path / "two").tls_key
    with pytest.raises(ConfigError) as caught:
        tls_context(Listen(tls_certificate=listen.tls_certificate, tls_key=key))
    assert str(caught.value) == f"listen.tls_key: {key} is not the key of the certificate in {listen.tls_certificate}"


LOCKED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAAAAAAAAAAAAAAAAAA
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.mark.parametrize("option", ["tls_certificate", "tls_key"])
@pytest.mark.parametrize("content", ["", "not PEM", LOCKED])
def test_what_is_no_certificate_or_no_open_key_is_told_so(listen, option, content):
    Path(getattr(listen, option)).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        tls_context(listen)
    assert str(caught.value) == (
        f"listen.tls_certificate, listen.tls_key: {listen.tls_certificate} and {listen.tls_key} "
        "must hold a certificate and its key, in PEM and without a password"
    )
