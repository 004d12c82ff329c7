"""Connections to upstreams: how they fail, and the one that may be made twice. Numbers as in the list of pitfalls."""

import asyncio
import hashlib
import socket

import pytest
from aiohttp import web

from proxy.config import Limits, Upstream
from proxy.web.upstream import open_upstreams
from tests.web.conftest import read_request, request, reset

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def error_of(client, proxy, method="GET", **body):
    async with client.request(method, f"{proxy}/v1/x", **body) as response:
        error = (await response.json())["error"]
        return response.status, error["type"], error["code"], response.headers["x-should-retry"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def test_an_upstream_that_is_not_there(start_proxy, client):
    """Pitfall 33: nothing was processed, so the client may try again."""
    proxy = await start_proxy(f"http://127.0.0.1:{free_port()}/v1")
    assert await error_of(client, proxy, "POST", data=b"{}") == (502, "proxy_error", "upstream_unreachable", "true")


async def test_a_host_that_does_not_exist(start_proxy, client):
    proxy = await start_proxy("http://nowhere.invalid/v1")
    assert await error_of(client, proxy) == (502, "proxy_error", "upstream_unreachable", "true")


@pytest.mark.parametrize("how", ["close", "reset", "half an answer", "no HTTP", "a header with a line break in it"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fresh_connection_that_dies_is_not_tried_again(how, method, start_socket_upstream, start_proxy, client):
    """Pitfalls 32 and 33: the request may have been processed, and aiohttp's own repetition of ``GET`` is off."""
    requests = []

    async def talk(reader, writer):
        requests.append(await read_request(reader))
        if how == "reset":
            reset(writer)
        elif how == "half an answer":
            writer.write(b"HTTP/1.1 200 O")
        elif how == "no HTTP":
            writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        elif how != "close":
            writer.write(b"HTTP/1.1 200 OK\r\nX: a\rb: c\r\nContent-Length: 0\r\n\r\n")

    proxy = await start_proxy(await start_socket_upstream(talk))
    assert await error_of(client, proxy, method, data=b"{}") == (502, "proxy_error", "upstream_broken", "false")
    assert len(requests) == 1


class Forgetful:
    """Serves one request on each connection as it should, and then hangs up on the next as *how* says."""

    def __init__(self, how: str) -> None:
        self.how, self.connections, self.requests = how, 0, []

    async def __call__(self, reader, writer):
        self.connections += 1
        self.requests.append((self.connections, (await read_request(reader))[1]))
        writer.write(OK)
        if self.how == "for good" and self.connections == 2:
            return
        self.requests.append((self.connections, (await read_request(reader))[1]))
        if self.how == "half an answer":
            writer.write(b"HTTP/1.1 200 O")
        elif self.how == "reset":
            reset(writer)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_idle_connection_that_died_is_replaced_once(how, method, start_socket_upstream, start_proxy, client):
    """Pitfall 32: the one repetition there is."""
    upstream = Forgetful(how)
    proxy = await start_proxy(await start_socket_upstream(upstream))
    for body in (b"1", b"2"):
        async with client.request(method, f"{proxy}/v1/x", data=body) as response:
            assert (response.status, await response.read()) == (200, b"ok")
    assert upstream.requests == [(1, b"1"), (1, b"2"), (2, b"2")]


async def test_a_large_body_that_we_hold_is_sent_again_whole(start_socket_upstream, stack):
    """Pitfall 32, for a chat with images in it."""
    upstream, body = Forgetful("close"), b"0123456789" * 200_000
    url = await start_socket_upstream(upstream)
    client = await stack.enter_async_context(open_upstreams(Upstream(base_url=url), Limits()))
    for sent in (b"1", body):
        answer = await client.open("POST", url, [], sent)
        assert (answer.status, answer.buffered(), answer.ended) == (200, b"ok", True)
        answer.close()
    assert upstream.requests == [(1, b"1"), (1, body), (2, body)]


async def test_an_idle_connection_that_died_in_the_middle_of_an_answer_is_not_replaced(
    start_socket_upstream, start_proxy, client
):
    """Pitfall 32."""
    upstream = Forgetful("half an answer")
    proxy = await start_proxy(await start_socket_upstream(upstream))
    await (await client.post(f"{proxy}/v1/x", data=b"1")).read()
    assert await error_of(client, proxy, "POST", data=b"2") == (502, "proxy_error", "upstream_broken", "false")
    assert upstream.connections == 1


async def test_a_body_that_was_not_held_is_not_sent_again(start_socket_upstream, start_proxy, client):
    """Pitfall 32: it is gone."""
    upstream = Forgetful("close")
    proxy = await start_proxy(await start_socket_upstream(upstream))
    await (await client.post(f"{proxy}/v1/x", data=b"1")).read()
    answer = await error_of(client, proxy, "POST", data=b"2" * 100_000)
    assert (answer, upstream.connections) == ((502, "proxy_error", "upstream_broken", "false"), 1)


async def test_when_the_second_connection_fails_too_the_client_is_not_told_to_retry(start_socket_upstream, start_proxy, client):
    """Pitfall 33: the first attempt may have arrived."""
    connections = []

    async def talk(reader, writer):
        connections.append(reader)
        await read_request(reader)
        if len(connections) == 1:
            writer.write(OK)
            await read_request(reader)

    proxy = await start_proxy(await start_socket_upstream(talk))
    await (await client.post(f"{proxy}/v1/x", data=b"1")).read()
    assert await error_of(client, proxy, "POST", data=b"2") == (502, "proxy_error", "upstream_broken", "false")
    assert len(connections) == 2


async def test_no_status_is_asked_for_again(start_upstream, start_proxy, client):
    """Pitfall 32."""
    seen = []

    async def handler(request):
        seen.append(request.method)
        return web.Response(status=503)

    proxy = await start_proxy(await start_upstream(handler))
    async with client.get(f"{proxy}/v1/x") as response:
        assert (response.status, seen) == (503, ["GET"])


async def test_connections_are_kept_and_shared(start_upstream, start_proxy, client):
    """Pitfall 54: one session for the process."""
    connections = set()

    async def handler(request):
        connections.add(request.transport.get_extra_info("peername"))
        return web.Response(text="ok")

    proxy = await start_proxy(await start_upstream(handler))
    for _ in range(5):
        await (await client.post(f"{proxy}/v1/x", data=b"{}")).read()
    assert len(connections) == 1


async def test_interim_answers_are_passed_over(start_socket_upstream, start_proxy, client):
    """RFC 9110, section 15.2: a proxy may keep them to itself; who waits is waiting for the final one."""

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
        await reader.read()

    proxy = await start_proxy(await start_socket_upstream(talk))
    async with client.post(f"{proxy}/v1/x", data=b"{}") as response:
        assert (response.status, await response.read(), "Link" in response.headers) == (200, b"ok", False)


async def test_what_is_left_of_an_upload_is_not_taken_for_the_next_request(start_socket_upstream, start_proxy, connect, client):
    """An upstream that answers early and keeps its connection open would read the rest of the body as a request."""
    requests = []

    async def talk(reader, writer):
        requests.append((await reader.readuntil(b"\r\n")).split()[1])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()

    proxy = await start_proxy(await start_socket_upstream(talk))
    uploading = await connect(proxy)
    await uploading.send(request("POST", "/v1/files", "Content-Length: 300000") + b"x" * 1000)
    assert (await uploading.head())[0] == b"HTTP/1.1 200 OK"
    async with client.post(f"{proxy}/v1/x", data=b"{}") as response:
        assert (response.status, requests) == (200, [b"/v1/files", b"/v1/x"])


async def test_a_slow_upstream_slows_an_upload_down(start_socket_upstream, start_proxy, connect):
    """Pitfall 19, the other way round: what the upstream doesn't take must not pile up here."""
    enough = asyncio.Event()

    async def talk(reader, writer):
        writer.transport.pause_reading()
        await enough.wait()

    client = await connect(await start_proxy(await start_socket_upstream(talk)))
    await client.send(request("POST", "/v1/files", "Content-Length: 1000000000"))
    client.writer.write(b"x" * 100_000_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.writer.drain(), 2)
    enough.set()


@pytest.mark.parametrize("size", [1, 3 * 1024 * 1024])
async def test_a_body_that_we_hold_arrives_whole_whatever_its_size(size, start_upstream, stack):
    """A small one leaves behind its head; a large one piece by piece, as fast as it is taken."""
    received = []

    async def handler(request):
        received.append((request.headers["Content-Length"], hashlib.sha256(await request.read()).hexdigest()))
        return web.Response(text="ok")

    body = bytes(range(256)) * (size // 256) or b"x"
    url = await start_upstream(handler)
    client = await stack.enter_async_context(open_upstreams(Upstream(base_url=url), Limits()))
    for _ in range(2):
        answer = await client.open("POST", f"{url}/x", [], body)
        assert (answer.status, await answer.read()) == (200, b"ok")
        answer.close()
    assert received == [(str(len(body)), hashlib.sha256(body).hexdigest())] * 2


async def test_a_header_with_a_line_break_is_not_sent(stack, start_upstream):
    """Such as a key from the environment with its newline: what follows would be a header of its own."""
    requests = []

    async def handler(request):
        requests.append(request.path)
        return web.Response()

    url = await start_upstream(handler)
    client = await stack.enter_async_context(open_upstreams(Upstream(base_url=url), Limits()))
    for value in ("a\r\nX-Injected: 1", "a\n", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            await client.open("GET", url, [("Authorization", value)], None)
    assert requests == []


async def test_a_handshake_that_never_ends_is_given_up(start_socket_upstream, start_proxy, client):
    """Pitfall 31: connecting has a time of its own, TLS included."""

    async def talk(reader, writer):
        await reader.read()

    url = (await start_socket_upstream(talk)).replace("http://", "https://")
    proxy = await start_proxy(url, connect_timeout_s=0.2)
    assert await error_of(client, proxy, "POST", data=b"{}") == (502, "proxy_error", "upstream_unreachable", "true")


async def test_an_answer_that_does_not_begin_in_time(start_socket_upstream, start_proxy, client):
    """Pitfall 31."""

    async def talk(reader, writer):
        await reader.read()
        await reader.read()

    proxy = await start_proxy(await start_socket_upstream(talk), first_byte_timeout_s=0.1)
    assert await error_of(client, proxy, "POST", data=b"{}") == (504, "proxy_error", "upstream_timeout", "false")
    assert await error_of(client, proxy, "POST", data=b"{}" * 50_000) == (504, "proxy_error", "upstream_timeout", "false")


async def test_the_time_for_an_answer_starts_after_the_upload(start_upstream, start_proxy, connect):
    """Pitfall 31: a slow upload is not a slow upstream."""

    async def handler(request):
        return web.Response(text=str(len(await request.read())))

    client = await connect(await start_proxy(await start_upstream(handler), first_byte_timeout_s=0.2))
    await client.send(request("POST", "/v1/x", "Transfer-Encoding: chunked"))
    for _ in range(8):
        await client.send(b"1\r\nx\r\n")
        await asyncio.sleep(0.05)
    await client.send(b"0\r\n\r\n")
    assert (await client.head())[0] == b"HTTP/1.1 200 OK"
    assert await client.read(1) == b"8"


async def test_an_answer_that_stops(start_socket_upstream, start_proxy, connect):
    """Pitfall 31: the idle time is not that for the first byte, and its end is no clean end."""

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await reader.read()

    client = await connect(await start_proxy(await start_socket_upstream(talk), idle_timeout_s=0.1))
    await client.send(request())
    await client.head()
    assert await client.read_to_end() == b"3\r\nabc\r\n"


async def test_an_answer_may_take_any_time_as_long_as_it_goes_on(start_socket_upstream, start_proxy, connect):
    """Pitfall 31: no total timeout."""

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.05)
            writer.write(b"x")
        await reader.read()

    upstream = await start_socket_upstream(talk)
    client = await connect(await start_proxy(upstream, first_byte_timeout_s=0.2, idle_timeout_s=0.2))
    await client.send(request())
    await client.head()
    assert await client.read(8) == b"xxxxxxxx"
