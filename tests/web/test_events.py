"""What happens to memories, told through the whole proxy to a real WebSocket client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from proxy.core.models import Owner
from proxy.memory.events import MAX_WAITING, Event, Events, Wanted
from proxy.web.events import tell
from proxy.web.middleware import log_and_answer_errors
from proxy.web.services import MEMORY
from tests.fakes import ModelAPI, RunningProxy, memory_proxy, model_api
from tests.web.talk import Talk

HANG_S = 60
PATH = "/memory/v1/events"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
async def client(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


@pytest.fixture
async def proxy(stack: AsyncExitStack, model: ModelAPI, tmp_path: Path) -> RunningProxy:
    return await stack.enter_async_context(memory_proxy(model, tmp_path, recall__retry_s="0.02"))


async def until_listening(bus: Events, count: int = 1) -> None:
    while len(bus._listeners) != count:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def told(listener: aiohttp.ClientWebSocketResponse, count: int) -> list[Any]:
    """The next *count* events, without their times."""
    return [{name: value for name, value in (await listener.receive_json()).items() if name != "at"} for _ in range(count)]


async def test_who_listens_is_told_of_all_that_happens(proxy, client):
    talk = Talk(proxy, client)
    async with client.ws_connect(f"{proxy.address}{PATH}") as listener:
        first = await talk.say("I live in Oslo", "Lives in Oslo", "Likes green tea")
        answer = (await talk.get(f"/{first}"))["answer"]
        oslo, tea = (each["id"] for each in answer["items"])
        ann = {"user": "ann", "tenant": "default"}
        assert await told(listener, 2) == [
            {"type": "recalled", **ann, "trace": first, "ids": [], "tokens": 0, "trouble": None},
            {"type": "stored", **ann, "trace": first, "ids": [oslo, tea], "turn": answer["turn"]["id"]},
        ]
        said = "Do I live in Oslo and like green tea?"
        second = await talk.say(said, {"content": "Lives in Rome now", "replaces": "m1"}, forget=("m2",))
        trace = await talk.get(f"/{second}")
        shown = {each["short_id"]: each["id"] for each in trace["recall"]["injected"]}
        assert {shown["m1"], shown["m2"]} == {oslo, tea}
        rome = trace["answer"]["items"][0]["id"]
        recalled, *others = await told(listener, 4)
        assert (recalled["type"], recalled["ids"]) == ("recalled", [*shown.values()])
        assert others == [
            {"type": "stored", **ann, "trace": second, "ids": [rome], "turn": None},
            {"type": "replaced", **ann, "trace": second, "ids": [shown["m1"]], "by": [rome]},
            {"type": "forgotten", **ann, "trace": second, "ids": [shown["m2"]]},
        ]


async def test_an_outage_and_its_end_are_told_to_all(proxy, client, model):
    talk = Talk(proxy, client)
    async with client.ws_connect(f"{proxy.address}{PATH}?user=ben&types=degraded,recovered") as listener:
        model.embeds = False
        for _ in range(5):
            await talk.say("I live in Oslo")
        model.embeds = True
        degraded, recovered = await told(listener, 2)
    everybody = {"user": None, "tenant": None, "trace": None, "ids": [], "part": "embedder"}
    assert degraded.pop("why")
    assert (degraded, recovered) == ({"type": "degraded", **everybody}, {"type": "recovered", **everybody})


async def test_it_is_told_what_is_asked_for(proxy, client):
    bus = proxy.memory.events
    async with client.ws_connect(f"{proxy.address}{PATH}?user=ann&types=stored, forgotten") as listener:
        await until_listening(bus)
        for owner in (Owner("ben"), Owner("ann", "other"), Owner("ann")):
            for type_ in ("recalled", "stored", "forgotten"):
                bus.publish(Event(type_, owner, ids=(owner.tenant,)))
        assert [(each["type"], each["user"], each["ids"]) for each in await told(listener, 2)] == [
            ("stored", "ann", ["default"]),
            ("forgotten", "ann", ["default"]),
        ]


async def test_what_makes_no_sense_is_refused_and_in_no_log(proxy, client, log, caplog):
    for query in ("?types=", "?types=stored,unheard-of", "?types=,"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            await client.ws_connect(f"{proxy.address}{PATH}{query}")
    for headers in ({}, {"Upgrade": "websocket", "Connection": "Upgrade"}):
        async with client.get(f"{proxy.address}{PATH}", headers=headers) as response:
            assert response.status == 400
            assert "WebSocket" in (await response.json())["error"]["message"]
    with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
        await client.ws_connect(f"{proxy.address}{PATH}", protocols=["openai-insecure-api-key.canary"])
    assert "canary" not in f"{log}{caplog.text}"


async def test_only_who_is_let_in_may_listen(stack, model, tmp_path, client):
    proxy = await stack.enter_async_context(memory_proxy(model, tmp_path, auth__admin_token="token"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await client.ws_connect(f"{proxy.address}{PATH}")
    assert refusal.value.status == 401
    async with client.ws_connect(f"{proxy.address}{PATH}", headers={"Authorization": "Bearer token"}):
        pass
    local = {"Origin": "http://evil.example", "Authorization": "Bearer token"}
    async with client.ws_connect(f"{proxy.address}{PATH}", headers=local):
        pass  # whoever has the token as a header is no page


async def test_who_leaves_is_forgotten_and_the_log_says_that_all_was_well(proxy, client, log):
    async with client.ws_connect(f"{proxy.address}{PATH}") as listener:
        await until_listening(proxy.memory.events)
        await listener.send_str("hello")
    assert listener.close_code == WSCloseCode.OK
    await until_listening(proxy.memory.events, 0)
    while not (lines := [line for line in log if line["event"] == "request"]):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert [(line["path"], line["status"]) for line in lines] == [(PATH, 101)]


async def test_who_is_cut_off_is_forgotten(proxy, client):
    listener = await client.ws_connect(f"{proxy.address}{PATH}")
    await until_listening(proxy.memory.events)
    listener._conn.transport.abort()
    await until_listening(proxy.memory.events, 0)


async def test_at_the_end_listeners_are_told_that_it_is_the_end(model, tmp_path, client):
    async with memory_proxy(model, tmp_path) as proxy:
        listener = await client.ws_connect(f"{proxy.address}{PATH}")
        ending = asyncio.ensure_future(listener.receive())
        await until_listening(proxy.memory.events)
    message = await ending
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY, "the proxy is stopping")


# With a server of its own, whose connections are small.


@pytest.fixture
async def served(stack: AsyncExitStack):
    """An address where a bus is listened to, and the bus."""

    async def start(heartbeat_s: float = 30) -> tuple[str, Events]:
        class Memory:
            events = Events()

        app = web.Application(middlewares=[log_and_answer_errors])
        app[MEMORY] = Memory()
        app.router.add_get(PATH, partial(tell, wanted=Wanted(), heartbeat_s=heartbeat_s))
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}", Memory.events

    return start


class Connection:
    """One whose owner reads when it likes."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.socket = stack.enter_context(socket.socket())
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def listen(self, url: str) -> None:
        loop, port = asyncio.get_running_loop(), int(url.rpartition(":")[2].partition("/")[0])
        await loop.sock_connect(self.socket, ("127.0.0.1", port))
        lines = (
            *(f"GET {PATH} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""),
        )
        await loop.sock_sendall(self.socket, "\r\n".join(lines).encode())

    async def rest(self) -> bytes:
        """All that still comes."""
        loop, data = asyncio.get_running_loop(), b""
        try:
            while some := await loop.sock_recv(self.socket, 1 << 20):
                data += some
        except ConnectionError:
            pass
        return data


async def flood(bus: Events) -> None:
    """More than all buffers hold, until somebody is cut off."""
    [listener] = [each for each in bus._listeners if not each.ended.done()]
    event = Event("stored", Owner("ann"), figures={"more": "x" * 4000})
    while not listener.ended.done():
        for _ in range(MAX_WAITING // 10):
            bus.publish(event)
        await asyncio.sleep(0)


async def test_a_slow_reader_is_dropped_and_can_see_why(stack, served):
    url, bus = await served()
    slow = Connection(stack)
    await slow.listen(url)
    await until_listening(bus)
    await flood(bus)
    data = await slow.rest()
    assert data.endswith(b"\x03\xf5too slow: events were left out")
    await until_listening(bus, 0)


async def test_one_that_never_reads_is_dropped_too(stack, served):
    url, bus = await served()
    slow = Connection(stack)
    await slow.listen(url)
    await until_listening(bus)
    await flood(bus)
    await until_listening(bus, 0)  # after CLOSE_S


async def test_the_others_lose_nothing_by_it(stack, served, client):
    url, bus = await served()
    slow = Connection(stack)
    await slow.listen(url)
    await until_listening(bus)
    victim = next(iter(bus._listeners))
    async with client.ws_connect(url) as fast:
        await until_listening(bus, 2)
        sent = 0
        while not victim.ended.done():
            bus.publish(Event("stored", figures={"n": sent, "more": "x" * 4000}))
            sent += 1
            assert (await fast.receive_json())["n"] == sent - 1


async def test_who_answers_no_ping_is_gone(served, client):
    url, bus = await served(heartbeat_s=0.05)
    async with client.ws_connect(url, autoping=False) as listener:
        await until_listening(bus)
        assert (await listener.receive()).type is WSMsgType.PING
        await until_listening(bus, 0)
