"""The whole proxy between the real ``openai`` client and a scripted model, for benchmarks about what is remembered."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from proxy import logs
from proxy.app import listening
from proxy.config import Config, Listen, Log, Recall, Store, Upstream
from proxy.core.models import Memory, Owner
from proxy.demo.model import MODEL, ModelServer, Script
from proxy.memory.store import Which
from proxy.web.services import MEMORY, MemoryServices

Message = dict[str, Any]
ALL = 100_000
"""More memories than a benchmark makes."""


@dataclass(frozen=True, slots=True)
class Chats:
    """A proxy at work, with its data in *folder*, and the *model* server behind it."""

    folder: Path
    model: ModelServer
    memory: MemoryServices
    _client: AsyncOpenAI

    async def say(self, user: str, session: str, messages: Sequence[Message], *, mode: str = "full", stream: bool = False) -> str:
        """The answer that the client sees, when all that is to be remembered of it is."""
        headers = {"X-Memory-User": user, "X-Memory-Session": session, "X-Memory-Mode": mode}
        create: Any = self._client.chat.completions.create  # its overloads know no message that is a plain dict
        answer = await create(model=MODEL, messages=list(messages), stream=stream, extra_headers=headers)
        text = await _whole(answer) if stream else answer.choices[0].message.content
        await self.memory.remember.settled()
        return str(text)

    async def kept(self, user: str, *, types: tuple[str, ...] | None = None, past: bool = False) -> list[Memory]:
        """What is stored of *user*: memories, or what is of these *types*."""
        which = Which(past=past) if types is None else Which(types=types, past=past)
        return await self.memory.store.list(Owner(user), which, limit=ALL)


async def _whole(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


@asynccontextmanager
async def chats(script: Script | None = None) -> AsyncIterator[Chats]:
    """As ``serve`` runs it, in front of a model that follows *script*. Only the deadline is long, as machines may be busy."""
    logs.configure(Log(level="error"))
    model = ModelServer(script, token_delay_s=0)
    with tempfile.TemporaryDirectory(prefix="memory-proxy-bench-") as folder:
        async with model.listening() as base_url:
            config = Config(
                listen=Listen(port=0),
                upstream=Upstream(base_url),
                store=Store(path=folder),
                recall=Recall(deadline_ms=10_000),
                log=Log(level="error"),
            )
            async with (
                listening(config) as proxy,
                AsyncOpenAI(base_url=f"{proxy.address}/v1", api_key="sk-bench", max_retries=0) as client,
            ):
                yield Chats(Path(folder), model, proxy.application[MEMORY], client)


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def latest(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last user message, as the model sees it: with what the proxy has put before it."""
    return next(str(each["content"]) for each in reversed(messages) if each["role"] == "user")


def block(items: Sequence[Mapping[str, str]], forget: Sequence[str] = ()) -> str:
    """A memory block as a model writes it."""
    return f"<memory>{block_body(items, forget)}</memory>"


def block_body(items: Sequence[Mapping[str, str]], forget: Sequence[str] = ()) -> str:
    body = {"memories": list(items)} | ({"forget": list(forget)} if forget else {})
    return json.dumps(body, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """One of the recalled notes, as the model reads it. *contradicts*: the short ids of the notes that it is marked against."""

    id: str
    text: str
    is_turn: bool
    contradicts: tuple[str, ...]


_SHOWN = re.compile(r"^\[(m\d+)\] \((said)?[^)]*\) (.*?)(?: \(contradicts ([m\d, ]+)\))?$", re.MULTILINE)


def shown(messages: Sequence[Mapping[str, Any]]) -> list[Shown]:
    """The notes before the latest message."""
    notes = latest(messages).rpartition("</recalled_notes>")[0]
    return [
        Shown(short_id, text, bool(said), tuple(against.split(", ")) if against else ())
        for short_id, said, text, against in _SHOWN.findall(notes)
    ]


class Dictated:
    """A model that answers what the benchmark tells it to: *says* makes the answer of the messages that it was sent."""

    def __init__(self) -> None:
        self.says: Script = lambda _: "I see."

    def __call__(self, messages: list[Message]) -> str:
        return self.says(messages)
