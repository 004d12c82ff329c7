"""What embedding costs the chats: how much the embedder can do alone, how many chats come through with it, and how often it is needed."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter
from typing import Any
from urllib.request import urlopen

from benchmarks import wire
from benchmarks.processes import Process, process
from benchmarks.rows import Effort
from benchmarks.scorecard import upstream
from benchmarks.scorecard.clients import Client, chat, run, with_clients
from benchmarks.scorecard.contenders import filled, serving
from benchmarks.scorecard.contenders import ours as our_proxy
from benchmarks.scorecard.figures import Figure, ours, ratio
from benchmarks.scorecard.stage import Stage
from proxy import config
from proxy.app import new_event_loop
from proxy.memory.embedding import open_embedder

CHATS = 16
WINDOW_S = 3.0
TURNS = 50
COUNTED = {"embedding__provider": "openai", "embedding__model": "counted"}


def throughput(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """The embedder alone and whole chats, in turns; each question is a new one, and 16 ask at a time."""
    seconds = WINDOW_S * effort.share
    with (
        process(upstream.serve, loop_factory=new_event_loop) as model,
        process(_embedding, loop_factory=new_event_loop) as embedder,
        our_proxy(model.started().address) as (address, _),
    ):
        embedder.started()
        rounds = [(_embedded(embedder, seconds), run(_chats(address, seconds))) for _ in range(effort.rounds + 1)][1:]
    alone, chats = ([each[i] for each in rounds] for i in (0, 1))
    needed = _texts_per_chat(effort.of(100))
    name = f"chats a second, {CHATS} clients without a pause, each question a new one"
    yield Figure(name, "/s", "chats", {"chats": chats, "the embedder alone": alone})
    yield ours("texts embedded for a chat with a new question", "", needed)
    yield ratio("… texts embedded in chats by those embedded alone", "×", [needed * each for each in chats], alone, at_least=0.8)


@asynccontextmanager
async def _embedding() -> AsyncIterator[str]:
    """The embedder as the proxy has it, behind a line of JSON: seconds in, texts a second out."""
    numbers = count()
    async with open_embedder(config.Embedding()) as embedder:

        async def caller(until: float) -> int:
            done = 0
            while perf_counter() < until:
                await embedder.embed_query(f"{wire.QUESTION} It is number {next(numbers)}.")
                done += 1
            return done

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seconds, began = float(await reader.readline()), perf_counter()
            done = sum(await asyncio.gather(*(caller(began + seconds) for _ in range(CHATS))))
            writer.write(b"%f\n" % (done / (perf_counter() - began)))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _embedded(embedder: Process, seconds: float) -> float:
    async def ask() -> float:
        reader, writer = await asyncio.open_connection(*embedder.host_and_port)
        writer.write(b"%f\n" % seconds)
        told = float(await reader.readline())
        writer.close()
        return told

    return asyncio.run(ask())


async def _chats(address: str, seconds: float) -> float:
    began = perf_counter()

    async def work(client: Client) -> int:
        done = 0
        while perf_counter() < began + seconds:
            await client.ask(chat(stream=False))
            done += 1
        return done

    return sum(await with_clients(address, CHATS, work)) / (perf_counter() - began)


def _texts_per_chat(chats: int) -> float:
    """Counted behind the proxy, where nothing that its cache had can be seen."""
    with process(upstream.serve, loop_factory=new_event_loop) as model:
        url = model.started().address
        with our_proxy(url, memories=0, embedding__url=f"{url}/v1", **COUNTED) as (address, _):
            before = _told(url)
            run(_one_by_one(address, [chat(stream=False) for _ in range(chats)]))
        return (_told(url) - before) / chats


def agent_loop(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """An agent that calls a tool again and again about one message of its user: how often that is embedded."""
    turns = max(2, effort.of(TURNS))
    with process(upstream.serve, loop_factory=new_event_loop) as model:
        url = model.started().address
        with our_proxy(url, memories=0, embedding__url=f"{url}/v1", **COUNTED) as (address, _):
            before = _told(url)
            run(_one_by_one(address, [_step(turn) for turn in range(turns)]))
        embedded = _told(url) - before
    yield ours(f"texts embedded in an agent's loop of {turns} turns with one message", "", embedded, at_most=1)


def _step(turn: int) -> bytes:
    """What the agent sends when it has called its tool *turn* times."""
    messages: list[dict[str, Any]] = [wire.CONVERSATION[0], wire.CONVERSATION[-1]]
    for i in range(turn):
        call = {"id": f"call_{i}", "type": "function", "function": {"name": "look", "arguments": f'{{"page":{i}}}'}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{i}", "content": f"Page {i} says nothing about it."},
        ]
    body = {"model": "gpt-4o", "messages": messages, "stream": True, "seed": upstream.SHORT.seed}
    return wire.request(b"/v1/chat/completions", json.dumps(body).encode(), wire.FOR_ANN)


async def _one_by_one(address: str, requests: list[bytes]) -> None:
    client = Client(address)
    for each in requests:
        await client.ask(each)
    client.close()


def _told(url: str) -> float:
    with urlopen(f"{url}/embedded") as answer:
        told: float = json.loads(answer.read())
        return told


STARTS = 3
USUAL = 20


def first_request(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """From the command to the first answer, on a store with 10,000 memories, and what a later question takes."""
    ready, first, usual = [], [], []
    with process(upstream.serve, loop_factory=new_event_loop) as model:
        url = model.started().address
        with filled() as folder:
            for _ in range(min(STARTS, effort.rounds)):
                began = perf_counter()
                with serving(url, folder) as (address, _):
                    ready.append(perf_counter() - began)
                    times = run(_first_ms(address))
                first.append(times[0])
                usual.append(statistics.median(times[1:]))
    yield ours("start: from the command to ready", "s", *ready)
    name = "first byte of the first chat after the start"
    yield Figure(name, "ms", "the first", {"the first": first, "a later one": usual})


async def _first_ms(address: str) -> list[float]:
    client = Client(address)
    times = [(await client.ask(chat())).first_ms for _ in range(USUAL)]
    client.close()
    return times
