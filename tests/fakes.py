"""Stand-ins for what would be slow, far away or in order, and the whole proxy, at work in front of them."""

from __future__ import annotations

import asyncio
import json
import math
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from proxy.app import listening
from proxy.config import Config, load
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.memory.embedder import Vector
from proxy.memory.payload import chosen
from proxy.memory.store import Choice, Hit, Hits, MemoryStore, Pick, Query
from proxy.web.room import ROOM, Room
from proxy.web.services import MEMORY, MemoryServices
from tests.missing import MissingStore

DIMENSIONS = 256


def word_vector(text: str) -> list[float]:
    """A unit vector that is the nearer to another's, the more words the two texts share."""
    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        values[zlib.crc32(word.encode()) % DIMENSIONS] += 1
    length = math.hypot(*values)
    return [value / length for value in values]


class WordEmbedder:
    """An ``Embedder`` of words. *failure* is what it raises; while *gate* is closed it takes forever."""

    name = "words"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.documents: list[str] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed_query(self, text: str) -> Vector:
        self.queries.append(text)
        await self._pass()
        return word_vector(text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        self.documents += texts
        await self._pass()
        return [word_vector(text) for text in texts]

    async def touch(self) -> None:
        await self._pass()

    async def _pass(self) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure


class FixedStore(MissingStore):
    """A ``MemoryStore`` whose every search finds *memories* with these cosine similarities, and which can do nothing else."""

    def __init__(self, memories: Mapping[Memory, float]) -> None:
        super().__init__("only searches")
        self.memories = memories

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        choices = pick(Hits([Hit(memory.id, score) for memory, score in self.memories.items()], []))
        return chosen(choices, self.memories, {})


@dataclass(frozen=True)
class Found:
    """A hit with its memory, for tests that look at all of them."""

    memory: Memory
    score: float


@dataclass(frozen=True)
class Sight:
    dense: list[Found]
    sparse: list[Found]
    turns_dense: list[Found] = field(default_factory=list)
    turns_sparse: list[Found] = field(default_factory=list)


async def look(store: MemoryStore, owner: Owner, query: Query, *, limit: int) -> Sight:
    """All lists of a search, whole."""
    seen: list[Hits] = []

    def everything(hits: Hits) -> list[Choice]:
        seen.append(hits)
        return [Choice(id_, 0.0) for id_ in dict.fromkeys(hit.id for each in _lists(hits) for hit in each)]

    memories = {each.memory.id: each.memory for each in await store.search(owner, query, limit=limit, pick=everything)}
    return Sight(*([Found(memories[hit.id], hit.score) for hit in hits] for hits in _lists(seen[0])))


def _lists(hits: Hits) -> list[list[Hit]]:
    return [hits.dense, hits.sparse, hits.turns_dense, hits.turns_sparse]


# A model API.

ABOUT_TEA = '<memory>{"memories":[{"content":"Likes green tea","category":"preference"}]}</memory>'

Handler = Callable[[web.Request], Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def prompt(self) -> str:
        """The text of the last message."""
        content: str = self.json["messages"][-1]["content"]
        return content


@dataclass
class ModelAPI:
    """Answers every chat with *text*, streamed in pieces of *size* characters if it is asked to, and keeps what it *seen*.

    A stream stops before piece *pause_at* until *go_on* is set; *left* is set when the one who asked has hung up.
    *handler* answers instead, if there is one; *embeds* says whether ``/embeddings`` works, and it waits for *may_embed*.
    """

    url: str = ""
    text: str = "Hello"
    size: int = 5
    pause_at: int | None = None
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    handler: Handler | None = None
    embeds: bool = True
    seen: list[Seen] = field(default_factory=list)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    may_embed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_embed.set()

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path.endswith("/embeddings"):
            await self.may_embed.wait()
            return self._vectors(json.loads(body)["input"])
        self.seen.append(Seen(request.method, request.raw_path, CIMultiDict(request.headers), body))
        try:
            if self.handler is not None:
                answer: web.StreamResponse = await self.handler(request)
                return answer
            asked = _json(body)
            return await self._stream(request, asked) if asked.get("stream") else self._whole(asked)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    def _vectors(self, texts: list[str]) -> web.Response:
        if not self.embeds:
            return web.json_response({"error": {"message": "no embeddings today"}}, status=400)
        data = [{"object": "embedding", "index": i, "embedding": word_vector(text)} for i, text in enumerate(texts)]
        return web.json_response({"object": "list", "model": "words", "data": data, "usage": {}})

    def _whole(self, asked: dict[str, Any]) -> web.Response:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choices = [
            {"index": i, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
            for i in range(asked.get("n") or 1)
        ]
        return web.json_response(_head("chat.completion") | {"choices": choices, "usage": USAGE}, headers=self.headers)

    async def _stream(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", **self.headers})
        await response.prepare(request)
        for i, event in enumerate(self.events(with_usage="stream_options" in asked)):
            if i == self.pause_at:
                self.paused.set()
                await self.go_on.wait()
            await response.write(event)
        await response.write_eof()
        return response

    def events(self, *, with_usage: bool = False) -> list[bytes]:
        pieces = [self.text[at : at + self.size] for at in range(0, len(self.text), self.size)]
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish_reason}]})
        if with_usage:
            chunks.append({"choices": [], "usage": USAGE})
        return [*(_event(_head("chat.completion.chunk") | chunk) for chunk in chunks), b"data: [DONE]\n\n"]


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@asynccontextmanager
async def model_api() -> AsyncIterator[ModelAPI]:
    """One that listens on a port of its own, under ``url``."""
    api = ModelAPI()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", api.answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield api
    finally:
        await runner.cleanup()


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1760000000, "model": "scripted"}


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# The whole proxy.


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """One at work: *url* is its base URL, *model* what its upstream and its embeddings are."""

    address: str
    model: ModelAPI
    memory: MemoryServices
    room: Room

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    async def settled(self) -> None:
        """Return when every block so far is stored, also of the answers that are read on behind a client."""
        await self._handlers()
        while tasks := self.memory.drain._tasks:
            await asyncio.wait(tasks)
        await self.memory.remember.settled()

    async def _handlers(self) -> None:
        """A client has its answer a moment before the handler hands over what is to be remembered; some never end."""
        for _ in range(50):
            if not self.room.taken:
                break
            await asyncio.sleep(0.001)

    async def memories(self, user: str) -> list[str]:
        """What is remembered of *user* when all is settled, in the order of the alphabet."""
        await self.settled()
        return sorted(each.content for each in await self.memory.store.list(Owner(user), limit=100))


def proxy_config(model: ModelAPI, folder: Path, **options: object) -> Config:
    """That of a proxy in front of *model*, with its data in *folder*; *options* as ``section__key``, lists as YAML."""
    settings: dict[str, object] = {
        "listen.port": 0,
        "listen.grace_s": 5,
        "upstream.base_url": model.url,
        "store.path": folder,
        "embedding.provider": "openai",
        "embedding.model": "words",
        "embedding.url": model.url,
        "recall.deadline_ms": 10_000,
    }
    environ = {
        "MEMORY_PROXY_UPSTREAMS": str(options.pop("upstreams", "")),
        "MEMORY_PROXY_AUTH__CLIENTS": str(options.pop("auth__clients", "")),
    }
    return load(None, environ=environ, overrides=settings | {name.replace("__", "."): value for name, value in options.items()})


@asynccontextmanager
async def memory_proxy(model: ModelAPI, folder: Path, **options: object) -> AsyncIterator[RunningProxy]:
    """As ``memory-proxy serve`` runs it, on a port of its own."""
    async with listening(proxy_config(model, folder, **options)) as proxy:
        yield RunningProxy(proxy.address, model, proxy.application[MEMORY], proxy.application[ROOM])
