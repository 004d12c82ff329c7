"""How many requests may be under way."""

import asyncio

import aiohttp

from tests.fakes import memory_proxy, model_api

HANG_S = 60


async def test_beyond_the_limit_a_request_is_told_to_come_back(tmp_path):
    async with (
        asyncio.timeout(HANG_S),
        model_api() as model,
        memory_proxy(model, tmp_path, limits__requests=1) as proxy,
        aiohttp.ClientSession() as session,
    ):
        model.pause_at = 1
        chat = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "tea"}]}
        async with session.post(f"{proxy.url}/chat/completions", json=chat) as first:
            async with session.get(f"{proxy.url}/models") as second:
                assert (second.status, second.headers["Retry-After"], second.headers["x-should-retry"]) == (503, "1", "true")
                assert (await second.json())["error"] == {
                    "message": "More requests are under way than limits.requests allows; try again.",
                    "type": "proxy_error",
                    "param": None,
                    "code": "too_busy",
                }
            async with session.get(f"{proxy.address}/health/live") as health:
                assert health.status == 200
            model.go_on.set()
            assert first.status == 200
            await first.read()
        async with session.get(f"{proxy.url}/models") as third:
            assert third.status == 200
