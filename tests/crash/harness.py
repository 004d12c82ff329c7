"""Tells a proxy things and kills it, again and again, over one folder; then looks at what has become of them.

Each user first tells three things in peace. In a second conversation one of them is corrected, one said again and one contradicted,
and a new one comes: that answer is the one that is disturbed. Afterwards everything of a user whose client saw the answer's end must be
as if nothing had happened; of another, it may also be as if the second conversation had not been. Compared is all that the store has:
contents, versions, links, and how often each was said again.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from proxy.config import load
from proxy.core.models import MEMORY_TYPES, TURN, Memory, Owner
from proxy.memory.store import Which
from proxy.memory.stores import open_store
from tests.crash import victim
from tests.fakes import DIMENSIONS, ModelAPI, model_api

PATIENCE_S = 60
EVERYTHING = Which(types=(*MEMORY_TYPES, TURN), past=True)
FIRST = "Berlin is where I live, and the tea that I like is green"
SECOND = "I moved, so my old profile is wrong: lives in Berlin"
TOLD_FIRST: list[object] = ["Lives in Berlin", "Likes green tea", "Has 2 cats"]
MOVED = {"content": "Lives in Munich", "replaces": "m1"}
TOLD_SECOND: list[object] = [MOVED, "Likes green tea", "Has 3 cats", "Sings in a choir"]

State = Counter[tuple[object, ...]]


@dataclass
class Outcome:
    """Of all users: those who *completed*, and by name who *lost* something or has something *doubled* or otherwise wrong."""

    users: int = 0
    completed: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        names = f"; {', '.join([*self.lost, *self.doubled])}" if self.lost or self.doubled else ""
        missed = f"; never reached: {', '.join(self.unreached)}" if self.unreached else ""
        return (
            f"{self.users} answers disturbed, {self.completed} of which had ended for the client: "
            f"lost {len(self.lost)}, doubled {len(self.doubled)}{names}{missed}"
        )


async def crash(folder: Path, points: Sequence[str], *, times: int, seed: int = 0) -> Outcome:
    """Kill at each of *points* and, as many *times*, at a random time."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with model_api() as model, aiohttp.ClientSession(connector=connector) as client:
        crashing = _Crashing(model, folder, client)
        await crashing.measure()
        for point in points:
            await crashing.at(point)
        for number in range(times):
            await crashing.at_random(f"random {seed} {number}", random.Random(f"{seed} {number}"))
        return await crashing.outcome()


class _Crashing:
    def __init__(self, model: ModelAPI, folder: Path, client: aiohttp.ClientSession) -> None:
        self._client = client
        model.handler = self._answer
        self._settings = _settings(model, folder)
        self._armed = folder / "armed"
        self._prompts: dict[str, str] = {}  # the last one of each user
        self._completed: dict[str, bool] = {}
        self._shown: set[str] = set()  # to whom the memory was shown that is corrected
        self._unreached: list[str] = []
        self._usual_s = 0.0

    async def measure(self) -> None:
        """What it looks like without and with the second conversation, and how long that takes; the first time is no measure."""
        async with self._proxy(None) as proxy:
            await self._prepare(proxy.address, "before")
            for user, mode in (("after, not shown", "write"), ("after", "full")):
                await self._prepare(proxy.address, user)
                began = asyncio.get_running_loop().time()
                await self._tell(proxy.address, user, SECOND, mode)
                await self._until_known(proxy.address, user, "Lives in Munich")
                self._usual_s = asyncio.get_running_loop().time() - began

    async def at(self, point: str) -> None:
        async with self._proxy(point) as proxy:
            await self._prepare(proxy.address, point)
            self._armed.touch()
            self._completed[point] = await self._tell(proxy.address, point, SECOND)
            if not await proxy.dies_within(10):
                self._unreached.append(point)
        self._armed.unlink()

    async def at_random(self, name: str, source: random.Random) -> None:
        users = [f"{name} {i}" for i in range(3)]
        async with self._proxy(None) as proxy:
            await asyncio.gather(*(self._prepare(proxy.address, user) for user in users))
            telling = [asyncio.ensure_future(self._tell(proxy.address, user, SECOND)) for user in users]
            await asyncio.sleep(source.uniform(0, 1.5 * self._usual_s))
            proxy.kill()
            self._completed |= dict(zip(users, await asyncio.gather(*telling), strict=True))

    async def outcome(self) -> Outcome:
        async with self._proxy(None):
            pass  # told to end, it first remembers what is left
        states = await self._states(["before", "after", "after, not shown", *self._completed])
        before = states["before"]
        outcome = Outcome(len(self._completed), sum(self._completed.values()), unreached=self._unreached)
        for user, completed in self._completed.items():
            state, after = states[user], states["after" if user in self._shown else "after, not shown"]
            if state not in (before, after):
                (outcome.doubled if set(after) <= set(state) or state - after else outcome.lost).append(user)
            elif completed and state != after:
                outcome.lost.append(user)
        return outcome

    async def _prepare(self, address: str, user: str) -> None:
        assert await self._tell(address, user, FIRST)
        await self._until_known(address, user)

    async def _tell(self, address: str, user: str, text: str, mode: str = "full") -> bool:
        """Whether the client saw the answer's end."""
        ended = False
        with suppress(aiohttp.ClientError, ConnectionError):
            async with self._client.post(f"{address}/v1/chat/completions", **_chat(user, text, mode)) as response:
                async for line in response.content:
                    ended = ended or line.startswith(b"data: [DONE]")
        return ended

    async def _until_known(self, address: str, user: str, content: str = "Lives in Berlin") -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self._client.post(f"{address}/v1/chat/completions", **_chat(user, f"{content}?", "read")) as response:
                    await response.read()
                if content in self._prompts[user].removesuffix(f"{content}?"):
                    return

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        prompt = self._prompts[asked["user"]] = asked["messages"][-1]["content"]
        items = TOLD_FIRST if prompt.endswith(FIRST) else TOLD_SECOND
        shown = re.search(r"\[(m\d+)\][^\n]*Lives in Berlin", prompt)
        if items is TOLD_SECOND and shown is not None:
            items = [MOVED | {"replaces": shown[1]}, *TOLD_SECOND[1:]]
            self._shown.add(asked["user"])
        text = f"Noted.\n<memory>{json.dumps({'memories': items})}</memory>"
        answering = ModelAPI(text=text, size=20)
        return await answering._stream(request, asked)

    @asynccontextmanager
    async def _proxy(self, point: str | None) -> AsyncIterator[_Proxy]:
        proxy = _Proxy(self._settings, point)
        try:
            yield await proxy.started()
        finally:
            await proxy.ended()

    async def _states(self, users: Sequence[str]) -> dict[str, State]:
        config = load(None, environ={}, overrides=self._settings)
        async with open_store(config.store, DIMENSIONS) as store:
            return {user: _state(await store.list(Owner(user), EVERYTHING, limit=99)) for user in users}


class _Proxy:
    """A process; see ``victim``. Forked from a server that has imported everything, so that a start takes no second."""

    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(["tests.crash.victim", "proxy.memory.openai_embedder"])

    def __init__(self, settings: dict[str, object], point: str | None) -> None:
        self._pipe, there = self._context.Pipe()
        self._process = self._context.Process(target=victim.run, args=(settings, point, there), daemon=True)
        self._process.start()
        there.close()
        self.address = ""

    async def started(self) -> _Proxy:
        async with asyncio.timeout(PATIENCE_S):
            self.address = await asyncio.to_thread(self._pipe.recv)
        return self

    def kill(self) -> None:
        self._process.kill()

    async def dies_within(self, seconds: float) -> bool:
        await asyncio.to_thread(self._process.join, seconds)
        return self._process.exitcode is not None

    async def ended(self) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        assert await self.dies_within(PATIENCE_S)
        self._pipe.close()
        self._process.close()


def _settings(model: ModelAPI, folder: Path) -> dict[str, object]:
    return {
        "listen.port": 0,
        "listen.grace_s": 20,
        "upstream.base_url": model.url,
        "store.path": folder,
        "embedding.provider": "openai",
        "embedding.model": "words",
        "embedding.url": model.url,
        "recall.deadline_ms": 10_000,
        "recall.limit": 1,
        "recall.show_turns": "none",
        "recall.keep_s": 0,
        "log.level": "error",
    }


def _chat(user: str, text: str, mode: str = "full") -> dict[str, Any]:
    body = {"model": "m", "user": user, "stream": True, "messages": [{"role": "user", "content": text}]}
    return {"json": body, "headers": {"X-Memory-Mode": mode, "X-Memory-Session": text}}


def _state(memories: Sequence[Memory]) -> State:
    """What is there, in words that are the same for every user."""
    names = {each.id: each.content for each in memories}
    return Counter(
        (
            each.type,
            each.content,
            each.valid_until is not None,
            each.access_count,
            each.replaces and names.get(each.replaces, "?"),
            tuple(sorted(names.get(id_, "?") for id_ in each.conflicts)),
            tuple(sorted(names.get(id_, "?") for id_ in each.turns)),
        )
        for each in memories
    )
