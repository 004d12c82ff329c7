"""Commands that ask a running proxy: what can fail is one line."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.cli.remote import Remote
from proxy.errors import ConfigError, RemoteError


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Where the next connection is answered with *data*, whatever it asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def complaint(data: bytes) -> tuple[str, int | None]:
    """What is said of a server that answers *data*; its address is ``URL``."""
    with answering(data) as url, Remote(url) as remote, pytest.raises(RemoteError) as caught:
        remote.get("/config")
    return str(caught.value).replace(url, "URL"), caught.value.status


def test_an_answer_is_what_its_json_says():
    with answering(http("200 OK", '{"object": "list"}')) as url, Remote(url) as remote:
        assert remote.get("/memories", user="ann", limit=None) == {"object": "list"}


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080"),
        ("https://example.org/memory/memory/v1", "https://example.org/memory"),
    ],
)
def test_the_address_may_be_that_for_clients(url, root):
    with Remote(url) as remote:
        assert remote.url == root


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (http("404 Not Found", '{"error": {"message": "There is none."}}'), ("There is none.", 404)),
        (
            http("401 Unauthorized", '{"error": {"message": "This needs a token."}}'),
            ("This needs a token. Use --token, or the variable MEMORY_PROXY_AUTH__ADMIN_TOKEN.", 401),
        ),
        (http("200 OK", "<html>"), ("URL: is no memory-proxy (status 200)", 200)),
        (http("302 Found", ""), ("URL: is no memory-proxy (status 302)", 302)),
        (http("500 Oh", '{"error": "no"}'), ("URL: is no memory-proxy (status 500)", 500)),
        (
            b"",
            ("URL: can't be asked: Server disconnected without sending a response.; is the proxy running there?", None),
        ),
    ],
)
def test_what_is_no_answer_is_one_line(data, said):
    assert complaint(data) == said


def test_where_nobody_listens_it_says_so():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Remote(url) as remote, pytest.raises(RemoteError) as caught:
        remote.get("/config")
    assert re.fullmatch(rf"{url}: can't be asked: .*refused; is the proxy running there\?", str(caught.value))


def test_who_never_answers_is_waited_for_so_long():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Remote(url, timeout_s=0.05) as remote, pytest.raises(RemoteError) as caught:
            remote.get("/config")
    assert str(caught.value) == f"{url}: no answer in time"


def test_bad_usage_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match=r"\A--url: 'localhost' is not allowed; use an http:// or https:// address"):
        Remote("localhost")
    for token in ("two words", "line\nbreak", "schlüssel"):
        with pytest.raises(ConfigError) as caught:
            Remote("http://127.0.0.1", token)
        assert token not in str(caught.value)
