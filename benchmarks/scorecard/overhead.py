"""What a proxy costs, beside the others: all contenders stand before the same model API and take turns, round by round."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from shutil import which
from time import perf_counter, process_time
from typing import Any
from urllib.request import urlopen

from benchmarks.resident import resident as idle
from benchmarks.rows import Effort
from benchmarks.scorecard.clients import Answer, Client, Refused, at_random, chat, run, without_a_pause
from benchmarks.scorecard.contenders import AGAIN, BARE, DIRECT, INT8, OFF, ON, Contender, Field
from benchmarks.scorecard.figures import Figure, of_row, ratio
from benchmarks.scorecard.stage import Stage
from benchmarks.scorecard.system import cpu_s
from benchmarks.scorecard.upstream import Script

Rounds = dict[str, list[float]]
Measure = Callable[[Contender], float]


def _in_turns(contenders: Iterable[Contender], effort: Effort, measure: Measure) -> tuple[Rounds, dict[str, str]]:
    """What each round found of each contender; who fails once is out, and why. The first round warms up."""
    rounds: Rounds = defaultdict(list)
    failed: dict[str, str] = {}
    contenders = list(contenders)
    for i in range(effort.rounds + 1):
        for each in contenders:
            if each.name not in failed:
                try:
                    rounds[each.name].append(measure(each))
                except (Refused, OSError, EOFError, TimeoutError) as exc:
                    failed[each.name] = f"{type(exc).__name__}: {exc}"[:200]
        if i == 0:
            rounds.clear()
    return {name: found for name, found in rounds.items() if name not in failed}, failed


def _figure(
    name: str, unit: str, field: Field, rounds: Rounds, failed: Mapping[str, str], *, ours: str = ON, **more: Any
) -> Figure:
    return Figure(name, unit, ours, rounds, field.missing | dict(failed), **more)


# How fast the model API and the clients are.

CONNECTIONS = 16


def alone(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """Nothing in between: what is far above what any contender reaches doesn't decide what is measured of them."""
    address, pid = stage.field().upstream.address, stage.field().upstream.pid
    requests = effort.of(6400)
    rates, upstream_us, clients_us, chunks = [], [], [], []
    for _ in range(effort.rounds + 1):
        before, began, used = cpu_s(pid), perf_counter(), process_time()
        run(without_a_pause(address, CONNECTIONS, _plain, requests=requests))
        seconds = perf_counter() - began
        rates.append(requests / seconds)
        clients_us.append((process_time() - used) / requests * 1e6)
        upstream_us.append((cpu_s(pid) - before) / requests * 1e6)
        chunks.append(run(_flood(address, effort.of(2000))))
    yield Figure(
        "requests a second, 16 clients without a pause", "/s", "our clients", {"our clients": rates[1:], **_wrk(address, effort)}
    )
    yield Figure("CPU of a request", "µs", "model API", {"model API": upstream_us[1:], "clients": clients_us[1:]})
    yield Figure("chunks a second, 64 streams without a pause", "/s", "our clients", {"our clients": chunks[1:]})


def _plain() -> bytes:
    return chat(stream=False)


async def _flood(address: str, chunks: int) -> float:
    began = perf_counter()
    answers = await without_a_pause(address, 64, lambda: chat(script=Script(max(1, chunks // 64))), requests=64)
    return sum(each.chunks for each in answers) / (perf_counter() - began)


def _wrk(address: str, effort: Effort) -> Rounds:
    """The same, asked by Debian's wrk where it is installed."""
    if which("wrk") is None:
        return {}
    _, _, body = chat(stream=False).partition(b"\r\n\r\n")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "chat.lua"
        spelt = json.dumps(body.decode()).replace("\\u", "\\\\u")
        script.write_text(f'wrk.method = "POST"\nwrk.body = {spelt}\nwrk.headers["Content-Type"] = "application/json"\n')
        argv = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", str(script), f"{address}/v1/chat/completions"]
        said = [subprocess.run(argv, capture_output=True, text=True, check=False).stdout for _ in range(min(3, effort.rounds))]
    rates = [float(each.partition("Requests/sec:")[2].split()[0]) for each in said if "Requests/sec:" in each]
    return {"wrk": rates} if rates else {}


# The first byte.

ALONE = 60
CROWDS = {16: 2.0, 64: 1.0}
"""How often each of so many clients asks in a second."""
CROWD_S = 3.0


def first_byte(effort: Effort, stage: Stage) -> Iterator[Figure]:
    field = stage.field()
    for clients in (1, *CROWDS):
        p99: Rounds = defaultdict(list)

        def measure(each: Contender, clients: int = clients, p99: Rounds = p99) -> float:
            times = [answer.first_ms for answer in run(_asked(each, clients, effort))]
            p99[each.name].append(_p99(times))
            return statistics.median(times)

        p50, failed = _in_turns(field.contenders, effort, measure)
        figure = f"added to the first byte, {clients} client{'s' if clients > 1 else ''}"
        yield _figure(f"{figure}, p50", "ms", field, _added(p50), failed)
        if clients == 64:
            yield _figure(f"{figure}, p99", "ms", field, _added({name: p99[name][1:] for name in p50}), failed)


def _asked(contender: Contender, clients: int, effort: Effort) -> Coroutine[Any, Any, list[Answer]]:
    if clients == 1:
        return without_a_pause(contender.address, 1, contender.asked, requests=effort.of(ALONE))
    return at_random(contender.address, clients, contender.asked, rate=CROWDS[clients], seconds=CROWD_S * effort.share)


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def _added(rounds: Rounds) -> Rounds:
    """To the way without a proxy, in the same round; nothing can be said if that could not be measured."""
    if DIRECT not in rounds:
        raise RuntimeError("the model API itself could not be measured")
    return {
        name: [with_it - without for with_it, without in zip(found, rounds[DIRECT], strict=True)]
        for name, found in rounds.items()
        if name != DIRECT
    }


# CPU of a request.

REQUESTS = 800


def request_cpu(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """Plain JSON answers, 16 clients without a pause."""
    field = stage.field()
    requests = effort.of(REQUESTS // CONNECTIONS) * CONNECTIONS

    def measure(each: Contender) -> float:
        assert each.pid is not None
        before = cpu_s(each.pid)
        run(without_a_pause(each.address, CONNECTIONS, lambda: each.asked(stream=False), requests=requests))
        return (cpu_s(each.pid) - before) / requests * 1e6

    rounds, failed = _in_turns(_with_a_process(field), effort, measure)
    yield _figure(
        "CPU of a plain chat request", "µs", field, rounds, failed, note="a new question each, embedded, kept as a turn"
    )
    yield from _beside_bare("CPU of a plain chat request", rounds, {OFF: 1.35})


def _with_a_process(field: Field) -> list[Contender]:
    return [each for each in field.contenders if each.pid is not None]


def _beside_bare(name: str, rounds: Rounds, bars: Mapping[str, float]) -> Iterator[Figure]:
    for ours, bar in bars.items():
        if ours in rounds and BARE in rounds:
            yield ratio(
                f"{name}, {ours.removeprefix('ours, ')}, by the bare proxy's", "×", rounds[ours], rounds[BARE], at_most=bar
            )


# Streams.

STREAMS = 64
INTERVAL_US = 20_000
WINDOW_S, LEAST_WINDOW_S, SETTLING_S = 2.5, 0.2, 0.5


def streams(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """64 at a time (a test's few), each of 50 tokens a second at uneven intervals, read while all are under way."""
    number = min(STREAMS, max(4, effort.of(4 * STREAMS)))
    field, window_s = stage.field(), max(LEAST_WINDOW_S, WINDOW_S * effort.share)
    script = Script(chunks=round((window_s + 4 * SETTLING_S) * 1e6 / INTERVAL_US), interval_us=INTERVAL_US)
    gaps: Rounds = defaultdict(list)

    def measure(each: Contender) -> float:
        cost_us, p99_ms = run(_streamed(each, number, script, window_s))
        gaps[each.name].append(p99_ms)
        return cost_us

    contenders = [each for each in field.contenders if each.name not in (AGAIN, INT8)]
    costs, failed = _in_turns(contenders, effort, measure)
    gaps = {name: gaps[name][1:] for name in costs}
    costs.pop(DIRECT, None)
    yield _figure("CPU of a streamed chunk", "µs", field, costs, failed)
    yield from _beside_bare("CPU of a streamed chunk", costs, {ON: 1.2})
    note = "with memory on a token that ends a line, one in 25 here, waits for the next: behind it a block may begin"
    yield _figure(f"time between chunks, {number} streams of 50 a second, p99", "ms", field, gaps, failed, note=note)


async def _streamed(contender: Contender, number: int, script: Script, window_s: float) -> tuple[float, float]:
    clients = [Client(contender.address) for _ in range(number)]
    for each in clients:
        await each.begin(contender.asked(script=script))
    async with asyncio.timeout(30):
        await asyncio.gather(*(each.begun for each in clients))
    await asyncio.sleep(min(SETTLING_S, window_s))
    began, cpu, chunks = perf_counter(), _cpu_s(contender), sum(each.answer.chunks for each in clients)
    await asyncio.sleep(window_s)
    cpu, chunks = _cpu_s(contender) - cpu, sum(each.answer.chunks for each in clients) - chunks
    gaps = [gap for each in clients for gap in _gaps(each.answer, since=began)]
    for each in clients:
        each.leave()
    await asyncio.sleep(0.1)
    if not chunks or not gaps:
        raise Refused("no chunks came")
    return cpu / chunks * 1e6, _p99(gaps) * 1000


def _cpu_s(contender: Contender) -> float:
    return 0.0 if contender.pid is None else cpu_s(contender.pid)


def _gaps(answer: Answer, *, since: float) -> list[float]:
    times = [each for each in answer.arrivals if each >= since]
    return [later - earlier for earlier, later in pairwise(times)]


# Memory.


def resident(effort: Effort, stage: Stage) -> Iterator[Figure]:
    field = stage.field()
    sizes = {each.name: [each.resident_mb] for each in _with_a_process(field) if each.name not in (OFF, AGAIN)}
    note = "idle, when it has answered two requests; ours with its embedder and 10,000 memories"
    yield _figure("resident memory", "MB", field, sizes, {}, note=note)
    yield from map(of_row, idle(effort))


# A client that leaves.

TIMES = 20
TOO_LATE_S = 2.0
CASES = {"before the first byte": Script(0, silence=True), "in the middle of a stream": Script(1, silence=True)}


def abort(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """Until the model API, silent since, sees that its client has left."""
    field = stage.field()
    contenders = [each for each in field.contenders if each.name not in (AGAIN, INT8, OFF)]
    for case, script in CASES.items():

        def measure(each: Contender, script: Script = script) -> float:
            return statistics.median(run(_left(each, field.upstream.address, script, max(2, effort.of(TIMES)))))

        rounds, failed = _in_turns(contenders, Effort(min(3, effort.rounds)), measure)
        yield _figure(f"a client's leaving reaches the model API, {case}", "ms", field, rounds, failed, at_most=20)


async def _left(contender: Contender, upstream: str, script: Script, times: int) -> list[float]:
    return [await _once(contender, upstream, script) for _ in range(times)]


async def _once(contender: Contender, upstream: str, script: Script) -> float:
    client = Client(contender.address)
    await client.begin(contender.asked(script=script))
    await asyncio.to_thread(_told, f"{upstream}/asked", 30.0)
    if script.chunks:
        async with asyncio.timeout(30):
            await client.begun
    left_at = perf_counter()
    client.leave()
    try:
        return (await asyncio.to_thread(_told, f"{upstream}/left", TOO_LATE_S) - left_at) * 1000
    except TimeoutError:
        raise TimeoutError(f"the model API was not told within {TOO_LATE_S:.0f} s") from None


def _told(url: str, patience_s: float) -> float:
    with urlopen(url, timeout=patience_s) as answer:
        told: float = json.loads(answer.read())
        return told
