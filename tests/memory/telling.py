"""Answers to be remembered, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from proxy.core.blocks import Block
from proxy.core.echo import Foreign
from proxy.core.models import TURN, Memory, Owner
from proxy.memory.embedder import Embedder
from proxy.memory.figures import Figures
from proxy.memory.remember import Keeping, Remember, Said, Spoken
from proxy.memory.store import MemoryStore, Which

NOW = datetime.now(UTC)
DEFAULTS = Keeping()
DAY = timedelta(days=1)
EVER = Which(past=True)
TURNS = Which(types=(TURN,))
ALL_TURNS = Which(types=(TURN,), past=True)


def answer(
    owner: Owner,
    *items: object,
    forget: tuple[str, ...] = (),
    text: str | None = None,
    speaker: str | None = None,
    reply: str = "",
    session: str | None = "s1",
    trace: str | None = None,
    shown: Mapping[str, str] | None = None,
    at: datetime | None = NOW,
    model: str | None = None,
    foreign: Foreign | None = None,
) -> Said:
    """The answer to *text*, with *items* and *forget* in its block if there are any; each has a *trace* of its own."""
    blocks = [Block(json.dumps({"memories": items, "forget": forget}))] if items or forget else []
    spoken = None if text is None else Spoken(text, speaker, lambda: reply)
    return Said(owner, session, trace or uuid4().hex, blocks, shown or {}, model, foreign, spoken, at)


def remembering(
    store: MemoryStore, embedder: Embedder, *, queue_size: int = 99, grace_s: float = 30, options: Keeping = DEFAULTS
) -> Remember:
    return Remember(store, embedder, options=options, queue_size=queue_size, grace_s=grace_s)


async def tell(store: MemoryStore, embedder: Embedder, *answers: Said, options: Keeping = DEFAULTS) -> Figures:
    """Have *answers* remembered, one after the other; what became of them."""
    async with remembering(store, embedder, options=options).running() as remember:
        for each in answers:
            remember.submit(each)
        await remember.settled()
    return remember.figures


async def memories(store: MemoryStore, owner: Owner, which: Which = Which()) -> dict[str, Memory]:
    """By content."""
    return {each.content: each for each in await store.list(owner, which, limit=999)}


async def contents(store: MemoryStore, owner: Owner, which: Which = Which()) -> list[str]:
    return sorted(each.content for each in await store.list(owner, which, limit=999))


async def current(store: MemoryStore, owner: Owner, which: Which = EVER) -> list[str]:
    """What has no end."""
    return sorted(each.content for each in await store.list(owner, which, limit=999) if each.valid_until is None)


def lines(log: list[Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(line.get(name) for name in names) for line in log]
