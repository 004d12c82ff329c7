"""What clients do all day: streams, whole answers, tool loops, clients that leave, and requests that aren't chats."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import aiohttp

from tests.fakes import ModelAPI

# Chats go to every one of so many; each is served again and again, so that what is kept of them fills up early.
USERS = 200
TOPICS = [
    "tea",
    "coffee",
    "Rome",
    "Paris",
    "chess",
    "climbing",
    "guitar",
    "gardens",
    "trains",
    "ceramics",
    "swimming",
    "sourdough",
]
PATIENCE_S = 60
MANY = 10**6


class Clients:
    """Asks *rate* times a second, whatever is still open. ``done`` counts each kind, ``failed`` says what went wrong.

    *numbers*: how many different things are said of each topic. With few, all has been said before long, and is only said again.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, rate: float, *, numbers: int = MANY, seed: int = 0) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._session = session
        self._url = url
        self._rate = rate
        self._source = random.Random(seed)
        self._numbers = numbers
        self._kinds = [self._stream] * 5 + [self._whole] * 3 + [self._tool_loop, self._leave, self._other]

    async def ask_for(self, seconds: float) -> None:
        """Return when all that was asked in these *seconds* is answered."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                due = begun + number / self._rate
                if due > begun + seconds:
                    return
                await asyncio.sleep(due - loop.time())
                group.create_task(self._one(self._source.choice(self._kinds)))

    async def _one(self, kind: Any) -> None:
        name = kind.__name__.strip("_")
        try:
            async with asyncio.timeout(PATIENCE_S):
                await kind()
        except (aiohttp.ClientError, TimeoutError, AssertionError) as exc:
            self.failed[f"{name}: {type(exc).__name__}: {exc}"[:200]] += 1
        self.done[name] += 1

    async def _stream(self) -> None:
        answer = await self._chat([self._said()], stream=True)
        assert answer.endswith(b"data: [DONE]\n\n"), "a stream without its end"

    async def _whole(self) -> None:
        assert json.loads(await self._chat([self._said()]))["choices"], "no choices"

    async def _tool_loop(self) -> None:
        messages = [self._said()]
        for i in range(3):
            await self._chat(messages, tools=[{"type": "function", "function": {"name": "look"}}])
            call = {"id": f"c{i}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            messages += [{"role": "assistant", "content": None, "tool_calls": [call]}]
            messages += [{"role": "tool", "tool_call_id": f"c{i}", "content": f"result {i}"}]

    async def _leave(self) -> None:
        async with self._post([self._said()], stream=True) as answer:
            await answer.content.readany()
            answer.close()

    async def _other(self) -> None:
        async with self._session.post(f"{self._url}/embeddings", json={"model": "m", "input": ["hello"]}) as answer:
            await answer.read()

    def _said(self) -> dict[str, Any]:
        number = self._source.randrange(self._numbers)
        return {"role": "user", "content": f"I like {self._source.choice(TOPICS)} since {number}, what goes with it?"}

    async def _chat(self, messages: list[dict[str, Any]], **fields: Any) -> bytes:
        async with self._post(messages, **fields) as answer:
            body = await answer.read()
            assert answer.status == 200, f"status {answer.status}: {body[:100]!r}"
            return body

    def _post(self, messages: list[dict[str, Any]], **fields: Any) -> Any:
        headers = {"X-Memory-User": f"user{self._source.randrange(USERS)}"}
        return self._session.post(
            f"{self._url}/chat/completions", json={"model": "m", "messages": messages, **fields}, headers=headers
        )


class SoakModel(ModelAPI):
    """Answers with a block that says something of its own each time, one of *numbers* things, and forgets what it was asked."""

    numbers = MANY

    async def answer(self, request: Any) -> Any:
        self.seen.clear()
        fact = f"Likes {random.choice(TOPICS)} since {random.randrange(self.numbers)}"
        self.text = f'Noted, with pleasure.\n<memory>{{"memories":[{{"content":"{fact}"}}]}}</memory>'
        with suppress(ConnectionError):
            return await super().answer(request)
