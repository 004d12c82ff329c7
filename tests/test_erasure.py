"""Nothing of a user is in any file when the whole proxy says that they are erased, and all of everybody else is."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp

from proxy.core.models import TURN, Owner
from proxy.memory.edge import Bm25Encoder, open_edge
from proxy.memory.store import Which
from tests.fakes import DIMENSIONS, RunningProxy, memory_proxy, model_api, proxy_config
from tests.files import written

KINDS = ("memory", "turn", "reply", "speaker", "session", "user")
ALL = Which(("semantic", TURN), past=True)

ERASER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.fakes import memory_proxy, model_api
from tests.test_erasure import OWNERS, tell

async def main(folder):
    async with model_api() as model, memory_proxy(model, Path(folder)) as proxy:
        for name in OWNERS:
            await tell(proxy, name)
        await proxy.settled()
        await proxy.memory.erasure.erase(OWNERS["ann"])
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


def canary(name: str, kind: str) -> str:
    return f"{kind}canary{name}"


OWNERS = {name: Owner(canary(name, "user")) for name in ("ann", "ben")}


def block(name: str) -> str:
    return f'<memory>{{"memories":[{{"content":"Keeps {canary(name, "memory")} in a shed","category":"fact"}}]}}</memory>'


def asked(name: str, *, stream: bool = False) -> dict[str, object]:
    message = {"role": "user", "content": f"I bought {canary(name, 'turn')} at the market", "name": canary(name, "speaker")}
    return {"model": "m", "messages": [message], "user": canary(name, "user"), "stream": stream}


async def tell(proxy: RunningProxy, name: str) -> None:
    proxy.model.text = f"A fine {canary(name, 'reply')}.\n{block(name)}"
    headers = {"X-Memory-Session": canary(name, "session")}
    url = f"{proxy.url}/chat/completions"
    async with aiohttp.ClientSession(headers=headers) as client, client.post(url, json=asked(name)) as response:
        assert response.status == 200
        await response.read()


def found(folder: Path, name: str) -> dict[str, bool]:
    """Which canaries of *name* are in a file, or in the name of one, below *folder*."""
    data = written(folder)
    return {kind: canary(name, kind).encode() in data for kind in KINDS}


NONE, EVERY = dict.fromkeys(KINDS, False), dict.fromkeys(KINDS, True)


async def test_an_erased_user_is_in_no_file_and_the_others_are(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with model_api() as model:
        async with memory_proxy(model, folder) as proxy:
            for name in OWNERS:
                await tell(proxy, name)
            await proxy.settled()
            assert (found(folder, "ann"), found(folder, "ben")) == (EVERY, EVERY)
            assert await proxy.memory.erasure.erase(OWNERS["ann"]) == 2
            assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)
        assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)
        async with memory_proxy(model, folder) as proxy:
            counts = [await proxy.memory.store.count(owner, ALL) for owner in OWNERS.values()]
    assert (counts, found(folder, "ann"), found(folder, "ben")) == ([0, 2], NONE, EVERY)


async def test_nor_if_the_process_is_killed_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ERASER, str(folder), cwd=Path(__file__).parents[1])
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)
    async with model_api() as model:
        async with open_edge(proxy_config(model, folder).store, DIMENSIONS, Bm25Encoder()) as store:
            assert [await store.count(owner, ALL) for owner in OWNERS.values()] == [0, 2]
        async with memory_proxy(model, folder) as proxy:
            await proxy.settled()
            assert [await proxy.memory.store.count(owner, ALL) for owner in OWNERS.values()] == [0, 2]
    assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)


async def test_while_an_answer_is_on_its_way_and_what_comes_of_it_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with model_api() as model, memory_proxy(model, folder) as proxy:
        for name in OWNERS:
            await tell(proxy, name)
        await proxy.settled()
        model.text, model.size = f"Yes.\n{block('ann')} And more. And more.", 20
        model.pause_at = len(model.events()) - 3
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{proxy.url}/chat/completions", json=asked("ann", stream=True)) as response,
        ):
            await model.paused.wait()
            await proxy.memory.erasure.erase(OWNERS["ann"])
            assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)
            model.go_on.set()
            await response.read()
        assert await proxy.memories(OWNERS["ann"].user) == [f"Keeps {canary('ann', 'memory')} in a shed"]
        await proxy.memory.erasure.erase(OWNERS["ann"])
        assert (found(folder, "ann"), found(folder, "ben")) == (NONE, EVERY)


async def test_an_erased_user_is_in_no_trace_and_the_others_are(tmp_path: Path) -> None:
    async with model_api() as model, memory_proxy(model, tmp_path, traces__content="true") as proxy:
        for name in [*OWNERS, *OWNERS]:  # the second time there is something to recall
            await tell(proxy, name)
            await proxy.settled()
        assert (traced(proxy, "ann"), traced(proxy, "ben")) == (TRACED, TRACED)
        await proxy.memory.erasure.erase(OWNERS["ann"])
        assert (traced(proxy, "ann"), traced(proxy, "ben")) == (set(), TRACED)


TRACED = {"memory", "turn", "user"}


def traced(proxy: RunningProxy, name: str) -> set[str]:
    """Which canaries of *name* are in a trace."""
    data = repr(proxy.memory.traces._kept) + str([each.as_dict() for each in proxy.memory.traces.latest(limit=99)])
    return {kind for kind in KINDS if canary(name, kind) in data}
