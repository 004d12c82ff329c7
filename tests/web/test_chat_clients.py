"""Chats as the clients that people use send and read them: openai and groq, synchronous and not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import groq
import openai
import pytest
from pydantic import BaseModel

from tests.fakes import ABOUT_TEA, USAGE, ModelAPI, RunningProxy, memory_proxy, model_api

NOTED = f"Noted.\n{ABOUT_TEA}"
ANN = {"X-Memory-User": "ann"}
TELL: Any = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}]}
ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "Which tea do I like?"}]}
HANG_S = 60


@pytest.fixture
async def model() -> AsyncIterator[ModelAPI]:
    async with asyncio.timeout(HANG_S), model_api() as model:
        model.text = NOTED
        yield model


@pytest.fixture
async def proxy(model: ModelAPI, tmp_path: Path) -> AsyncIterator[RunningProxy]:
    async with memory_proxy(model, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=proxy.url, api_key="k", max_retries=0, default_headers=ANN) as client:
        yield client


class TestOpenAI:
    async def test_told_in_one_conversation_known_in_the_next(self, proxy, model, client):
        told = await client.chat.completions.create(**TELL)
        assert (told.choices[0].message.content, told.choices[0].finish_reason) == ("Noted.", "stop")
        await proxy.settled()
        model.text = "Green."
        asked = await client.chat.completions.create(**ASK)
        assert asked.choices[0].message.content == "Green."
        assert "Likes green tea" in model.last.prompt

    async def test_a_stream_has_its_usage_and_its_end(self, proxy, client):
        stream = await client.chat.completions.create(**TELL, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Noted."
        assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "stop"
        assert (chunks[-1].choices, chunks[-1].usage and chunks[-1].usage.to_dict()) == ([], USAGE)
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_the_stream_helper_sees_the_whole_answer(self, proxy, client):
        async with client.chat.completions.stream(**TELL) as stream:
            seen = "".join([event.delta async for event in stream if event.type == "content.delta"])
            final = await stream.get_final_completion()
        assert (seen, final.choices[0].message.content) == ("Noted.", "Noted.")
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_a_parsed_answer_is_asked_for_without_the_instruction(self, model, client):
        class Drink(BaseModel):
            name: str

        model.text = '{"name":"tea"}'
        parsed = await client.chat.completions.parse(**ASK, response_format=Drink)
        assert parsed.choices[0].message.parsed == Drink(name="tea")
        assert [each["role"] for each in model.last.json["messages"]] == ["user"]

    async def test_headers_tell_what_memory_did(self, client):
        raw = await client.chat.completions.with_raw_response.create(**TELL)
        assert (raw.headers["x-memory-status"], raw.headers["x-memory-extract"]) == ("ok", "inline")
        completion = raw.parse()
        assert completion.choices[0].message.content == "Noted."

    async def test_a_streamed_response_can_be_left_early(self, proxy, model, client):
        model.pause_at = 2
        async with client.chat.completions.with_streaming_response.create(**TELL, stream=True) as response:
            assert response.headers["x-memory-extract"] == "inline"
            await model.paused.wait()
        await model.left.wait()
        assert await proxy.memories("ann") == []

    async def test_every_choice_is_clean(self, proxy, client):
        completion = await client.chat.completions.create(**TELL, n=2)
        assert [each.message.content for each in completion.choices] == ["Noted.", "Noted."]
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_the_user_can_be_said_in_the_body(self, proxy):
        async with openai.AsyncOpenAI(base_url=proxy.url, api_key="k") as client:
            await client.chat.completions.create(**TELL, user="ben")
            await client.chat.completions.create(**TELL, safety_identifier="cat")
        assert await proxy.memories("ben") == await proxy.memories("cat") == ["Likes green tea"]

    async def test_our_own_refusals_are_the_client_s_errors(self, client):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(**TELL, extra_headers={"X-Memory-Mode": "on"})
        assert (caught.value.param, caught.value.code, caught.value.type) == (
            "X-Memory-Mode",
            "bad_request",
            "invalid_request_error",
        )

    async def test_the_upstream_s_refusals_are_too(self, model, client):
        async def refuse(_: object) -> Any:
            from aiohttp import web

            return web.json_response({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, status=429)

        model.handler = refuse
        with pytest.raises(openai.RateLimitError, match="slow down"):
            await client.chat.completions.create(**TELL)

    async def test_azure_s_client_has_memory_too(self, proxy, model):
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=proxy.address, api_key="k", api_version="2024-06-01", default_headers=ANN
        ) as client:
            told = await client.chat.completions.create(**TELL)
        assert told.choices[0].message.content == "Noted."
        assert model.last.path == "/openai/deployments/m/chat/completions?api-version=2024-06-01"
        assert await proxy.memories("ann") == ["Likes green tea"]

    async def test_the_synchronous_client_works_alike(self, proxy, model):
        def tell_and_ask() -> list[str | None]:
            with openai.OpenAI(base_url=proxy.url, api_key="k", default_headers=ANN) as client:
                whole = client.chat.completions.create(**TELL).choices[0].message.content
                chunks = list(client.chat.completions.create(**TELL, stream=True))
                with client.chat.completions.stream(**TELL) as stream:
                    helped = stream.get_final_completion().choices[0].message.content
            return [whole, "".join(each.choices[0].delta.content or "" for each in chunks), helped]

        assert await asyncio.to_thread(tell_and_ask) == ["Noted."] * 3
        assert await proxy.memories("ann") == ["Likes green tea"]


class TestGroq:
    """Its base URL has no ``/v1``: the client adds ``/openai/v1`` itself."""

    async def test_it_has_memory_too(self, proxy, model):
        async with groq.AsyncGroq(base_url=proxy.address, api_key="k", default_headers=ANN) as client:
            told = await client.chat.completions.create(**TELL)
            stream = await client.chat.completions.create(**TELL, stream=True)
            streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            await proxy.settled()
            model.text = "Green."
            asked = await client.chat.completions.create(**ASK)
        assert [told.choices[0].message.content, streamed, asked.choices[0].message.content] == ["Noted.", "Noted.", "Green."]
        assert model.last.path == "/v1/chat/completions"
        assert "Likes green tea" in model.last.prompt

    async def test_the_synchronous_client_works_alike(self, proxy):
        def tell() -> str | None:
            with groq.Groq(base_url=proxy.address, api_key="k", default_headers=ANN) as client:
                return client.chat.completions.create(**TELL).choices[0].message.content

        assert await asyncio.to_thread(tell) == "Noted."
        assert await proxy.memories("ann") == ["Likes green tea"]


async def test_with_the_real_model_two_users_are_told_apart(model, model_dir, tmp_path):
    options = {"embedding__provider": "fastembed", "embedding__model": "sentence-transformers/all-MiniLM-L6-v2"}
    async with (
        memory_proxy(model, tmp_path, **options, embedding__models_dir=model_dir.parent) as proxy,
        openai.AsyncOpenAI(base_url=proxy.url, api_key="k", max_retries=0) as client,
    ):
        for user, fact in {"ann": "Is allergic to peanuts", "ben": "Eats no meat"}.items():
            model.text = "Noted.\n<memory>" + json.dumps({"memories": [{"content": fact}]}) + "</memory>"
            await client.chat.completions.create(**TELL, user=user)
        await proxy.settled()
        prompts = {}
        for user in ("ann", "ben", "cat"):
            question: Any = [{"role": "user", "content": "What must I not eat?"}]
            await client.chat.completions.create(model="m", messages=question, user=user)
            prompts[user] = model.last.prompt
    assert ") Is allergic to peanuts\n" in prompts["ann"]
    assert "meat" not in prompts["ann"]
    assert ") Eats no meat\n" in prompts["ben"]
    assert prompts["cat"] == "What must I not eat?"
