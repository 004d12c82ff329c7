"""The short form; ``python -m tests.isolation`` is the long one."""

from __future__ import annotations

import asyncio

from tests.fakes import memory_proxy, model_api
from tests.isolation.crowd import CLIENTS, KEYS, gather, people

USERS, REQUESTS = 100, 300


async def test_nobody_sees_what_is_another_s(tmp_path, monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    async with (
        asyncio.timeout(120),
        model_api() as model,
        memory_proxy(model, tmp_path, auth__clients=CLIENTS, recall__min_score=0) as proxy,
    ):
        figures = await gather(proxy, model, users=USERS, requests=REQUESTS)
    assert (figures.requests, figures.failed, figures.foreign_injected, figures.foreign_listed) == (REQUESTS, 0, 0, 0)
    # With nothing recalled or stored at all, nothing would be foreign either.
    assert figures.own > REQUESTS // 3
    assert figures.listed > REQUESTS


def test_the_crowd_is_as_large_as_it_is_said_to_be():
    assert len({person.owner.key for person in people(1000)}) == 1000
