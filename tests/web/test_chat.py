"""The hot path, through the whole proxy: a client, an upstream that is scripted, and the store between them."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDictProxy
from yarl import URL

from proxy.core.models import TURN, Owner
from proxy.memory.store import Which
from tests.fakes import ABOUT_TEA, ModelAPI, RunningProxy, memory_proxy, model_api

HANG_S = 60
NOTED = f"Noted.\n{ABOUT_TEA}"
IN_BLOCK = 10  # the event of NOTED, in pieces of five characters, in which the block has begun

Start = Callable[..., Awaitable[RunningProxy]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """What the user sees, of a stream or of a whole completion."""
        if self.headers["Content-Type"].startswith("application/json"):
            return str(self.json["choices"][0]["message"]["content"])
        return "".join(choice["delta"].get("content") or "" for chunk in self.chunks for choice in chunk["choices"])

    @property
    def chunks(self) -> list[Any]:
        return [json.loads(line[6:]) for line in self.body.splitlines() if line.startswith(b"data: {")]

    @property
    def report(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.startswith("X-Memory-")}


@pytest.fixture
async def resources() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(resources: AsyncExitStack) -> ModelAPI:
    return await resources.enter_async_context(model_api())


@pytest.fixture
def start(resources: AsyncExitStack, model: ModelAPI, tmp_path: Path) -> Start:
    async def start(**options: object) -> RunningProxy:
        return await resources.enter_async_context(memory_proxy(model, tmp_path, **options))

    return start


@pytest.fixture
async def proxy(start: Start) -> RunningProxy:
    return await start()


@pytest.fixture
async def session(resources: AsyncExitStack) -> aiohttp.ClientSession:
    return await resources.enter_async_context(aiohttp.ClientSession(auto_decompress=False))


@pytest.fixture
def send(session: aiohttp.ClientSession):
    """POST *data* to *proxy* and read all of the answer."""

    async def send(proxy: RunningProxy, data: bytes, path: str = "/v1/chat/completions", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url, named["Content-Type"] = URL(proxy.address + path, encoded=True), "application/json"
        async with session.post(url, data=io.BytesIO(data), headers=named) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    return send


@pytest.fixture
def ask(send):
    """Ask *text* for *user* in a new conversation."""

    async def ask(proxy: RunningProxy, text: str, user: str = "ann", mode: str = "full", **fields: Any) -> Answer:
        answer: Answer = await send(proxy, chat(text, **fields), X_Memory_User=user, X_Memory_Mode=mode)
        return answer

    return ask


def chat(text: str, **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields}).encode()


class TestMemory:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_what_one_conversation_tells_the_next_one_knows(self, proxy, model, ask, stream: bool):
        model.text = NOTED
        told = await ask(proxy, "I like green tea", stream=stream)
        assert told.text == "Noted."
        assert b"memory" not in told.body
        assert await proxy.memories("ann") == ["Likes green tea"]

        model.text = "Green tea."
        asked = await ask(proxy, "Which tea do I like?", stream=stream)
        assert asked.text == "Green tea."
        assert "[m1] (preference) Likes green tea\n" in model.last.prompt
        assert model.last.prompt.endswith("\n\nWhich tea do I like?")

    async def test_what_an_answer_corrects_is_not_recalled_again(self, proxy, model, ask):
        model.text = NOTED
        await ask(proxy, "I like green tea")
        await proxy.settled()
        model.text = 'Noted.\n<memory>{"memories":[{"content":"Likes white tea","replaces":"m1"}]}</memory>'
        assert (await ask(proxy, "Which tea do I like? White tea, by now.")).text == "Noted."
        await proxy.settled()
        asked = await ask(proxy, "Which tea do I like, green tea?")
        assert asked.headers["X-Memory-Recalled"] == "1"
        assert re.search(r"\[m1\] \(fact, [\d-]{10}\) Likes white tea\n", model.last.prompt)
        assert "Likes green tea" not in model.last.prompt

    async def test_the_answer_says_what_memory_did(self, proxy, model, ask):
        model.text = NOTED
        told = await ask(proxy, "I like green tea")
        assert told.report == {
            "X-Memory-Status": "ok",
            "X-Memory-Recalled": "0",
            "X-Memory-Extract": "inline",
            "X-Memory-Trace": told.headers["X-Memory-Trace"],
        }
        await proxy.settled()
        asked = await ask(proxy, "Which tea do I like?", mode="read")
        [memory] = await proxy.memory.store.list(Owner("ann"), limit=9)
        assert asked.report == {
            "X-Memory-Status": "ok",
            "X-Memory-Recalled": "1",
            "X-Memory-Ids": memory.id,
            "X-Memory-Extract": "skipped; reason=mode",
            "X-Memory-Trace": asked.headers["X-Memory-Trace"],
        }
        assert asked.headers["X-Memory-Trace"] != told.headers["X-Memory-Trace"]

    async def test_nobody_hears_what_another_told(self, proxy, model, ask):
        model.text = NOTED
        await ask(proxy, "I like green tea", user="ann")
        await proxy.settled()
        for user in ("Ann", "ann1", "an", "default", "ben"):
            await ask(proxy, "Which tea do I like?", user=user, mode="read")
            assert model.last.prompt == "Which tea do I like?"

    async def test_the_body_can_say_who_asks(self, proxy, model, send):
        model.text = NOTED
        await send(proxy, chat("I like green tea", user="ann"))
        await send(proxy, chat("I like green tea", metadata={"user_id": "ben"}))
        await send(proxy, chat("I like green tea", user=7))
        assert [await proxy.memories(user) for user in ("ann", "ben", "7", "default")] == [["Likes green tea"]] * 2 + [[], []]

    async def test_every_choice_has_its_blocks(self, proxy, model, ask):
        model.text = NOTED
        answer = await ask(proxy, "I like green tea", n=3)
        assert [each["message"]["content"] for each in answer.json["choices"]] == ["Noted."] * 3
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_a_tool_loop_is_given_the_same_throughout(self, proxy, model, ask, send):
        model.text = NOTED
        await ask(proxy, "I like green tea")
        await proxy.settled()
        first = await ask(proxy, "Which tea?")
        given = model.last.prompt
        messages = json.loads(chat("Which tea?"))["messages"] + [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "{}"},
        ]
        again = await send(proxy, chat("", messages=messages), X_Memory_User="ann")
        assert [each["content"] for each in model.last.json["messages"] if each["role"] == "user"] == [given]
        assert first.headers["X-Memory-Ids"] == again.headers["X-Memory-Ids"]


class TestTurns:
    async def test_a_message_is_recalled_with_its_reply_and_neighbours(self, proxy, model, ask):
        conversation: list[dict[str, str]] = []
        said = ["I moved to Oslo in May", "The flat has a piano in it", "Rent is due on Mondays"]
        for text, reply in zip(said, ("How nice!", "Do you play?", "Noted."), strict=True):
            model.text = reply
            conversation.append({"role": "user", "content": text})
            await ask(proxy, "", stream=len(conversation) == 3, messages=conversation)
            conversation.append({"role": "assistant", "content": reply})
            await proxy.settled()
        await ask(proxy, "What is in the flat, a piano?")
        [line] = re.findall(r"^\[m1\] .*$", model.last.prompt, re.MULTILINE)
        assert re.sub(r"\d{4}-\d\d-\d\d", "DATE", line) == (
            "[m1] (said DATE) The flat has a piano in it | answer: Do you play?"
            " | before: I moved to Oslo in May | after: Rent is due on Mondays"
        )

    async def test_of_an_answer_only_what_the_user_saw_is_recalled(self, proxy, model, ask):
        model.text = NOTED
        await ask(proxy, "My flat has a piano", stream=True)
        await proxy.settled()
        [turn] = await proxy.memory.store.list(Owner("ann"), Which(types=(TURN,)), limit=9)
        assert (turn.content, turn.reply, turn.source) == ("My flat has a piano", "Noted.", "turn")

    async def test_a_tool_loop_is_one_turn_with_the_last_reply(self, proxy, model, ask):
        question = {"role": "user", "content": "Is there a piano in my flat?"}
        call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}
        model.text = "Let me see."
        await ask(proxy, "", messages=[question])
        model.text = "There is."
        await ask(proxy, "", messages=[question, call, {"role": "tool", "tool_call_id": "c", "content": "yes"}])
        await proxy.settled()
        turns = await proxy.memory.store.list(Owner("ann"), Which(types=(TURN,)), limit=9)
        assert [(each.content, each.reply) for each in turns] == [("Is there a piano in my flat?", "There is.")]

    @pytest.mark.parametrize(("mode", "kept"), [("full", 1), ("write", 1), ("read", 0), ("off", 0)])
    async def test_a_mode_that_does_not_write_keeps_no_message(self, proxy, ask, mode: str, kept: int):
        await ask(proxy, "My flat has a piano", mode=mode)
        await proxy.settled()
        assert await proxy.memory.store.count(Owner("ann"), Which(types=(TURN,))) == kept

    async def test_what_the_upstream_refused_is_not_kept(self, proxy, model, ask):
        async def refuse(_: web.Request) -> web.Response:
            return web.json_response({"error": {"message": "no"}}, status=429)

        model.handler = refuse
        await ask(proxy, "My flat has a piano")
        await proxy.settled()
        assert await proxy.memory.store.count(Owner("ann"), Which(types=(TURN,))) == 0

    async def test_nothing_of_ours_comes_back_as_a_memory(self, proxy, model, ask):
        model.text = NOTED
        await ask(proxy, "I like green tea")
        await proxy.settled()
        echoes = ["Each content is one short sentence that stands alone", "You are Bob the pirate", "Likes green tea"]
        model.text = "Arr!\n<memory>" + json.dumps({"memories": [{"content": each} for each in echoes]}) + "</memory>"
        messages = [
            {"role": "system", "content": "You are Bob the pirate."},
            {"role": "user", "content": "What do I drink, tea?"},
        ]
        await ask(proxy, "", messages=messages)
        await proxy.settled()
        assert await proxy.memories("ann") == ["Likes green tea"]
        assert proxy.memory.remember.figures.echoes.total() == 3

    async def test_a_secret_is_in_no_file(self, proxy, model, ask, tmp_path):
        secret = "sk-" + "proj-" + "a1B2" * 12
        model.text = f'Noted: {secret}\n<memory>{{"memories":[{{"content":"The key is {secret}"}}]}}</memory>'
        await ask(proxy, f"My key is {secret}")
        await proxy.settled()
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert (b"My key is [redacted" in written, secret.encode() in written) == (True, False)


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "recalls", "extracts"),
        [("full", True, True), ("read", True, False), ("write", False, True), ("off", False, False)],
    )
    async def test_each_does_what_its_name_says(self, proxy, ask, mode: str, recalls: bool, extracts: bool):
        model = proxy.model
        model.text = NOTED
        await ask(proxy, "I like green tea")
        await proxy.settled()
        model.text = NOTED.replace("green", "black")
        answer = await ask(proxy, "Which tea do I like?", mode=mode)
        assert ("[m1]" in model.last.prompt) is recalls
        assert (model.last.json["messages"][0]["role"] == "system") is extracts
        assert answer.text == ("Noted." if extracts else model.text)
        assert await proxy.memories("ann") == (["Likes black tea"] if extracts else []) + ["Likes green tea"]

    async def test_off_is_a_relay_and_nothing_else(self, proxy, model, send):
        model.text = NOTED
        data = b' { "model":"m","messages":[ {"role":"user","content":"\\u0041"} ],"seed":12345678901234567890123 } '
        answer = await send(proxy, data, X_Memory_Mode="off", Accept_Encoding="br, gzip")
        assert (model.last.body, model.last.headers["Accept-Encoding"]) == (data, "br, gzip")
        assert answer.report == {"X-Memory-Status": "off"}

    async def test_memory_can_be_switched_off_for_all(self, start, model, ask):
        model.text = NOTED
        proxy = await start(recall__enabled=False, extract__enabled=False)
        answer = await ask(proxy, "I like green tea")
        assert (model.last.body, answer.text) == (chat("I like green tea"), NOTED)
        assert answer.headers["X-Memory-Extract"] == "skipped; reason=disabled"


class TestUpstream:
    async def test_it_is_not_told_about_memory(self, proxy, model, send):
        for mode in ("full", "read", "write", "off"):
            await send(
                proxy, chat("Hi"), X_Memory_User="ann", X_Memory_Session="s", x_memory_mode=mode, X_Memory_New="1", X_Other="2"
            )
            assert [name for name in model.last.headers if name.lower().startswith("x-memory")] == []
            assert model.last.headers["X-Other"] == "2"

    async def test_an_answer_that_is_to_be_read_must_not_be_compressed(self, proxy, model, send):
        await send(proxy, chat("Hi"), Accept_Encoding="gzip, br")
        assert model.last.headers.getall("Accept-Encoding") == ["identity"]
        await send(proxy, chat("Hi", response_format={"type": "json_object"}), Accept_Encoding="gzip, br")
        assert model.last.headers.getall("Accept-Encoding") == ["gzip, br"]

    async def test_the_key_and_the_length_are_right(self, proxy, model, send):
        await send(proxy, chat("Hi"), Authorization="Bearer sk-1")
        assert model.last.headers["Authorization"] == "Bearer sk-1"
        assert int(model.last.headers["Content-Length"]) == len(model.last.body) > len(chat("Hi"))

    async def test_a_body_in_chunks_arrives_whole(self, proxy, model, session):
        async def pieces() -> AsyncIterator[bytes]:
            data = chat("I like green tea")
            for at in range(0, len(data), 20):
                yield data[at : at + 20]

        model.text = NOTED
        async with session.post(f"{proxy.url}/chat/completions", data=pieces()) as answer:
            assert (await answer.json())["choices"][0]["message"]["content"] == "Noted."
        assert model.last.headers["Content-Length"] == str(len(model.last.body))
        assert "Transfer-Encoding" not in model.last.headers

    @pytest.mark.parametrize(
        "data",
        [b"not JSON", b"[]", b'{"messages":"Hi"}', b"", gzip.compress(chat("Hi"), mtime=0), chat("Hi").decode().encode("utf-16")],
    )
    async def test_what_can_t_be_read_is_left_to_it(self, proxy, model, send, data: bytes):
        async def refuse(request: web.Request) -> web.Response:
            return web.json_response({"error": {"message": "We could not parse the JSON body."}}, status=400)

        model.handler = refuse
        answer = await send(proxy, data)
        assert (answer.status, answer.json) == (400, {"error": {"message": "We could not parse the JSON body."}})
        assert model.last.body == data
        assert (answer.headers["X-Memory-Status"], answer.headers["X-Memory-Extract"]) == ("off", "skipped; reason=unreadable")

    async def test_a_bad_user_in_the_body_costs_only_the_memories(self, proxy, model, send):
        model.text = NOTED
        answer = await send(proxy, chat("I like tea", user="a\nb"))
        assert (model.last.body, answer.text) == (chat("I like tea", user="a\nb"), NOTED)
        assert answer.headers["X-Memory-Status"] == "degraded; reason=user"

    @pytest.mark.parametrize(
        ("path", "there"),
        [
            ("/v1/chat/completions", "/v1/chat/completions"),
            ("/v1/chat/completions/", "/v1/chat/completions/"),
            ("/v1/chat/completions?a=%2F", "/v1/chat/completions?a=%2F"),
            ("/openai/v1/chat/completions", "/v1/chat/completions"),
            ("/openai/deployments/gpt/chat/completions?api-version=1", "/openai/deployments/gpt/chat/completions?api-version=1"),
            ("/chat/completions", "/chat/completions"),
        ],
    )
    async def test_chats_are_known_under_any_prefix(self, proxy, model, send, path: str, there: str):
        model.text = NOTED
        answer = await send(proxy, chat("I like green tea"), path)
        assert (model.last.path, answer.text, answer.headers["X-Memory-Extract"]) == (there, "Noted.", "inline")

    async def test_other_paths_are_no_chats(self, proxy, model, send):
        answer = await send(proxy, chat("Hi"), "/v1/completions")
        assert (model.last.body, answer.report) == (chat("Hi"), {})

    async def test_the_model_can_choose_it(self, start, model, send):
        async with model_api() as other:
            other.text = "I am the other"
            proxy = await start(upstreams=json.dumps([{"name": "other", "base_url": other.url, "models": ["o-*"]}]))
            assert (await send(proxy, chat("Hi", model="o-1"))).text == "I am the other"
            assert (await send(proxy, chat("Hi"))).text == "Hello"


class TestAnswers:
    async def test_an_error_is_left_as_it_is(self, proxy, model, send):
        async def refuse(request: web.Request) -> web.Response:
            error = {"error": {"message": NOTED, "type": "rate_limit"}}
            return web.json_response(error, status=429, headers={"retry-after-ms": "7", "x-request-id": "r1"})

        model.handler = refuse
        answer = await send(proxy, chat("Hi"))
        assert (answer.status, answer.json["error"]["message"]) == (429, NOTED)
        assert (answer.headers["retry-after-ms"], answer.headers["x-request-id"]) == ("7", "r1")
        assert answer.headers["X-Memory-Status"] == "ok"
        assert await proxy.memories("default") == []

    async def test_one_that_is_compressed_all_the_same_is_left_as_it_is(self, proxy, model, send):
        body = gzip.compress(json.dumps({"choices": [{"message": {"content": NOTED}}]}).encode())

        async def compress(request: web.Request) -> web.Response:
            return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

        model.handler = compress
        answer = await send(proxy, chat("Hi"))
        assert (answer.body, answer.headers["Content-Encoding"], answer.headers["Content-Length"]) == (
            body,
            "gzip",
            str(len(body)),
        )

    async def test_a_stream_without_a_block_leaves_as_it_came(self, proxy, model, ask):
        model.text = "if a < b: `<memory>` ```\n<memory>\n``` éà漢字 \n"
        answer = await ask(proxy, "Hi", stream=True, stream_options={"include_usage": True})
        assert answer.body == b"".join(model.events(with_usage=True))

    async def test_the_length_fits_after_a_block_was_taken_out(self, proxy, model, ask):
        model.text = NOTED
        answer = await ask(proxy, "I like green tea")
        assert answer.headers["Content-Length"] == str(len(answer.body))

    async def test_a_stream_that_breaks_off_has_no_end_but_its_blocks_are_kept(self, proxy, model, session):
        model.text = NOTED

        async def break_off(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for event in model.events()[:-2]:
                await response.write(event)
            assert request.transport is not None
            request.transport.close()
            return response

        model.handler = break_off
        got = b""
        headers = {"X-Memory-User": "ann"}
        async with session.post(f"{proxy.url}/chat/completions", data=chat("I like tea", stream=True), headers=headers) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 (what came before is looked at too)
                while data := await answer.content.readany():
                    got += data
        assert b"Note" in got
        assert b"memor" not in got
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_a_completion_that_breaks_off_is_a_502(self, proxy, model, send):
        async def break_off(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
            await response.prepare(request)
            await response.write(b'{"choices":[')
            assert request.transport is not None
            request.transport.close()
            return response

        model.handler = break_off
        answer = await send(proxy, chat("Hi"))
        assert (answer.status, answer.json["error"]["code"], answer.headers["x-should-retry"]) == (
            502,
            "upstream_broken",
            "false",
        )

    async def test_an_upstream_that_can_t_be_reached_is_a_502(self, start, send):
        proxy = await start(upstream__base_url="http://127.0.0.1:9/v1")
        answer = await send(proxy, chat("Hi"))
        assert (answer.status, answer.headers["x-should-retry"]) == (502, "true")
        assert answer.json["error"] | {"message": ""} == {
            "message": "",
            "type": "proxy_error",
            "param": None,
            "code": "upstream_unreachable",
        }


class TestTrouble:
    async def test_without_its_store_a_chat_goes_on(self, proxy, model, ask, session):
        model.text = NOTED
        edge: Any = proxy.memory.guards[0].part._store
        await edge._call(edge._shard.close)
        for stream in (False, True):
            answer = await ask(proxy, "I like green tea", stream=stream)
            assert (answer.status, answer.text) == (200, "Noted.")
            assert answer.headers["X-Memory-Status"] == "degraded; reason=store"
        await proxy.settled()
        async with session.get(f"{proxy.address}/health/ready") as ready:
            body = await ready.json()
            assert (ready.status, body["status"], body["checks"]["embedder"]["state"]) == (503, "unavailable", "ok")
            assert body["checks"]["store"]["why"].startswith("the embedded store failed: ")

    async def test_without_its_embedder_a_chat_goes_on(self, proxy, model, ask, session):
        model.text = NOTED
        model.embeds = False
        for _ in range(3):
            answer = await ask(proxy, "I like green tea")
            assert (answer.text, answer.headers["X-Memory-Status"]) == ("Noted.", "degraded; reason=embedder")
        assert await proxy.memories("ann") == []
        async with session.get(f"{proxy.address}/health/ready") as ready:
            body = await ready.json()
            assert (ready.status, body["checks"]["store"]["state"]) == (503, "ok")
            assert body["checks"]["embedder"]["why"] == "the embeddings API refused a text (status 400)"

    async def test_without_its_embedder_memories_are_found_by_their_words(self, proxy, model, ask):
        model.text = NOTED
        await ask(proxy, "I like green tea")
        await proxy.settled()
        model.embeds = False
        answer = await ask(proxy, "Which tea is the best?")
        assert (answer.headers["X-Memory-Status"], answer.headers["X-Memory-Recalled"] != "0") == (
            "degraded; reason=embedder",
            True,
        )
        assert "Likes green tea" in model.last.prompt

    async def test_a_late_embedder_does_not_hold_a_chat_up(self, start, model, ask):
        proxy = await start(recall__deadline_ms=200)
        model.may_embed.clear()
        answer = await ask(proxy, "Which tea do I like?")
        model.may_embed.set()
        assert (answer.text, answer.headers["X-Memory-Status"]) == ("Hello", "degraded; reason=embedder")


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "value", "why"),
        [
            ("X-Memory-Mode", "on", "X-Memory-Mode: 'on' is not allowed; use full, read, write or off"),
            ("X-Memory-User", " ", "X-Memory-User: is empty; leave it out or name somebody"),
            ("X-Memory-User", "a" * 4096, "X-Memory-User: is 4096 bytes long; at most 1024 are allowed"),
            ("X-Memory-Session", "", "X-Memory-Session: is empty; leave it out or name somebody"),
        ],
    )
    async def test_a_header_that_makes_no_sense_is_a_400(self, proxy, send, name: str, value: str, why: str):
        answer = await send(proxy, chat("Hi"), **{name: value})
        assert (answer.status, answer.headers["x-should-retry"]) == (400, "false")
        error = {"message": why, "type": "invalid_request_error", "param": name, "code": "bad_request"}
        assert answer.json == {"error": error}
        assert proxy.model.seen == []

    async def test_a_name_in_latin_1_is_a_400(self, proxy, connect):
        client = await connect(proxy.address)
        data = chat("Hi")
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: p\r\nX-Memory-User: Zo\xeb\r\nContent-Length: %d\r\n\r\n"
        await client.send(head % len(data) + data)
        start_line, _ = await client.head()
        assert start_line == b"HTTP/1.1 400 Bad Request"

    async def test_a_body_beyond_the_limit_is_a_413(self, start, model, send):
        proxy = await start(limits__request_bytes=2048)
        answer = await send(proxy, chat("x" * 5000))
        assert (answer.status, answer.json["error"]["code"], answer.json["error"]["type"]) == (
            413,
            "request_too_large",
            "invalid_request_error",
        )
        assert model.seen == []
        assert (await send(proxy, chat("Hi"))).status == 200

    async def test_a_large_image_is_no_trouble(self, proxy, model, send):
        model.text = NOTED
        url = "data:image/png;base64," + base64.b64encode(bytes(3_000_000)).decode()
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "I like green tea"}]
        answer = await send(proxy, chat("", messages=[{"role": "user", "content": parts}]), X_Memory_User="ann")
        assert (answer.text, model.last.json["messages"][1]["content"]) == ("Noted.", parts)
        assert await proxy.memories("ann") == ["Likes green tea"]


class TestClientsThatLeave:
    """Pitfalls 28 to 30."""

    @pytest.fixture
    def leaving(self, proxy, model, session):
        """Ask, wait until the upstream pauses, and hang up."""

        async def leaving(*, stream: bool = True) -> None:
            data, headers = chat("I like green tea", stream=stream), {"X-Memory-User": "ann"}
            asking = asyncio.ensure_future(session.post(f"{proxy.url}/chat/completions", data=data, headers=headers))
            await model.paused.wait()
            if asking.done():
                (await asking).close()
            asking.cancel()

        return leaving

    async def test_in_the_middle_of_a_block_the_block_is_still_kept(self, proxy, model, leaving):
        model.text, model.pause_at = NOTED, IN_BLOCK
        await leaving()
        async with asyncio.timeout(HANG_S):
            while not proxy.memory.drain._tasks:  # noqa: ASYNC110 (nobody tells when a client has left)
                await asyncio.sleep(0.005)
        assert not model.left.is_set()
        model.go_on.set()
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_before_a_block_the_upstream_is_left_at_once(self, proxy, model, leaving):
        model.text, model.pause_at = NOTED, 2
        await leaving()
        await model.left.wait()
        assert await proxy.memories("ann") == []

    async def test_behind_a_block_it_is_kept_and_the_upstream_left(self, proxy, model, leaving):
        model.text, model.size = NOTED + "\nBye", 3
        model.pause_at = len(model.events()) - 2
        await leaving()
        await model.left.wait()
        assert await proxy.memories("ann") == ["Likes green tea"]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_before_the_first_byte_the_upstream_is_left_at_once(self, model, leaving, stream: bool):
        async def think(request: web.Request) -> web.Response:
            model.paused.set()
            await model.go_on.wait()
            return web.Response()

        model.handler = think
        await leaving(stream=stream)
        await model.left.wait()

    async def test_when_the_proxy_ends_their_blocks_are_waited_for(self, model, session, tmp_path):
        model.text, model.pause_at = NOTED, IN_BLOCK
        async with memory_proxy(model, tmp_path / "first") as proxy:
            data = chat("I like green tea", stream=True)
            async with session.post(f"{proxy.url}/chat/completions", data=data, headers={"X-Memory-User": "ann"}):
                await model.paused.wait()
            async with asyncio.timeout(HANG_S):
                while not proxy.memory.drain._tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            asyncio.get_running_loop().call_later(0.05, model.go_on.set)
        async with memory_proxy(model, tmp_path / "first") as proxy:
            assert await proxy.memories("ann") == ["Likes green tea"]


class TestEarlyFinish:
    async def test_the_stream_ends_where_the_block_begins_and_the_block_is_kept(self, start, model, ask):
        proxy = await start(extract__early_finish=True)
        model.text, model.pause_at = NOTED, IN_BLOCK
        answer = await ask(proxy, "I like green tea", stream=True)
        assert not model.go_on.is_set()
        assert (answer.text, answer.chunks[-1]["choices"]) == ("Noted.", [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")
        model.go_on.set()
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_with_usage_asked_for_it_ends_with_the_usage(self, start, model, ask):
        proxy = await start(extract__early_finish=True)
        model.text = NOTED
        answer = await ask(proxy, "I like green tea", stream=True, stream_options={"include_usage": True})
        assert (answer.text, answer.chunks[-1]["choices"], answer.chunks[-1]["usage"]["total_tokens"]) == ("Noted.", [], 13)
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_with_tools_it_waits(self, start, model, ask):
        proxy = await start(extract__early_finish=True)
        model.text = NOTED + "\nBye"
        answer = await ask(proxy, "I like green tea", stream=True, tools=[{"type": "function", "function": {"name": "f"}}])
        assert answer.text == "Noted.\nBye"
