"""Many users of several tenants through one proxy, each with a secret of their own in all that they say and are remembered by.

The model ends each answer with a block that repeats the secret of who asked.
What a request brings upstream, and what is stored for an owner, must then hold secrets of nobody else.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

import aiohttp
from aiohttp import web

from proxy.core.models import TURN, Owner
from proxy.memory.store import Which
from tests.fakes import ModelAPI, RunningProxy

TENANTS = ("shop", "shop1", "Shop", "s")
CLIENTS = "[{}]".format(", ".join(f"{{name: {name}, key_env: KEY_{i}}}" for i, name in enumerate(TENANTS)))
KEYS = {f"KEY_{i}": f"key-{i}" for i in range(len(TENANTS))}
NAMES = (
    *[
        "u1",
        "u10",
        "u11",
        "U1",
        "u 1",
        "u1.",
        "u1/",
        "../u1",
        "./u1",
        "u1%20",
        "u1%00",
        "u1\\",
        "'u1'",
        '"u1"',
        "u1;",
        "u1*",
        "*",
    ],
    *[
        "ú1",
        "u\u03011",
        "ｕ１",
        "u１",
        "\u200bu1",
        "u1\u200b",
        "u1\u00a0",
        "\u202eu1",
        "ս1",
        "u1😀",
        "null",
        "None",
        "default",
        "keyless",
    ],
    *[
        "shop",
        "shop:u1",
        "shop\u2006u1",
        "u1,u10",
        "u1|u10",
        "{u1}",
        "$u1",
        "u" * 1024,
        "u" * 1023,
        "0",
        "00",
        "-1",
        "true",
        "é",
        "e\u0301",
    ],
)
_SECRET = re.compile(r"secret(\d+)x")
_LISTED = 1000


@dataclass(frozen=True)
class Person:
    number: int
    tenant: int
    name: str

    @property
    def owner(self) -> Owner:
        return Owner(self.name, TENANTS[self.tenant])

    @property
    def secret(self) -> str:
        return f"secret{self.number}x"


@dataclass
class Figures:
    """*foreign*: secrets of others in what went upstream, and in what is stored. *own*: how often one's own came back."""

    requests: int = 0
    failed: int = 0
    own: int = 0
    foreign_injected: int = 0
    listed: int = 0
    foreign_listed: int = 0


def people(count: int) -> list[Person]:
    """The first *count* of the names in each tenant, tenants in turn; more than there are get numbers behind them."""
    return [Person(i, tenant, name) for i, (name, tenant) in enumerate(islice(_names(), count))]


def _names() -> Iterator[tuple[str, int]]:
    yield from product(NAMES, range(len(TENANTS)))
    for i in range(1_000_000):
        yield f"u{i // len(TENANTS) + 100}", i % len(TENANTS)


async def answer(request: web.Request) -> web.Response:
    """What a model says that was asked by somebody with a secret."""
    asked = json.loads(await request.read())
    secret = f"secret{_SECRET.findall(asked['metadata']['said'])[0]}x"
    block = json.dumps({"memories": [{"content": f"Keeps tea number {random.randrange(1000)} in {secret}"}]})
    message = {"role": "assistant", "content": f"Noted.\n<memory>{block}</memory>"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


async def gather(proxy: RunningProxy, model: ModelAPI, *, users: int, requests: int, at_once: int = 16) -> Figures:
    """Send *requests*, those of all users mixed, and look at what came upstream and at what is stored."""
    crowd, figures, turn = people(users), Figures(), asyncio.Semaphore(at_once)
    model.handler = answer
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        for i in range(requests):
            if i == requests // 2:
                await proxy.settled()  # from here on there is something to be recalled of everybody
            await turn.acquire()
            task = tasks.create_task(_ask(client, proxy, crowd[i % users], figures))
            task.add_done_callback(lambda _: turn.release())
            if len(model.seen) > 10 * at_once:
                _look(model, figures)
    _look(model, figures)
    await proxy.settled()
    for person in crowd:
        await _list(proxy, person, figures)
    return figures


async def _ask(client: aiohttp.ClientSession, proxy: RunningProxy, person: Person, figures: Figures) -> None:
    said = f"Where do I keep tea number {random.randrange(1000)}? Not that you forget {person.secret}."
    messages = [{"role": "user", "content": said}]
    body = {"model": "m", "messages": messages, "user": person.name, "metadata": {"said": said}}
    headers = {"Authorization": f"Bearer key-{person.tenant}"}
    async with client.post(f"{proxy.url}/chat/completions", json=body, headers=headers) as response:
        await response.read()
        figures.requests += 1
        figures.failed += response.status != 200 or response.headers["X-Memory-Status"] != "ok"


def _look(model: ModelAPI, figures: Figures) -> None:
    """At what has come upstream since the last time."""
    for seen in model.seen:
        tree = seen.json
        (own,) = _SECRET.findall(tree["metadata"]["said"])
        found = _SECRET.findall(json.dumps(tree["messages"]))
        figures.own += found.count(own) > 1
        figures.foreign_injected += sum(each != own for each in found)
    model.seen.clear()


async def _list(proxy: RunningProxy, person: Person, figures: Figures) -> None:
    for which in (Which(past=True), Which(types=(TURN,), past=True)):
        for memory in await proxy.memory.store.list(person.owner, which, limit=_LISTED):
            figures.listed += 1
            found = _SECRET.findall(f"{memory.content} {memory.reply}")
            figures.foreign_listed += any(each != str(person.number) for each in found)
